#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// y = (x - mean) / sqrt(var + epsilon) * scale + bias for each channel (dim 1; a tensor of rank 1 is one channel).
struct BatchNormalization {
  float epsilon = 1e-5f;
  float momentum = 0.9f;
  bool training = false;  ///< mean and var are those of x; the inputs are running statistics that are updated
  bool spatial = true;    ///< false (opsets below 9): every position of dims 1.. is a channel of its own

  bool operator==(const BatchNormalization&) const = default;
};

/// (x: float[N, C, ...], scale: [C], bias: [C], mean: [C], var: [C]) -> (y: as x). When training also running mean, running var, and the
/// mean and variance of x. scale and bias, and mean and var, may have a float type of their own.
Result<Types> infer(const BatchNormalization&, const Types& in);
Result<Step> bind(const BatchNormalization&, const BindContext&);

}  // namespace tenon::ops
