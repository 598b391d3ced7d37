#include "ops/compress.h"

#include <algorithm>

#include "kernels/indexing/indexing.h"

namespace tenon::ops {

Result<Types> infer(const Compress& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_bool(in, 1));
  TENON_TRY(expect_rank_at_least(in, 0, 1));
  TENON_TRY(expect_rank(in, 1, 1));
  Dim chosen = Dim::unknown();
  if (const auto condition = ints_of(in, 1))
    chosen = Dim(std::count_if(condition->begin(), condition->end(), [](int64_t v) { return v != 0; }));
  if (!op.axis) return Types{Type::of(in[0].dtype, Shape{chosen})};
  if (!in[0].ranked()) return Types{Type::unranked(in[0].dtype)};
  TENON_ASSIGN(const int64_t axis, normal_axis(*op.axis, in[0].rank()));
  Shape out = in[0].shape;
  out[axis] = chosen;
  return Types{Type::of(in[0].dtype, std::move(out))};
}

Result<Step> bind(const Compress& op, const BindContext&) {
  Step step;
  step.kernel = "Compress";
  step.dynamic = [op](ExecContext& ctx) -> Status {
    const Tensor &x = *ctx.input(0), &condition = *ctx.input(1);
    const int64_t axis = op.axis ? *op.axis + (*op.axis < 0 ? x.rank() : 0) : 0;
    int64_t outer = 1, length = 1, inner = static_cast<int64_t>(size_of(x.dtype()));
    for (int d = 0; d < x.rank(); ++d) (!op.axis || d == axis ? length : d < axis ? outer : inner) *= x.dims()[d];
    const bool* keep = condition.as<const bool>();
    int64_t kept = 0;
    for (int64_t j = 0; j < condition.count(); ++j) {
      if (!keep[j]) continue;
      if (j >= length) return run_error("input 1 chooses position ", j, " of an axis of ", length, " elements");
      ++kept;
    }
    Dims dims = op.axis ? x.dims() : Dims{0};
    dims[op.axis ? axis : 0] = kept;
    TENON_ASSIGN(Tensor y, ctx.allocate(x.dtype(), std::move(dims)));
    kernels::compress_slices(x.data(), keep, std::min(length, condition.count()), outer, length, inner, y.data());
    ctx.set_output(0, std::move(y));
    return {};
  };
  return step;
}

}  // namespace tenon::ops
