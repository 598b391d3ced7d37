#include "ops/softmax.h"

#include <algorithm>

#include "ops/elements.h"

namespace tenon::ops {

namespace {
/// Flattened Softmax of a scalar or over no axes still sees one element a row.
Result<int64_t> axis_of(const Softmax& op, int rank) {
  if (op.flatten) return normal_axis(op.axis, rank, "axis", op.axis == rank);
  return normal_axis(op.axis, std::max(rank, 1));
}
}  // namespace

Result<Types> infer(const Softmax& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  if (in[0].ranked()) TENON_TRY(axis_of(op, in[0].rank()));
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const Softmax& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const int64_t axis, axis_of(op, static_cast<int>(dims.size())));
  kernels::SoftmaxParams p;
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
    if (i < axis) p.outer *= dims[i];
    else if (i == axis || op.flatten) p.n *= dims[i];
    else p.inner *= dims[i];
  }
  const double each = p.dtype == DType::kFloat32 ? 0.6 : 12.0;
  Cut c;
  if (p.inner == 1) {
    c = cut(p.outer, each * static_cast<double>(p.n) + 10);
    p.chunk = c.chunk;
  } else {
    // A part stays within one outer row; small rows are a part each.
    c = cut(p.inner, each * static_cast<double>(p.n), 64);
    p.chunk = std::max<int64_t>(c.chunk, 1);
    c.parts *= p.outer;
    c.nanoseconds *= static_cast<double>(p.outer);
  }
  if (count_of(dims) == 0) c.parts = 0;
  TENON_ASSIGN(Step step, ctx.choose(kernels::softmax, p, c.parts, c.nanoseconds));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
