#include "ops/gather_elements.h"

#include "ops/index_lines.h"

namespace tenon::ops {

Result<Types> infer(const GatherElements& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_indices_along(in, op.axis));
  return Types{Type::of(in[0].dtype, in[1].shape)};
}

Result<Step> bind(const GatherElements& op, const BindContext& ctx) {
  kernels::GatherElementsParams p;
  p.element = static_cast<int32_t>(size_of(ctx.dtype(0)));
  p.walk = index_lines(ctx.dims(0), ctx.dims(1), op.axis, ctx.dtype(1));
  return ctx.choose(kernels::gather_elements, p, p.walk.parts(), 1.5 * static_cast<double>(p.walk.lines * p.walk.length));
}

}  // namespace tenon::ops
