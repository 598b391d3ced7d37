#include "ops/layer_normalization.h"

#include <algorithm>

#include "kernels/elementwise/broadcast.h"
#include "kernels/normalization/layer_norm.h"
#include "ops/elements.h"
#include "ops/rms_normalization.h"

namespace tenon::ops {

namespace {

/// Input i must broadcast to x without enlarging it.
Status broadcasts_to_x(const Types& in, int i, const char* name) {
  TENON_ASSIGN(const Shape shape, broadcast(in[0].shape, in[i].shape));
  if (shape.is_static() && in[0].is_static() && shape != in[0].shape) {
    return input_error(i, "(", name, ") has shape ", in[i].shape.str(), ", expected one that broadcasts to ", in[0].shape.str());
  }
  return {};
}

Result<Step> bind_rows(kernels::LayerNormParams& p, int64_t axis_attribute, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const int64_t axis, normal_axis(axis_attribute, std::max<int>(static_cast<int>(dims.size()), 1)));
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) (i < axis ? p.rows : p.n) *= dims[i];
  p.dtype = ctx.dtype(0);
  p.scale_dtype = ctx.dtype(1);
  p.out_dtype = ctx.out_dtype(0);
  p.has_bias = ctx.has_input(2);
  const Dims& scale = ctx.dims(1);
  const Dims bias = p.has_bias ? ctx.dims(2) : Dims{};
  // One element of scale (and bias) an element of the row: their dims, leading ones aside, are the normalised ones.
  const auto whole = [&](const Dims& d) {
    return count_of(d) == p.n && d.size() <= dims.size() &&
           std::all_of(d.begin(), d.end() - std::min<int64_t>(static_cast<int64_t>(d.size()), static_cast<int64_t>(dims.size()) - axis),
                       [](int64_t x) { return x == 1; });
  };
  p.whole_scale = whole(scale) && (!p.has_bias || whole(bias));
  if (!kernels::make_broadcast_shape<2>(dims, {std::span<const int64_t>(scale), std::span<const int64_t>(bias)}, p.shape)) {
    return limit_error("broadcasting scale ", str(scale), " and bias ", str(bias), " to ", str(dims), " needs rank over ",
                       kernels::kMaxBroadcastRank);
  }
  const bool vectors = p.whole_scale && p.dtype != DType::kFloat64;
  Cut c = cut(p.rows, (vectors ? 0.4 : 6.0) * static_cast<double>(p.n) + 20);
  p.chunk = c.chunk;
  if (count_of(dims) == 0) c.parts = 0;
  TENON_ASSIGN(Step step, ctx.choose(kernels::layer_norm, p, c.parts, c.nanoseconds));
  if (p.dtype != DType::kFloat32 && p.dtype != DType::kFloat64) step.scratch_bytes = static_cast<size_t>(3 * p.n) * sizeof(float);
  if (p.dtype == p.out_dtype) step.in_place.push_back({0, 0});
  return step;
}

}  // namespace

Result<Types> infer(const LayerNormalization& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_same_dtype(in, 0, 1));
  TENON_TRY(broadcasts_to_x(in, 1, "scale"));
  if (has(in, 2)) {
    TENON_TRY(expect_same_dtype(in, 0, 2));
    TENON_TRY(broadcasts_to_x(in, 2, "bias"));
  }
  Type stash = Type::unranked(op.stash);
  if (in[0].ranked()) {
    TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, std::max(in[0].rank(), 1)));
    DimList dims(in[0].shape.begin(), in[0].shape.end());
    for (size_t i = static_cast<size_t>(axis); i < dims.size(); ++i) dims[i] = 1;
    stash.shape = Shape(std::move(dims));
  }
  return Types{Type::of(in[0].dtype, in[0].shape), stash, stash};
}

Result<Step> bind(const LayerNormalization& op, const BindContext& ctx) {
  kernels::LayerNormParams p;
  p.epsilon = op.epsilon;
  p.stash_dtype = op.stash;
  p.wants_mean = ctx.wants_output(1);
  p.wants_inverse = ctx.wants_output(2);
  return bind_rows(p, op.axis, ctx);
}

Result<Types> infer(const RMSNormalization& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_float(in, 1));
  TENON_TRY(broadcasts_to_x(in, 1, "scale"));
  if (in[0].ranked()) TENON_TRY(normal_axis(op.axis, std::max(in[0].rank(), 1)));
  return Types{Type::of(in[1].dtype, in[0].shape)};
}

Result<Step> bind(const RMSNormalization& op, const BindContext& ctx) {
  kernels::LayerNormParams p;
  p.rms = true;
  p.epsilon = op.epsilon;
  return bind_rows(p, op.axis, ctx);
}

}  // namespace tenon::ops
