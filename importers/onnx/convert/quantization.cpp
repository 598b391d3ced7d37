// QuantizeLinear, DequantizeLinear.
#include "importers/onnx/convert.h"
#include "ops/quantize.h"

namespace tenon::onnx {

namespace {

/// An attribute that names a dtype; 0 and its absence mean kUndefined.
Result<DType> dtype_attribute(NodeContext& ctx, std::string_view name) {
  TENON_ASSIGN(const int64_t value, ctx.int_attribute(name, 0));
  if (value == 0) return DType::kUndefined;
  if (value < 0 || value > INT32_MAX || !is_valid(static_cast<int32_t>(value))) {
    return load_error("attribute '", name, "' is ", value, ", which is no data type of this engine");
  }
  return static_cast<DType>(value);
}

/// Attributes of younger opsets are read always: older models do not have them.
Status quantize_linear(NodeContext& ctx) {
  ops::QuantizeLinear op;
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", 1));
  TENON_ASSIGN(op.block_size, ctx.int_attribute("block_size", 0));
  TENON_ASSIGN(const int64_t saturate, ctx.int_attribute("saturate", 1));
  op.saturate = saturate != 0;
  TENON_ASSIGN(op.precision, dtype_attribute(ctx, "precision"));
  TENON_ASSIGN(const DType output, dtype_attribute(ctx, "output_dtype"));
  op.to = output != DType::kUndefined ? output : ctx.has_input(2) ? ctx.type(2).dtype : DType::kUint8;
  return ctx.become(op);
}

Status dequantize_linear(NodeContext& ctx) {
  ops::DequantizeLinear op;
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", 1));
  TENON_ASSIGN(op.block_size, ctx.int_attribute("block_size", 0));
  TENON_ASSIGN(const DType output, dtype_attribute(ctx, "output_dtype"));
  op.to = output != DType::kUndefined ? output : ctx.type(1).dtype;
  return ctx.become(op);
}

constexpr Operator kOperators[] = {
    {"", "DequantizeLinear", 10, 2, 3, 1, dequantize_linear},
    {"", "QuantizeLinear", 10, 2, 3, 1, quantize_linear},
};

}  // namespace

std::span<const Operator> quantization_operators() { return kOperators; }

}  // namespace tenon::onnx
