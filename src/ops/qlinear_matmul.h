#pragma once

#include <memory>
#include <optional>

#include "ops/matmul.h"
#include "ops/quantized_operands.h"

namespace tenon::ops {

/// Products of 8-bit integers less their zero points, with numpy's rules for any rank, summed in 32 bits that wrap. ONNX MatMulInteger
/// (to int32), QLinearMatMul (to int8 or uint8: saturate(round(sum * (a_scale * b_scale / y_scale)) + y_zero_point), round half to even), and
/// what passes make of them (to float32: sum * (a_scale * b_scale) + bias). B may be packed (pack_integer_weights); its type then keeps
/// the logical shape [..., K, N].
struct QLinearMatMul {
  DType to = DType::kUint8;

  bool operator==(const QLinearMatMul&) const = default;
};

/// The inputs of QuantizedInput: a and b int8 or uint8; scales float32, float16 or bfloat16 of one dtype. Scales and zero points of a have
/// one element, one a row [M], or the shape [..., M, 1]; those of b one element, one a column [N], or [..., 1, N]; those of y one element.
/// bias: float32 [N], for float32 results only.
Result<Types> infer(const QLinearMatMul&, const Types& in);
Result<Step> bind(const QLinearMatMul&, const BindContext&);

/// A constant b, packed for the instruction set in use, as pack_matmul_weights does. nullopt when packing would not help: vectors, a single
/// column, empty matrices.
Result<std::optional<PackedWeights>> pack_integer_weights(const Tensor& b, std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops
