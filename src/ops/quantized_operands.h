// What operators on 8-bit integers share: the operands with their scales and zero points, in the order of ONNX's QLinearMatMul and
// QLinearConv.
#pragma once

#include "ops/infer.h"

namespace tenon::ops {

/// Inputs of QLinearMatMul and QLinearConv. Scales, zero points and bias may be left out where the operator says so.
enum QuantizedInput : int { kA, kAScale, kAZero, kB, kBScale, kBZero, kYScale, kYZero, kBias, kQuantizedInputs };

/// Dtypes of operands, scales and zero points, and which of them there are for results of dtype `to`: int32, the sums, without any scale;
/// float32, scaled by those of the operands; int8 or uint8 with scale and zero point of their own. `names`: of the inputs, for messages.
Status check_quantized_inputs(const Types& in, DType to, const char* const* names);

/// [N, C/4, spatial..., 4], unsigned: elements of int8 have 128 added, which their type does not say; zero points stay as they are. Lanes
/// beyond the last channel hold anything.
inline Layout quad_layout() { return {Layout::Kind::kChannelBlocked, 4, 0}; }

/// Scale or zero point i has one element.
Status expect_one_element(const Types& in, int i, const char* const* names);

}  // namespace tenon::ops
