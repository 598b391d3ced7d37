// Batch normalisation over [batch, channels, pixels].
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

/// Inputs x, scale, bias, mean, var. Output 0 is y. When training: the statistics are those of x, outputs 1 and 2 are the running mean
/// and variance, outputs 3 and 4 the statistics themselves, each where wanted.
struct BatchNormalizationParams {
  DType dtype = DType::kFloat32;        ///< of x and y
  DType scale_dtype = DType::kFloat32;  ///< of scale and bias
  DType mean_dtype = DType::kFloat32;   ///< of mean, var and outputs 1 to 4
  int64_t batch = 1, channels = 1, pixels = 1;
  double epsilon = 1e-5, momentum = 0.9;
  bool training = false;
  bool wanted[5] = {true, false, false, false, false};
  int64_t parts() const { return training ? channels : batch * channels; }
};
/// x and y may be the same buffer.
Kernel<BatchNormalizationParams> BatchNormalizationPointer();

}  // namespace tenon::kernels
