#include "ops/unary.h"

#include "ops/elements.h"

namespace tenon::ops {

std::string_view name_of(Unary::Kind kind) {
  static constexpr std::string_view kNames[] = {
      "Abs",         "Acos",      "Acosh", "Asin",  "Asinh",     "Atan",    "Atanh",          "BitwiseNot", "Ceil",
      "Celu",        "Cos",       "Cosh",  "Elu",   "Erf",       "Exp",     "Floor",          "Gelu",       "GeluTanh",
      "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Log",     "Mish",           "Neg",        "Not",
      "Reciprocal",  "Relu",      "Round", "Selu",  "Shrink",    "Sigmoid", "Sign",           "Sin",        "Sinh",
      "Softplus",    "Softsign",  "Sqrt",  "Swish", "Tan",       "Tanh",    "ThresholdedRelu"};
  static_assert(std::size(kNames) == kernels::kUnaryKinds);
  return kNames[static_cast<int>(kind)];
}

Result<Types> infer(const Unary& op, const Types& in) {
  using K = Unary::Kind;
  TENON_TRY(expect_inputs(in, 1));
  Type out = Type::of(in[0].dtype, in[0].shape);
  out.layout = in[0].layout;
  switch (op.kind) {
    // clang-format off
    case K::kAbs: case K::kErf: case K::kNeg: case K::kRelu: case K::kShrink: case K::kSign: TENON_TRY(expect_numeric(in, 0)); break;
    // clang-format on
    case K::kBitwiseNot: TENON_TRY(expect_integer(in, 0)); break;
    case K::kNot: TENON_TRY(expect_bool(in, 0)); break;
    case K::kIsInf:
    case K::kIsNaN:
      TENON_TRY(expect_dtype(in, 0,
                             {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kFloat8E4M3FN,
                              DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2, DType::kFloat8E5M2FNUZ}));
      out.dtype = DType::kBool;
      break;
    default: TENON_TRY(expect_float(in, 0));
  }
  return Types{std::move(out)};
}

Result<Step> bind(const Unary& op, const BindContext& ctx) {
  kernels::UnaryParams p;
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  p.alpha = op.alpha;
  p.beta = op.beta;
  p.count = physical_count(ctx.dims(0), ctx.layout(0));
  const Cut c = cut(p.count, kernels::unary_cost(op.kind, p.dtype), 64);
  p.chunk = c.chunk;
  TENON_ASSIGN(Step step, ctx.choose(kernels::unary, p, c.parts, c.nanoseconds));
  if (size_of(ctx.dtype(0)) == size_of(ctx.out_dtype(0))) step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
