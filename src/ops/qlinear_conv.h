#pragma once

#include <memory>
#include <optional>

#include "ops/matmul.h"
#include "ops/quantized_operands.h"
#include "ops/window.h"

namespace tenon::ops {

/// Convolution of 8-bit integers less their zero points, over one to three spatial dims of [N, C, spatial...], summed in 32 bits that wrap;
/// zero points lie outside of x. ONNX ConvInteger (to int32), QLinearConv (to int8 or uint8), and what passes make of them (to float32):
/// results and rounding as QLinearMatMul's, of the sum plus the bias.
struct QLinearConv {
  Window window;
  int64_t group = 1;
  DType to = DType::kUint8;
  bool quads = false;  ///< y is in quad_layout(); 8-bit results only

  bool operator==(const QLinearConv&) const = default;
};

/// The inputs of QuantizedInput: x and w [M, C/group, kernel...] int8 or uint8; scales float32, float16 or bfloat16 of one dtype. Those of w
/// and its zero points have one element or M, the others one. bias: int32 [M]. w may be packed (pack_integer_filters); its type then
/// keeps the logical shape. x may be in quad_layout() where w is packed. Groups
/// of what is in that layout are whole quads, or all.
Result<Types> infer(const QLinearConv&, const Types& in);
Result<Step> bind(const QLinearConv&, const BindContext&);

/// Whether x, or y, of a convolution with w of these dims can be in quad_layout().
bool takes_quads(const QLinearConv& op, const Dims& w);
bool gives_quads(const QLinearConv& op, const Dims& w);

/// Constant w, packed for the instruction set in use. nullopt when it is empty, or has more than three spatial dims.
Result<std::optional<PackedWeights>> pack_integer_filters(const QLinearConv& op, const Tensor& w,
                                                          std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops
