// MatMul, Gemm, Einsum, and products of 8-bit integers.
#include "importers/onnx/convert.h"
#include "ops/einsum.h"
#include "ops/matmul.h"
#include "ops/qlinear_matmul.h"

namespace tenon::onnx {

namespace {

Status convert_matmul(NodeContext& ctx) { return ctx.become(ops::MatMul{}); }

/// Before opset 7 `broadcast` said whether C may be broadcast; it then always may.
Status convert_gemm(NodeContext& ctx) {
  ops::MatMul op;
  op.matrices = true;
  TENON_ASSIGN(op.alpha, ctx.float_attribute("alpha", 1.0f));
  TENON_ASSIGN(op.beta, ctx.float_attribute("beta", 1.0f));
  TENON_ASSIGN(const int64_t trans_a, ctx.int_attribute("transA", 0));
  TENON_ASSIGN(const int64_t trans_b, ctx.int_attribute("transB", 0));
  op.trans_a = trans_a != 0;
  op.trans_b = trans_b != 0;
  if (ctx.opset() < 7) TENON_TRY(ctx.int_attribute("broadcast", 0));
  return ctx.become(op);
}

Status convert_einsum(NodeContext& ctx) {
  ops::Einsum op;
  TENON_ASSIGN(op.equation, ctx.string_attribute("equation"));
  return ctx.become(op);
}

Status convert_matmul_integer(NodeContext& ctx) {
  TENON_ASSIGN(const ValueId y,
               ctx.add1(ops::QLinearMatMul{DType::kInt32}, {ctx.input(0), kNone, ctx.input(2), ctx.input(1), kNone, ctx.input(3)}));
  return ctx.set_outputs({y});
}

Status convert_qlinear_matmul(NodeContext& ctx) { return ctx.become(ops::QLinearMatMul{ctx.type(7).dtype}); }

constexpr Operator kOperators[] = {
    {"", "MatMul", 1, 2, 2, 1, convert_matmul},
    {"", "Gemm", 1, 2, 3, 1, convert_gemm},
    {"", "MatMulInteger", 10, 2, 4, 1, convert_matmul_integer},
    {"", "QLinearMatMul", 10, 8, 8, 1, convert_qlinear_matmul},
    {"", "Einsum", 12, 1, INT32_MAX, 1, convert_einsum},
};

}  // namespace

std::span<const Operator> linear_operators() { return kOperators; }

}  // namespace tenon::onnx
