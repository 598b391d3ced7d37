#include "ops/pool.h"

#include <algorithm>

#include "kernels/reduction/reduce.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

int64_t planes_of(const Dims& dims, const Layout& layout) {
  return layout.plain() ? dims[0] * dims[1] : dims[0] * ((dims[1] + layout.block - 1) / layout.block);
}

Status expect_poolable_layout(const Type& x, kernels::PoolKind kind) {
  const bool blocked = x.layout.kind == Layout::Kind::kChannelBlocked && x.dtype == DType::kFloat32 && kind != kernels::PoolKind::kLp;
  if (x.layout.plain() || blocked) return {};
  return error(Code::kInternal, "input 0 has layout ", x.layout.str(), ", expected plain");
}

}  // namespace

Result<Types> infer(const Pool& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  const Type& x = in[0];
  if (op.kind == Pool::Kind::kMax) {
    TENON_TRY(expect_dtype(in, 0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kInt8, DType::kUint8}));
  } else {
    TENON_TRY(expect_float(in, 0));
  }
  TENON_TRY(expect_poolable_layout(x, op.kind));
  const int spatial = static_cast<int>(op.window.kernel_shape.size());
  if (spatial == 0) return shape_error("kernel_shape is empty, expected one value a spatial dim");
  if (x.ranked() && x.rank() < 3) return input_error(0, "has rank ", x.rank(), " ", x.shape.str(), ", expected 3 or more");
  TENON_TRY(check_window(op.window, x.ranked() ? x.rank() - 2 : spatial));
  if (op.kind == Pool::Kind::kLp && op.p < 1) return shape_error("p is ", op.p, ", expected 1 or more");

  Type y = Type::unranked(x.dtype);
  if (x.ranked()) {
    DimList out{x.shape[0], x.shape[1]};
    for (int i = 0; i < spatial; ++i) {
      TENON_ASSIGN(Dim d, window_output(op.window, i, op.window.kernel_shape[i], x.shape[2 + i]));
      out.push_back(d);
    }
    y.shape = Shape(std::move(out));
  }
  y.layout = x.layout;
  if (op.kind != Pool::Kind::kMax) return Types{std::move(y)};
  Type indices = Type::of(DType::kInt64, y.shape);
  return Types{std::move(y), std::move(indices)};
}

Result<Step> bind(const Pool& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &y = ctx.out_dims(0);
  TENON_TRY(element_count(y));
  kernels::PoolParams p{};
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  p.spatial = static_cast<int32_t>(x.size()) - 2;
  if (p.spatial > kernels::kMaxPoolSpatial)
    return limit_error("pooling over ", p.spatial, " spatial dims, expected at most ", kernels::kMaxPoolSpatial);
  p.block = ctx.layout(0).plain() ? 0 : ctx.layout(0).block;
  p.planes = planes_of(x, ctx.layout(0));
  for (int i = 0; i < p.spatial; ++i) {
    const WindowDim d = window_dim(op.window, i, op.window.kernel_shape[i], x[2 + i], y[2 + i]);
    p.in[i] = d.in, p.out[i] = d.out, p.kernel[i] = d.kernel, p.stride[i] = d.stride, p.dilation[i] = d.dilation, p.pad[i] = d.pad;
    p.pad_end[i] = d.pad_end;
  }
  p.count_include_pad = op.count_include_pad;
  p.indices = ctx.wants_output(1);
  p.column_major = op.column_major;
  p.p = op.p;
  // Without indices, what they count does not matter, and neither do maxima of empty planes.
  const int64_t parts = count_of(y) == 0 ? 0 : plan_pool(p);
  TENON_ASSIGN(Step step, ctx.choose(kernels::pool, p, parts, static_cast<double>(count_of(y)) * kernels::pool_nanoseconds(p)));
  step.scratch_bytes = static_cast<size_t>(kernels::pool_scratch_bytes(p));
  return step;
}

Result<Types> infer(const GlobalPool& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_float(in, 0));
  const Type& x = in[0];
  TENON_TRY(expect_poolable_layout(x, op.kind));
  if (op.kind == GlobalPool::Kind::kLp && op.p < 1) return shape_error("p is ", op.p, ", expected 1 or more");
  Type y = Type::unranked(x.dtype);
  if (x.ranked()) {
    TENON_TRY(expect_rank_at_least(in, 0, 2));
    y.shape = x.shape;
    for (int i = 2; i < x.rank(); ++i) y.shape[i] = Dim(1);
  }
  y.layout = x.layout;
  return Types{std::move(y)};
}

namespace {

/// Plain planes are rows of a matrix: a reduction along its last axis.
Result<Step> bind_as_reduction(const kernels::GlobalPoolParams& pool, const BindContext& ctx) {
  using K = kernels::ReduceKind;
  kernels::ReduceParams p;
  p.kind = pool.kind == kernels::PoolKind::kMax       ? K::kMax
           : pool.kind == kernels::PoolKind::kAverage ? K::kMean
           : pool.p == 1                              ? K::kL1
                                                      : K::kL2;
  p.kept_rank = p.reduced_rank = 1;
  p.kept_dims[0] = p.outputs = pool.planes, p.kept_strides[0] = pool.pixels;
  p.reduced_dims[0] = p.reduced = pool.pixels, p.reduced_strides[0] = 1;
  const Cut c = cut(p.outputs, 0.1 * static_cast<double>(p.reduced) + 3);
  p.chunk = c.chunk;
  return ctx.choose(kernels::reduce, p, c.parts, c.nanoseconds);
}

}  // namespace

Result<Step> bind(const GlobalPool& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  kernels::GlobalPoolParams p;
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  p.block = ctx.layout(0).plain() ? 0 : ctx.layout(0).block;
  p.planes = planes_of(x, ctx.layout(0));
  for (size_t i = 2; i < x.size(); ++i) p.pixels *= x[i];
  p.p = op.p;
  if (p.block == 0 && p.dtype == DType::kFloat32 && p.pixels > 0 && (op.kind != GlobalPool::Kind::kLp || op.p <= 2))
    return bind_as_reduction(p, ctx);
  return ctx.choose(kernels::global_pool, p, p.planes, static_cast<double>(physical_count(x, ctx.layout(0))) * 0.15);
}

}  // namespace tenon::ops
