#include "ops/cumulative.h"

#include "kernels/reduction/arg_reduce.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const Cumulative&, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  TENON_TRY(expect_index(in, 1));
  if (in[1].ranked() && !(in[1].rank() == 0 || (in[1].rank() == 1 && (!in[1].shape[0].is_const() || in[1].shape[0].is(1))))) {
    return input_error(1, "(axis) has shape ", in[1].shape.str(), ", expected a scalar");
  }
  if (in[0].ranked()) {
    const auto axis = ints_of(in, 1);
    if (axis && axis->size() == 1) TENON_TRY(normal_axis((*axis)[0], in[0].rank()));
  }
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

namespace {

struct Lines {
  kernels::CumulativeParams params;
  kernels::Kernel<kernels::CumulativeParams> kernel;
  DType axis_dtype;
  int32_t rank;
  int64_t dims[16];
};

void split_at(kernels::CumulativeParams& p, const int64_t* dims, int rank, int64_t axis) {
  p.n = dims[axis];
  p.outer = p.inner = 1;
  for (int64_t i = 0; i < axis; ++i) p.outer *= dims[i];
  for (int64_t i = axis + 1; i < rank; ++i) p.inner *= dims[i];
}

/// The axis is known only now: one part, all lines.
void run_lines(const Lines& l, const kernels::Call& call, kernels::Range range) {
  if (range.begin >= range.end) return;
  int64_t axis = l.axis_dtype == DType::kInt32 ? *call.in<int32_t>(1) : *call.in<int64_t>(1);
  if (axis < -l.rank || axis >= l.rank) return call.fault->report(kernels::Fault::kIndex, axis, l.rank, 1);
  if (axis < 0) axis += l.rank;
  kernels::CumulativeParams p = l.params;
  split_at(p, l.dims, l.rank, axis);
  p.chunk = p.outer * p.inner;
  l.kernel(p, call, {0, 1});
}

}  // namespace

Result<Step> bind(const Cumulative& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  const int rank = static_cast<int>(dims.size());
  if (rank == 0) {
    return shape_error("input 0 is a scalar, expected rank 1 or more");
  }
  kernels::CumulativeParams p;
  p.dtype = ctx.dtype(0);
  p.product = op.kind == Cumulative::Kind::kProd;
  p.exclusive = op.exclusive;
  p.reverse = op.reverse;
  const double nanoseconds = static_cast<double>(count_of(dims)) * 1.5;
  if (const Tensor* axis = ctx.constant(1); axis && axis->count() == 1) {
    TENON_ASSIGN(const int64_t a, normal_axis(axis->to_ints()[0], rank));
    split_at(p, dims.data(), rank, a);
    const Cut c = cut(p.outer * p.inner, 1.5 * static_cast<double>(p.n) + 3);
    p.chunk = c.chunk;
    TENON_ASSIGN(Step step, ctx.choose(kernels::cumulative, p, c.parts, c.nanoseconds));
    step.in_place.push_back({0, 0});
    return step;
  }
  Lines l{p, kernels::cumulative.rows[0].pointer(), ctx.dtype(1), rank, {}};
  if (rank > 16) return limit_error("rank ", rank, " is over 16");
  for (int i = 0; i < rank; ++i) l.dims[i] = dims[i];
  Step step;
  step.kernel = kernels::cumulative.rows[0].name;
  step.phases.push_back(Step::phase<Lines>(run_lines, l, 1, nanoseconds));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
