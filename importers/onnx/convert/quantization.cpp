// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; MatMulNBits of onnxruntime.
#include "importers/onnx/convert.h"
#include "ops/dequantize_bits.h"
#include "ops/dynamic_quantize_linear.h"
#include "ops/matmul.h"
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

/// The product with weights that are dequantised first, which is what it means; a pass gives constant weights to the product as they are.
/// accuracy_level allows less than float32 and is not made use of.
Status matmul_nbits(NodeContext& ctx) {
  ops::DequantizeBits weights;
  TENON_ASSIGN(weights.k, ctx.int_attribute("K"));
  TENON_ASSIGN(weights.n, ctx.int_attribute("N"));
  TENON_ASSIGN(weights.bits, ctx.int_attribute("bits", 4));
  TENON_ASSIGN(weights.block_size, ctx.int_attribute("block_size"));
  TENON_TRY(ctx.int_attribute("accuracy_level", 0));
  TENON_ASSIGN(const int64_t prepacked, ctx.int_attribute("weight_prepacked", 0));
  if (prepacked != 0) return load_error("attribute 'weight_prepacked' is ", prepacked, ", expected 0: the layout is of another machine");
  TENON_ASSIGN(const ValueId b, ctx.add1(weights, {ctx.input(1), ctx.input(2), ctx.input(3), ctx.input(4)}));
  const Type &a = ctx.type(0), &bias = ctx.type(5);
  if (a.ranked() && (a.rank() == 0 || ops::dims_equal(a.shape[static_cast<size_t>(a.rank() - 1)], weights.k) == false)) {
    return shape_error("input 0 has shape ", a.shape.str(), ", expected ", weights.k, " (attribute 'K') in the last dim");
  }
  if (ctx.has_input(5) && bias.ranked() && (bias.rank() != 1 || ops::dims_equal(bias.shape[0], weights.n) == false)) {
    return shape_error("input 5 (bias) has shape ", bias.shape.str(), ", expected [", weights.n, "] (attribute 'N')");
  }
  std::vector<ValueId> inputs{ctx.input(0), b};
  if (ctx.has_input(5)) inputs.push_back(ctx.input(5));
  TENON_ASSIGN(const ValueId y, ctx.add1(ops::MatMul{.trans_b = true}, inputs));
  return ctx.set_outputs({y});
}

Status dynamic_quantize_linear(NodeContext& ctx) { return ctx.become(ops::DynamicQuantizeLinear{}); }

constexpr Operator kOperators[] = {
    {"com.microsoft", "MatMulNBits", 1, 3, 6, 1, matmul_nbits},
    {"", "DequantizeLinear", 10, 2, 3, 1, dequantize_linear},
    {"", "DynamicQuantizeLinear", 11, 1, 1, 3, dynamic_quantize_linear},
    {"", "QuantizeLinear", 10, 2, 3, 1, quantize_linear},
};

}  // namespace

std::span<const Operator> quantization_operators() { return kOperators; }

}  // namespace tenon::onnx
