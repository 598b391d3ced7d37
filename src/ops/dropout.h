#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Dropout, opset 13 meaning. Without training_mode, or with ratio 0, y is x and the mask all true. In training mode the elements
/// kept are those where numpy's RandomState(seed).uniform() >= ratio, so a seed means what it means to ONNX's reference.
struct Dropout {
  int64_t seed = 0;

  bool operator==(const Dropout&) const = default;
};

/// (x: float, ratio?: float scalar, training_mode?: bool scalar) -> (y: same type, mask: bool, same shape).
Result<Types> infer(const Dropout&, const Types& in);
Result<Step> bind(const Dropout&, const BindContext&);

}  // namespace tenon::ops
