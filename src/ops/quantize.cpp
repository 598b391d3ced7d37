#include "ops/quantize.h"

#include <algorithm>

#include "kernels/quantize/quantize.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

bool is_narrow(DType d) {
  return is_small_integer(d) || d == DType::kInt8 || d == DType::kUint8 || d == DType::kInt16 || d == DType::kUint16 ||
         d == DType::kFloat8E4M3FN || d == DType::kFloat8E4M3FNUZ || d == DType::kFloat8E5M2 || d == DType::kFloat8E5M2FNUZ ||
         d == DType::kFloat4E2M1;
}

bool computes(DType d) { return d == DType::kFloat32 || d == DType::kFloat16 || d == DType::kBFloat16; }

/// One scale for the whole tensor: a scalar, or a vector of one element.
bool whole(const Shape& scale) { return scale.rank() == 0 || (scale.rank() == 1 && scale[0].is(1)); }

/// How many elements of x along the axis a scale serves: block_size when they agree.
Status expect_blocks(const Types& in, int64_t axis, int64_t block) {
  const Shape &x = in[0].shape, &scale = in[1].shape;
  if (scale.rank() != x.rank()) {
    return input_error(1, "(scale) has shape ", scale.str(), ", expected rank ", x.rank(), " as input 0, since block_size is ", block);
  }
  for (int i = 0; i < x.rank(); ++i) {
    const auto at = static_cast<size_t>(i);
    const Dim want = i == axis ? Dim::ceil_div(x[at], block) : x[at];
    if (dims_equal(scale[at], want) != false) continue;
    return input_error(1, "(scale) has shape ", scale.str(), ", expected ", want.str(), " in dim ", i, ": input 0 has shape ", x.str(),
                       " and blocks of ", block, " along axis ", axis);
  }
  return {};
}

Status expect_scales(const Types& in, int64_t axis, int64_t block) {
  if (block < 0) return shape_error("attribute 'block_size' is ", block, ", expected 0 or more");
  TENON_TRY(expect_plain(in));
  const Shape &x = in[0].shape, &scale = in[1].shape;
  if (has(in, 2) && scale.ranked() && in[2].ranked()) {
    const Shape& zero = in[2].shape;
    bool same = zero.rank() == scale.rank() || (whole(zero) && whole(scale));
    for (size_t i = 0; same && zero.rank() == scale.rank() && i < zero.dims().size(); ++i) same = dims_equal(zero[i], scale[i]) != false;
    if (!same) return input_error(2, "(zero point) has shape ", zero.str(), ", expected that of the scale, ", scale.str());
  }
  if (!x.ranked() || !scale.ranked() || (block == 0 && whole(scale))) return {};
  TENON_ASSIGN(axis, normal_axis(axis, x.rank()));
  if (block > 0) return expect_blocks(in, axis, block);
  if (scale.rank() != 1) return input_error(1, "(scale) has shape ", scale.str(), ", expected a scalar or a vector where block_size is 0");
  const Dim& want = x[static_cast<size_t>(axis)];
  if (dims_equal(scale[0], want) != false) return {};
  return input_error(1, "(scale) has ", scale[0].str(), " elements, expected 1 or ", want.str(), ": input 0 has shape ", x.str(),
                     " and the axis is ", axis);
}

/// The scales' part of the parameters, and how the work is cut.
Cut set_scales(kernels::QuantizeParams& p, const BindContext& ctx, int64_t axis, int64_t block, double nanoseconds_each) {
  const Dims &x = ctx.dims(0), &scale = ctx.dims(1);
  const int64_t count = count_of(x);
  p.scale = ctx.dtype(1);
  p.zero_point = ctx.has_input(2);
  if (block == 0 && count_of(scale) == 1) {
    p.axis = count;
    const Cut c = cut(count, nanoseconds_each, 64);
    p.block = c.chunk;
    return c;
  }
  const auto at = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(x.size()) : axis);
  p.outer = count_of({x.begin(), x.begin() + static_cast<int64_t>(at)});
  p.axis = x[at];
  p.inner = count_of({x.begin() + static_cast<int64_t>(at) + 1, x.end()});
  p.block = std::max<int64_t>(1, block);
  p.scale_axis = 1;
  if (block > 0) {
    p.scale_inner = p.inner > 1 ? 1 : 0;
    p.scale_axis = p.inner;
    p.scale_outer = p.groups_of_axis() * p.inner;
  } else if (p.inner == 1) {  // rows that all have the same scales, one for every column
    p.inner = p.axis;
    p.axis = 1;
    p.scale_axis = 0;
    p.scale_inner = 1;
  }
  const Cut c = cut(p.groups(), nanoseconds_each * static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, p.groups())));
  p.chunk = c.chunk;
  return c;
}

Result<Step> choose(const kernels::Table<kernels::QuantizeParams>& table, kernels::QuantizeParams p, const BindContext& ctx, int64_t axis,
                    int64_t block) {
  if (count_of(ctx.dims(0)) == 0) {
    Step step;
    step.kernel = "Empty";
    return step;
  }
  const bool fast = table.rows[0].refuse(p) == nullptr;
  const Cut c = set_scales(p, ctx, axis, block, fast ? 0.3 : 20);
  return ctx.choose(table, p, c.parts, c.nanoseconds);
}

}  // namespace

Result<Types> infer(const QuantizeLinear& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 3));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32}));
  TENON_TRY(expect_dtype(in, 1, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32, DType::kFloat8E8M0}));
  if (!is_narrow(op.to)) return shape_error("gives ", name_of(op.to), ", which QuantizeLinear does not");
  if (has(in, 2)) TENON_TRY(expect_dtype(in, 2, {op.to}));
  if (op.precision != DType::kUndefined && !computes(op.precision)) {
    return shape_error("attribute 'precision' is ", name_of(op.precision), ", expected float32, float16 or bfloat16");
  }
  TENON_TRY(expect_scales(in, op.axis, op.block_size));
  return Types{Type::of(op.to, in[0].shape)};
}

Result<Step> bind(const QuantizeLinear& op, const BindContext& ctx) {
  kernels::QuantizeParams p{.wide = ctx.dtype(0), .narrow = op.to, .scale = ctx.dtype(1), .saturate = op.saturate};
  p.precision = op.precision != DType::kUndefined ? op.precision : p.scale;
  if (p.precision == DType::kFloat8E8M0) p.precision = computes(p.wide) ? p.wide : DType::kFloat32;
  if (p.precision == DType::kInt32) p.precision = DType::kFloat64;
  return choose(kernels::quantize, p, ctx, op.axis, op.block_size);
}

Result<Types> infer(const DequantizeLinear& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 3));
  if (!is_narrow(in[0].dtype) && in[0].dtype != DType::kInt32) {
    return input_error(0, "has dtype ", name_of(in[0].dtype), ", which DequantizeLinear does not take");
  }
  TENON_TRY(expect_dtype(in, 1, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat8E8M0}));
  if (has(in, 2)) TENON_TRY(expect_same_dtype(in, 0, 2));
  if (!computes(op.to)) return shape_error("gives ", name_of(op.to), ", expected float32, float16 or bfloat16 (attribute 'output_dtype')");
  TENON_TRY(expect_scales(in, op.axis, op.block_size));
  return Types{Type::of(op.to, in[0].shape)};
}

Result<Step> bind(const DequantizeLinear& op, const BindContext& ctx) {
  const kernels::QuantizeParams p{.wide = op.to, .narrow = ctx.dtype(0), .scale = ctx.dtype(1)};
  return choose(kernels::dequantize, p, ctx, op.axis, op.block_size);
}

}  // namespace tenon::ops
