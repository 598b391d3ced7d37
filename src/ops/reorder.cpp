#include "ops/reorder.h"

#include "kernels/integer/conv.h"
#include "kernels/reorder/reorder.h"
#include "ops/elements.h"
#include "ops/quantized_operands.h"

namespace tenon::ops {

Result<Types> infer(const Reorder& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32, DType::kInt8, DType::kUint8}));
  TENON_TRY(expect_rank_at_least(in, 0, 2));
  const bool known =
      in[0].dtype == DType::kFloat32 ? in[0].layout.plain() != op.to.plain() : in[0].layout == quad_layout() && op.to.plain();
  if (!known || in[0].layout.kind == Layout::Kind::kPacked || op.to.kind == Layout::Kind::kPacked) {
    return error(Code::kInternal, "no reorder from layout ", in[0].layout.str(), " to ", op.to.str());
  }
  Type y = Type::of(in[0].dtype, in[0].shape);
  y.layout = op.to;
  return Types{std::move(y)};
}

Result<Step> bind(const Reorder& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  if (ctx.dtype(0) != DType::kFloat32) {
    kernels::QuadRowsParams q{.dtype = ctx.dtype(0), .batch = x[0], .channels = x[1]};
    for (size_t i = 2; i < x.size(); ++i) q.pixels *= x[i];
    Step step;
    step.kernel = "QuadRows";
    if (count_of(x) > 0)
      step.phases.push_back(Step::phase(kernels::QuadRowsPointer(), q, q.parts(), static_cast<double>(count_of(x)) * 0.1));
    return step;
  }
  kernels::ReorderParams p;
  p.to_blocked = !op.to.plain();
  p.block = (p.to_blocked ? op.to : ctx.layout(0)).block;
  p.batch = x[0], p.channels = x[1];
  for (size_t i = 2; i < x.size(); ++i) p.pixels *= x[i];
  Step step;
  if (p.pixels == 1 && p.channels % p.block == 0) {  // the two orders are the same
    step.kernel = "View";
    step.views.push_back({0, 0, 0});
    return step;
  }
  plan_reorder(p);
  step.kernel = "Reorder";
  step.phases.push_back(Step::phase(kernels::ReorderPointer(), p, p.parts(), static_cast<double>(count_of(x)) * 0.3));
  return step;
}

}  // namespace tenon::ops
