#pragma once

#include "ops/quantized_operands.h"
#include "ops/step.h"

namespace tenon::ops {

/// y = saturate(round(((a - zero) * scale + (b - zero) * scale) / scale of y) + zero of y), computed in float32 by the quotients of scales,
/// round half to even. What passes make of DequantizeLinear, Add, QuantizeLinear.
struct QLinearAdd {
  DType to = DType::kUint8;

  bool operator==(const QLinearAdd&) const = default;
};

/// The inputs of QuantizedInput but the bias: a and b int8 or uint8 of one shape, both plain or both in quad_layout(); every scale and zero
/// point has one element. -> (y: `to`, a's shape and layout).
Result<Types> infer(const QLinearAdd&, const Types& in);
Result<Step> bind(const QLinearAdd&, const BindContext&);

}  // namespace tenon::ops
