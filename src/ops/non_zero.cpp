#include "ops/non_zero.h"

#include <algorithm>

#include "kernels/indexing/indexing.h"

namespace tenon::ops {

Result<Types> infer(const NonZero&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  if (in[0].ranked() && in[0].rank() > kernels::kMaxIndexRank)
    return limit_error("input 0 has rank ", in[0].rank(), ", at most ", kernels::kMaxIndexRank, " is supported");
  Dim count = Dim::unknown();
  if (const Tensor* t = in[0].constant) {
    count = Dim(kernels::count_nonzero(t->dtype(), t->data(), t->count()));
  } else if (const auto values = ints_of(in, 0)) {
    count = Dim(std::count_if(values->begin(), values->end(), [](int64_t v) { return v != 0; }));
  }
  const Dim rank = in[0].ranked() ? Dim(in[0].rank()) : Dim::unknown();
  return Types{Type::of(DType::kInt64, Shape{rank, count})};
}

Result<Step> bind(const NonZero&, const BindContext&) {
  Step step;
  step.kernel = "NonZero";
  step.dynamic = [](ExecContext& ctx) -> Status {
    const Tensor& x = *ctx.input(0);
    const int64_t count = kernels::count_nonzero(x.dtype(), x.data(), x.count());
    TENON_ASSIGN(Tensor y, ctx.allocate(DType::kInt64, {x.rank(), count}));
    kernels::write_nonzero(x.dtype(), x.data(), x.dims().data(), x.rank(), count, y.as<int64_t>());
    ctx.set_output(0, std::move(y));
    return {};
  };
  return step;
}

}  // namespace tenon::ops
