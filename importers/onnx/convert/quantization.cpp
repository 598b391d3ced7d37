// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; MatMulNBits of onnxruntime.
#include "importers/onnx/convert.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/dequantize_bits.h"
#include "ops/dynamic_quantize_linear.h"
#include "ops/matmul.h"
#include "ops/pool.h"
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

/// Inputs [first, first + 3) are a tensor, its scale and its zero point.
Result<ValueId> dequantized(NodeContext& ctx, int first) {
  return ctx.add1(ops::DequantizeLinear{.to = DType::kFloat32}, {ctx.input(first), ctx.input(first + 1), ctx.input(first + 2)});
}
/// Inputs `scale` and the one after it are of the output.
Status quantized(NodeContext& ctx, ValueId y, int scale) {
  const DType to = ctx.has_input(scale + 1) ? ctx.type(scale + 1).dtype : ctx.type(0).dtype;
  TENON_ASSIGN(const ValueId q, ctx.add1(ops::QuantizeLinear{.to = to}, {y, ctx.input(scale), ctx.input(scale + 1)}));
  return ctx.set_outputs({q});
}

/// What these operators of onnxruntime mean; passes make of it what there are kernels for.
template <ops::Binary::Kind kind>
Status qlinear_binary(NodeContext& ctx) {
  TENON_ASSIGN(const ValueId a, dequantized(ctx, 0));
  TENON_ASSIGN(const ValueId b, dequantized(ctx, 3));
  TENON_ASSIGN(const ValueId y, ctx.add1(ops::Binary{kind}, {a, b}));
  return quantized(ctx, y, 6);
}

Status qlinear_global_average_pool(NodeContext& ctx) {
  TENON_ASSIGN(const int64_t last, ctx.int_attribute("channels_last", 0));
  if (last != 0) return load_error("attribute 'channels_last' is ", last, ", expected 0");
  TENON_ASSIGN(const ValueId x, dequantized(ctx, 0));
  TENON_ASSIGN(const ValueId y, ctx.add1(ops::GlobalPool{.kind = ops::GlobalPool::Kind::kAverage}, {x}));
  return quantized(ctx, y, 3);
}

/// alpha * (A B + C), where C is int32 in steps of A's scale times B's. B has one scale, or one a column.
Status qgemm(NodeContext& ctx) {
  ops::MatMul product;
  TENON_ASSIGN(const int64_t trans_a, ctx.int_attribute("transA", 0));
  TENON_ASSIGN(const int64_t trans_b, ctx.int_attribute("transB", 0));
  TENON_ASSIGN(product.alpha, ctx.float_attribute("alpha", 1.0f));
  product.matrices = true, product.trans_a = trans_a != 0, product.trans_b = trans_b != 0;
  TENON_ASSIGN(const ValueId a, dequantized(ctx, 0));
  TENON_ASSIGN(const ValueId b, ctx.add1(ops::DequantizeLinear{.to = DType::kFloat32, .axis = trans_b != 0 ? 0 : 1},
                                         {ctx.input(3), ctx.input(4), ctx.input(5)}));
  std::vector<ValueId> operands{a, b};
  if (ctx.has_input(6)) {
    TENON_ASSIGN(const ValueId steps, ctx.add1(ops::Cast{.to = DType::kFloat32}, {ctx.input(6)}));
    TENON_ASSIGN(const ValueId step, ctx.add1(ops::Binary{ops::Binary::Kind::kMul}, {ctx.input(1), ctx.input(4)}));
    TENON_ASSIGN(const ValueId c, ctx.add1(ops::Binary{ops::Binary::Kind::kMul}, {steps, step}));
    operands.push_back(c);
    product.beta = product.alpha;
  }
  TENON_ASSIGN(const ValueId y, ctx.add1(product, operands));
  return ctx.has_input(7) ? quantized(ctx, y, 7) : ctx.set_outputs({y});
}

constexpr Operator kOperators[] = {
    {"com.microsoft", "QGemm", 1, 6, 9, 1, qgemm},
    {"com.microsoft", "QLinearAdd", 1, 7, 8, 1, qlinear_binary<ops::Binary::Kind::kAdd>},
    {"com.microsoft", "QLinearGlobalAveragePool", 1, 4, 5, 1, qlinear_global_average_pool},
    {"com.microsoft", "QLinearMul", 1, 7, 8, 1, qlinear_binary<ops::Binary::Kind::kMul>},
    {"com.microsoft", "MatMulNBits", 1, 3, 6, 1, matmul_nbits},
    {"", "DequantizeLinear", 10, 2, 3, 1, dequantize_linear},
    {"", "DynamicQuantizeLinear", 11, 1, 1, 3, dynamic_quantize_linear},
    {"", "QuantizeLinear", 10, 2, 3, 1, quantize_linear},
};

}  // namespace

std::span<const Operator> quantization_operators() { return kOperators; }

}  // namespace tenon::onnx
