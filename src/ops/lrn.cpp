#include "ops/lrn.h"

#include <algorithm>
#include <limits>

#include "kernels/pool/pool.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const Lrn& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_rank_at_least(in, 0, 2));
  if (op.size < 1) return shape_error("size is ", op.size, ", expected 1 or more");
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const Lrn& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  kernels::LrnParams p;
  p.dtype = ctx.dtype(0);
  p.batch = x[0], p.channels = x[1];
  for (size_t i = 2; i < x.size(); ++i) p.pixels *= x[i];
  p.size = std::min(op.size, std::numeric_limits<int64_t>::max() / 2);
  p.alpha = op.alpha, p.beta = op.beta, p.bias = op.bias;
  Step step;
  step.kernel = "Lrn";
  const double window = static_cast<double>(std::min(op.size, p.channels));
  step.phases.push_back(Step::phase(kernels::LrnPointer(), p, p.batch * p.channels, static_cast<double>(count_of(x)) * (3 + window)));
  return step;
}

}  // namespace tenon::ops
