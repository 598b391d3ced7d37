#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Each group of channels (dim 1) of each batch element (dim 0), with the dims that follow, is brought to mean 0 and variance 1, then
/// scaled and shifted. GroupNormalization (opset 21; opset 18 with per_group) and, with num_groups 0, InstanceNormalization.
struct GroupNormalization {
  int64_t num_groups = 0;  ///< 0: every channel is a group
  float epsilon = 1e-5f;
  bool per_group = false;  ///< scale and bias have one element a group instead of one a channel

  bool operator==(const GroupNormalization&) const = default;
};

/// (x: float[N, C, ...], scale: [C], bias: [C]) -> (y: x's type).
Result<Types> infer(const GroupNormalization&, const Types& in);
Result<Step> bind(const GroupNormalization&, const BindContext&);

}  // namespace tenon::ops
