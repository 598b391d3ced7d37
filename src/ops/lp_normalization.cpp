#include "ops/lp_normalization.h"

#include <algorithm>

#include "kernels/normalization/layer_norm.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const LpNormalization& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  if (op.p != 1 && op.p != 2) return shape_error("attribute 'p' is ", op.p, ", expected 1 or 2");
  if (in[0].ranked()) TENON_TRY(normal_axis(op.axis, std::max(in[0].rank(), 1)));
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const LpNormalization& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, std::max<int>(static_cast<int>(dims.size()), 1)));
  kernels::LpNormParams p;
  p.dtype = ctx.dtype(0);
  p.p = static_cast<int32_t>(op.p);
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) (i < axis ? p.outer : i == axis ? p.n : p.inner) *= dims[i];
  Cut c = cut(p.outer * p.inner, (p.dtype == DType::kFloat32 ? 0.3 : 6.0) * static_cast<double>(p.n) + 10);
  p.chunk = c.chunk;
  if (count_of(dims) == 0) c.parts = 0;
  TENON_ASSIGN(Step step, ctx.choose(kernels::lp_norm, p, c.parts, c.nanoseconds));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
