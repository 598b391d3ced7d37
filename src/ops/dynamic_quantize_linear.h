#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// ONNX DynamicQuantizeLinear: x quantised to uint8 with the scale and zero point that its range, 0 included, asks for. Where x is nothing
/// but 0 the scale is 1.
struct DynamicQuantizeLinear {
  bool operator==(const DynamicQuantizeLinear&) const = default;
};

/// (x: float32[...]) -> (y: uint8, x's shape; y_scale: float32 scalar; y_zero_point: uint8 scalar).
Result<Types> infer(const DynamicQuantizeLinear&, const Types& in);
Result<Step> bind(const DynamicQuantizeLinear&, const BindContext&);

}  // namespace tenon::ops
