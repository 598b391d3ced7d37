#include "ops/expand.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

Result<Types> infer(const Expand&, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  TENON_TRY(expect_rank(in, 1, 1));
  const Type& x = in[0];
  const auto target = contents_of(in, 1);
  if (!target) {
    // Only the number of dims may be known; a dim that is surely not 1 stays.
    if (!x.ranked() || !in[1].is_static()) return Types{Type::unranked(x.dtype)};
    const int64_t wanted = in[1].shape[0].value();
    if (wanted > 64) return Types{Type::unranked(x.dtype)};
    DimList out;
    for (int64_t i = x.rank(); i < wanted; ++i) out.push_back(Dim::unknown());
    for (const Dim& d : x.shape) out.push_back(d.is_const() && !d.is(1) ? d : Dim::unknown());
    for (size_t i = static_cast<size_t>(std::max<int64_t>(0, wanted - x.rank())); i < out.size(); ++i) {
      const bool free = static_cast<int64_t>(out.size() - i) > wanted;  // beyond what the shape reaches
      if (free) out[i] = x.shape[i];
    }
    return Types{Type::of(x.dtype, Shape(std::move(out)))};
  }
  DimList wanted;
  for (const Dim& d : *target) {
    if (d.is_const() && d.value() < 0) return shape_error("shape ", Shape(*target).str(), " has the negative dim ", d.value());
    wanted.push_back(is_certain(d) ? d : Dim::unknown());
  }
  TENON_ASSIGN(Shape out, broadcast(x.shape, Shape(std::move(wanted))));
  return Types{Type::of(x.dtype, std::move(out))};
}

Result<Step> bind(const Expand&, const BindContext& ctx) {
  const Dims &from = ctx.dims(0), &to = ctx.out_dims(0);
  TENON_ASSIGN(const Dims strides, byte_strides(from, ctx.dtype(0)));
  std::vector<kernels::CopyLoop> loops;
  const size_t added = to.size() - from.size();
  for (size_t i = 0; i < to.size(); ++i) {
    const bool moves = i >= added && from[i - added] != 1;
    loops.push_back({to[i], moves ? strides[i - added] : 0, 0});
  }
  return copy_step(ctx, std::move(loops));
}

Result<Types> infer(const Tile&, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  TENON_TRY(expect_rank(in, 1, 1));
  const Type& x = in[0];
  if (!x.ranked()) return Types{Type::unranked(x.dtype)};
  const auto repeats = contents_of(in, 1);
  if (repeats && static_cast<int>(repeats->size()) != x.rank()) {
    return shape_error("repeats has ", repeats->size(), " entries, expected ", x.rank(), ", the rank of input 0");
  }
  DimList out;
  for (int i = 0; i < x.rank(); ++i) {
    if (!repeats) {
      out.push_back(Dim::unknown());
      continue;
    }
    const Dim& n = (*repeats)[i];
    if (n.is_const() && n.value() < 0) return shape_error("repeats of dim ", i, " is ", n.value(), ", expected 0 or more");
    const Dim d = x.shape[i] * n;
    if (x.shape[i].is_const() && n.is_const() && !d.is_const()) {
      return limit_error("repeats: dim ", i, " of ", x.shape[i].value(), " times ", n.value(), " overflows");
    }
    out.push_back(d);
  }
  return Types{Type::of(x.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Tile&, const BindContext& ctx) {
  const Dims &from = ctx.dims(0), &to = ctx.out_dims(0);
  TENON_ASSIGN(const Dims strides, byte_strides(from, ctx.dtype(0)));
  TENON_ASSIGN(const Dims out_strides, byte_strides(to, ctx.dtype(0)));
  if (is_empty(to)) return Step{};
  std::vector<kernels::CopyLoop> loops;
  for (size_t i = 0; i < from.size(); ++i) {
    loops.push_back({to[i] / from[i], 0, out_strides[i] * from[i]});
    loops.push_back({from[i], strides[i], out_strides[i]});
  }
  kernels::CopyParams params;
  if (!kernels::plan_copy(loops, static_cast<int64_t>(size_of(ctx.dtype(0))), 0, 0, &params)) {
    return limit_error("more than ", kernels::kMaxLoops, " dims that do not move as one");
  }
  if (params.is_one_run()) return view_step();
  return ctx.choose(kernels::copy_table, params, params.parts(), kernels::copy_nanoseconds(params));
}

}  // namespace tenon::ops
