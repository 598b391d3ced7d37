#include "ops/depth_to_space.h"

#include "ops/copy.h"

namespace tenon::ops {

namespace {

Status check_block(int64_t block, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_rank(in, 0, 4));
  if (block < 1 || block > INT32_MAX) return shape_error("blocksize is ", block, ", expected 1 or more");
  return {};
}

/// Loops in the order of the dims of a six-dim view of the output, whose strides follow from their counts.
Result<Step> copy_six(const BindContext& ctx, std::vector<kernels::CopyLoop> loops) {
  if (is_empty(ctx.out_dims(0))) return Step{};
  int64_t stride = static_cast<int64_t>(size_of(ctx.out_dtype(0)));
  for (size_t i = loops.size(); i-- > 0;) {
    loops[i].dst = stride;
    stride *= loops[i].count;
  }
  kernels::CopyParams params;
  if (!kernels::plan_copy(loops, static_cast<int64_t>(size_of(ctx.out_dtype(0))), 0, 0, &params)) {
    return error(Code::kInternal, "six loops are too many");
  }
  if (params.is_one_run()) return view_step();
  return ctx.choose(kernels::copy_table, params, params.parts(), kernels::copy_nanoseconds(params));
}

}  // namespace

Result<Types> infer(const DepthToSpace& op, const Types& in) {
  TENON_TRY(check_block(op.block_size, in));
  const Type& x = in[0];
  if (!x.ranked()) return Types{Type::of(x.dtype, {Dim::unknown(), Dim::unknown(), Dim::unknown(), Dim::unknown()})};
  const Dim b(op.block_size), square(op.block_size * op.block_size), &c = x.shape[1];
  if (c.is_const() && c.value() % square.value() != 0) {
    return input_error(0, "has ", c.value(), " channels, expected a multiple of blocksize squared, ", square.value());
  }
  const Shape out{x.shape[0], Dim::floor_div(c, square), x.shape[2] * b, x.shape[3] * b};
  if (x.is_static() && !out.is_static()) return limit_error("blocksize ", op.block_size, " makes a dim of ", x.shape.str(), " overflow");
  return Types{Type::of(x.dtype, out)};
}

Result<Step> bind(const DepthToSpace& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  TENON_TRY(byte_strides(ctx.out_dims(0), ctx.out_dtype(0)));
  TENON_ASSIGN(const Dims s, byte_strides(x, ctx.dtype(0)));
  const int64_t b = op.block_size, c = x[1] / (b * b);
  const bool dcr = op.mode == BlockOrder::kDcr;
  const int64_t plane = dcr ? c * s[1] : s[1];  // between places in a block along w
  const int64_t channel = dcr ? s[1] : b * b * s[1];
  return copy_six(ctx, {{x[0], s[0], 0}, {c, channel, 0}, {x[2], s[2], 0}, {b, b * plane, 0}, {x[3], s[3], 0}, {b, plane, 0}});
}

Result<Types> infer(const SpaceToDepth& op, const Types& in) {
  TENON_TRY(check_block(op.block_size, in));
  const Type& x = in[0];
  if (!x.ranked()) return Types{Type::of(x.dtype, {Dim::unknown(), Dim::unknown(), Dim::unknown(), Dim::unknown()})};
  const Dim b(op.block_size), square(op.block_size * op.block_size);
  for (int i = 2; i < 4; ++i) {
    const Dim& d = x.shape[i];
    if (d.is_const() && d.value() % op.block_size != 0) {
      return input_error(0, "has ", d.value(), " elements along dim ", i, ", expected a multiple of blocksize ", op.block_size);
    }
  }
  const Shape out{x.shape[0], x.shape[1] * square, Dim::floor_div(x.shape[2], b), Dim::floor_div(x.shape[3], b)};
  if (x.is_static() && !out.is_static()) return limit_error("blocksize ", op.block_size, " makes a dim of ", x.shape.str(), " overflow");
  return Types{Type::of(x.dtype, out)};
}

Result<Step> bind(const SpaceToDepth& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  TENON_ASSIGN(const Dims s, byte_strides(x, ctx.dtype(0)));
  const int64_t b = op.block_size;
  const kernels::CopyLoop row{b, s[2], 0}, column{b, s[3], 0}, channel{x[1], s[1], 0}, h{x[2] / b, b * s[2], 0}, w{x[3] / b, b * s[3], 0};
  if (op.mode == BlockOrder::kDcr) return copy_six(ctx, {{x[0], s[0], 0}, row, column, channel, h, w});
  return copy_six(ctx, {{x[0], s[0], 0}, channel, row, column, h, w});
}

}  // namespace tenon::ops
