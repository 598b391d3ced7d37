// Layer and RMS normalisation: rows of n contiguous elements, each normalised by its own statistics.
#pragma once

#include "kernels/elementwise/binary.h"

namespace tenon::kernels {

/// Inputs: x, scale, bias (null where left out). Outputs: y, mean, inverse standard deviation (null where not wanted).
/// y = (x - mean) / sqrt(variance + epsilon) * scale + bias, or without the mean (RMS): x / sqrt(mean of squares + epsilon) * scale.
struct LayerNormParams {
  DType dtype = DType::kFloat32;        ///< of x
  DType scale_dtype = DType::kFloat32;  ///< of scale, and of bias
  DType out_dtype = DType::kFloat32;    ///< of y
  DType stash_dtype = DType::kFloat32;  ///< of mean and inverse standard deviation
  bool rms = false;
  bool has_bias = false;
  bool wants_mean = false;
  bool wants_inverse = false;
  bool whole_scale = false;  ///< scale and bias have n elements, one an element of a row; else they step as `shape` says
  float epsilon = 1e-5f;
  int64_t rows = 1;
  int64_t n = 1;
  int64_t chunk = 1;        ///< rows a part
  BroadcastShape<2> shape;  ///< scale and bias against all of x
};

/// scratch: 3 * n floats for LayerNormHalf, else none.
#define KERNEL(Name, when, why) Kernel<LayerNormParams> Name##Pointer();
#include "kernels/normalization/layer_norm.inc"
#undef KERNEL
extern const Table<LayerNormParams> layer_norm;

/// x as [batch, channels, inner], each group of channels / groups channels normalised by its own statistics, then scaled and shifted by
/// channel (or by group).
struct GroupNormParams {
  DType dtype = DType::kFloat32;
  bool per_group = false;
  float epsilon = 1e-5f;
  int64_t batch = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  int64_t groups = 1;
  int64_t chunk = 1;  ///< of the batch * groups groups, this many a part
};

#define KERNEL(Name, when, why) Kernel<GroupNormParams> Name##Pointer();
#include "kernels/normalization/group_norm.inc"
#undef KERNEL
extern const Table<GroupNormParams> group_norm;

/// x of [outer, n, inner] divided by the 1- or 2-norm over n; 0 where the norm is 0.
struct LpNormParams {
  DType dtype = DType::kFloat32;
  int32_t p = 2;
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
  int64_t chunk = 1;  ///< lines (of the outer * inner) a part
};
#define KERNEL(Name, when, why) Kernel<LpNormParams> Name##Pointer();
#include "kernels/normalization/lp_norm.inc"
#undef KERNEL
extern const Table<LpNormParams> lp_norm;

}  // namespace tenon::kernels
