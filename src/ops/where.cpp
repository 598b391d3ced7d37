#include "ops/where.h"

#include "kernels/elementwise/broadcast.h"
#include "kernels/elementwise/select.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const Where&, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_bool(in, 0));
  TENON_TRY(expect_same_dtype(in, 1, 2));
  TENON_ASSIGN(const Shape xy, broadcast(in[1].shape, in[2].shape));
  TENON_ASSIGN(Shape shape, broadcast(in[0].shape, xy));
  return Types{Type::of(in[1].dtype, std::move(shape))};
}

Result<Step> bind(const Where&, const BindContext& ctx) {
  kernels::WhereParams p;
  p.element_size = static_cast<int32_t>(size_of(ctx.dtype(1)));
  const Dims& out = ctx.out_dims(0);
  if (!kernels::make_broadcast_shape<3>(
          out, {std::span<const int64_t>(ctx.dims(0)), std::span<const int64_t>(ctx.dims(1)), std::span<const int64_t>(ctx.dims(2))},
          p.shape)) {
    return limit_error("broadcasting ", str(ctx.dims(0)), ", ", str(ctx.dims(1)), " and ", str(ctx.dims(2)), " needs rank over ",
                       kernels::kMaxBroadcastRank);
  }
  p.count = count_of(out);
  const Cut c = cut(p.count, p.element_size == 4 ? 0.35 : 0.8, 64);
  p.chunk = c.chunk;
  TENON_ASSIGN(Step step, ctx.choose(kernels::where, p, c.parts, c.nanoseconds));
  for (int i = 1; i <= 2; ++i)
    if (count_of(ctx.dims(i)) == p.count) step.in_place.push_back({0, i});
  return step;
}

}  // namespace tenon::ops
