#include "ops/qlinear_add.h"

#include "kernels/integer/add.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {
constexpr const char* kNames[kQuantizedInputs] = {"a",       "a_scale",      "a_zero_point", "b", "b_scale", "b_zero_point",
                                                  "y_scale", "y_zero_point", "bias"};
}  // namespace

Result<Types> infer(const QLinearAdd& op, const Types& in) {
  TENON_TRY(check_quantized_inputs(in, op.to, kNames));
  if (op.to != DType::kInt8 && op.to != DType::kUint8)
    return shape_error("the result has dtype ", name_of(op.to), ", expected int8 or uint8");
  if (has(in, kBias)) return shape_error("bias is given, expected none");
  const Type &a = in[kA], &b = in[kB];
  if (!(a.layout == b.layout) || !(a.layout.plain() || a.layout == quad_layout())) {
    return error(Code::kInternal, "a has layout ", a.layout.str(), ", b ", b.layout.str(), ", expected plain or quads for both");
  }
  if (!(a.shape == b.shape)) return shape_error("b has shape ", b.shape.str(), ", expected ", a.shape.str(), ", that of a");
  for (const int i : {kAScale, kAZero, kBScale, kBZero, kYScale, kYZero}) TENON_TRY(expect_one_element(in, i, kNames));
  Type y = Type::of(op.to, a.shape);
  y.layout = a.layout;
  return Types{std::move(y)};
}

Result<Step> bind(const QLinearAdd& op, const BindContext& ctx) {
  kernels::QuantizedAddParams p{.a = ctx.dtype(kA), .b = ctx.dtype(kB), .y = op.to, .scale = ctx.dtype(kAScale)};
  p.a_zero = ctx.has_input(kAZero), p.b_zero = ctx.has_input(kBZero), p.y_zero = ctx.has_input(kYZero);
  p.quads = !ctx.layout(kA).plain();
  p.count = physical_count(ctx.dims(kA), ctx.layout(kA));
  const Cut c = cut(p.count, 0.1, 64);
  p.chunk = c.chunk;
  TENON_ASSIGN(Step step, ctx.choose(kernels::quantized_add, p, c.parts, c.nanoseconds));
  step.in_place.push_back({0, kA});
  step.in_place.push_back({0, kB});
  return step;
}

}  // namespace tenon::ops
