#include "ops/top_k.h"

#include <algorithm>
#include <cmath>

#include "kernels/indexing/indexing.h"

namespace tenon::ops {

Result<Types> infer(const TopK& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  if (in[1].ranked()) {
    const Dim count = in[1].shape.count();
    if (in[1].rank() > 1 || (count.is_const() && count.value() != 1)) {
      return input_error(1, "has shape ", in[1].shape.str(), ", expected k, one element");
    }
  }
  Dim k = Dim::unknown();
  if (const auto contents = contents_of(in, 1); contents && contents->size() == 1) k = (*contents)[0];
  if (k.is_const() && k.value() < 0) return input_error(1, "is k = ", k.value(), ", expected 0 or more");
  if (!in[0].ranked()) return Types{Type::unranked(in[0].dtype), Type::unranked(DType::kInt64)};
  TENON_TRY(expect_rank_at_least(in, 0, 1));
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, in[0].rank()));
  Shape out = in[0].shape;
  if (k.is_const() && out[axis].is_const() && k.value() > out[axis].value()) {
    return input_error(1, "is k = ", k.value(), ", expected at most ", out[axis].value(), ", the size of axis ", axis, " of input 0 ",
                       in[0].shape.str());
  }
  out[axis] = k;
  return Types{Type::of(in[0].dtype, out), Type::of(DType::kInt64, out)};
}

Result<Step> bind(const TopK& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, static_cast<int>(dims.size())));
  kernels::TopKParams p;
  p.dtype = ctx.dtype(0);
  p.largest = op.largest;
  p.n = dims[axis];
  p.k = ctx.out_dims(0)[axis];
  for (int d = 0; d < static_cast<int>(dims.size()); ++d) {
    if (d < axis) p.outer *= dims[d];
    if (d > axis) p.inner *= dims[d];
  }
  p.lines_per_part = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, p.n));
  const double per_line = 2.0 * static_cast<double>(p.n) + 2.0 * static_cast<double>(p.k) * std::log2(static_cast<double>(p.k) + 1);
  TENON_ASSIGN(Step step, ctx.choose(kernels::top_k, p, p.parts(), per_line * static_cast<double>(p.outer * p.inner)));
  step.scratch_bytes = p.scratch_bytes();
  return step;
}

}  // namespace tenon::ops
