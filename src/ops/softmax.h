#pragma once

#include "kernels/normalization/softmax.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Softmax, LogSoftmax or Hardmax along one axis, with ONNX opset 13 meaning; or, with `flatten`, over all axes from `axis` on
/// together (opsets 1 to 12).
struct Softmax {
  using Kind = kernels::SoftmaxKind;
  Kind kind = Kind::kSoftmax;
  int64_t axis = -1;  ///< negative counts from the last dim
  bool flatten = false;

  bool operator==(const Softmax&) const = default;
};

/// (x: float) -> (y: same type).
Result<Types> infer(const Softmax&, const Types& in);
Result<Step> bind(const Softmax&, const BindContext&);

}  // namespace tenon::ops
