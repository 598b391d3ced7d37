#include "ops/trilu.h"

#include "ops/copy.h"

namespace tenon::ops {

Result<Types> infer(const Trilu&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_rank_at_least(in, 0, 2));
  if (has(in, 1)) {
    TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
    if (in[1].is_static() && !in[1].shape.count().is(1)) return input_error(1, "has shape ", in[1].shape.str(), ", expected one element");
  }
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const Trilu& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  TENON_TRY(byte_strides(x, ctx.dtype(0)));
  if (is_empty(x)) return Step{};
  kernels::TriangleParams p;
  p.upper = op.upper;
  p.has_k = ctx.has_input(1);
  p.element = static_cast<int32_t>(size_of(ctx.dtype(0)));
  p.rows = x[x.size() - 2];
  p.columns = x[x.size() - 1];
  p.matrices = product(x, 0, x.size() - 2);
  p.rows_per_part = kernels::rows_per_part(p.columns * p.element);
  const double rows = static_cast<double>(p.matrices) * static_cast<double>(p.rows);
  TENON_ASSIGN(Step step,
               ctx.choose(kernels::triangle_table, p, p.parts(), rows * (10 + 0.05 * static_cast<double>(p.columns * p.element))));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
