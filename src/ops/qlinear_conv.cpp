#include "ops/qlinear_conv.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/weight_cache.h"
#include "kernels/integer/conv.h"
#include "ops/conv.h"
#include "ops/elements.h"

namespace tenon::ops {

using kernels::IntegerConvParams;
using kernels::IntegerFormat;

namespace {

constexpr const char* kNames[kQuantizedInputs] = {"x", "x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "y_scale", "y_zero_point",
                                                  "B"};
constexpr int kMostSpatial = 3;

Status expect_one_a_filter(const Types& in, int i) {
  if (!has(in, i) || !in[i].ranked()) return {};
  const Shape& shape = in[i].shape;
  const bool fits =
      shape.rank() == 0 || (shape.rank() == 1 && (shape[0].is(1) || !in[kB].ranked() || dims_equal(shape[0], in[kB].shape[0]) != false));
  if (fits) return {};
  return shape_error(kNames[i], " has shape ", shape.str(), ", expected one element or one a filter of w ", in[kB].shape.str());
}

/// Sizes, strides and pads; dtypes and which inputs there are come from elsewhere.
IntegerConvParams params_of(const QLinearConv& op, const Dims& x, const Dims& w, const Dims& y) {
  IntegerConvParams p;
  p.batch = x[0], p.groups = op.group, p.channels = x[1], p.filters = w[0];
  set_window(p, op.window, x, w, y);
  return p;
}

}  // namespace

Result<Types> infer(const QLinearConv& op, const Types& in) {
  TENON_TRY(check_quantized_inputs(in, op.to, kNames));
  const bool packed = in[kB].layout.kind == Layout::Kind::kPacked;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool quads = i == kA && packed && in[kA].layout == quad_layout();
    if (in[i].present() && !in[i].layout.plain() && !(i == kB && packed) && !quads) {
      return error(Code::kInternal, kNames[i], " has layout ", in[i].layout.str(), ", expected plain");
    }
  }
  if (has(in, kBias) && in[kBias].dtype != DType::kInt32) return shape_error("B has dtype ", name_of(in[kBias].dtype), ", expected int32");
  TENON_ASSIGN(Shape shape,
               conv_shape(op.window, op.group, in[kA].shape, in[kB].shape, has(in, kBias) ? in[kBias].shape : Shape::unranked(),
                          {.x = kNames[kA], .w = kNames[kB], .bias = kNames[kBias]}));
  if (shape.ranked() && shape.rank() - 2 > kMostSpatial) {
    return limit_error("convolves over ", shape.rank() - 2, " spatial dims, expected at most ", kMostSpatial);
  }
  for (const int i : {kAScale, kAZero, kYScale, kYZero}) TENON_TRY(expect_one_element(in, i, kNames));
  for (const int i : {kBScale, kBZero}) TENON_TRY(expect_one_a_filter(in, i));
  Type y = Type::of(op.to, std::move(shape));
  if (op.quads) {
    if (!packed) return error(Code::kInternal, "w has layout ", in[kB].layout.str(), ", expected packed for results in quads");
    y.layout = quad_layout();
  }
  return Types{std::move(y)};
}

Result<Step> bind(const QLinearConv& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(kA), &w = ctx.dims(kB), &y = ctx.out_dims(0);
  TENON_TRY(element_count(y));
  Step step;
  if (count_of(y) == 0) {
    step.kernel = "IntegerConvEmpty";
    return step;
  }
  IntegerConvParams p = params_of(op, x, w, y);
  p.x = ctx.dtype(kA), p.w = ctx.dtype(kB), p.y = op.to;
  if (ctx.has_input(kAScale)) p.scale = ctx.dtype(kAScale);
  p.x_quads = !ctx.layout(kA).plain(), p.y_quads = op.quads;
  p.x_zero = ctx.has_input(kAZero), p.w_zero = ctx.has_input(kBZero), p.y_zero = ctx.has_input(kYZero), p.bias = ctx.has_input(kBias);
  p.w_zeros = p.w_zero && count_of(ctx.dims(kBZero)) > 1;
  p.w_scales = ctx.has_input(kBScale) && count_of(ctx.dims(kBScale)) > 1;
  const double products = static_cast<double>(count_of(y)) * static_cast<double>(p.depth());
  const bool packed = ctx.layout(kB).kind == Layout::Kind::kPacked;
  p.format = kernels::integer_filters();
  if (packed && static_cast<IntegerFormat>(ctx.layout(kB).format) != p.format) {
    return error(Code::kInternal, "w is ", ctx.layout(kB).str(), ", expected packed:", static_cast<int>(p.format), " on this CPU");
  }
  if (!plan_integer_conv(p)) {
    if (packed) return limit_error("strides, dilations or pads make the image that is convolved too large");
    p.format = IntegerFormat::kNone;
    return ctx.choose(kernels::integer_conv, p, p.parts(), products);
  }
  if (!p.in_place) step.shared_bytes = (static_cast<size_t>(p.image_bytes()) + 63) / 64 * 64;
  if (!packed) {
    p.shared_filters = static_cast<int64_t>(step.shared_bytes);
    step.shared_bytes += static_cast<size_t>(kernels::integer_filters_bytes(p));
    step.phases.push_back(
        Step::phase(kernels::IntegerFiltersPointer(), p, kernels::integer_filters_parts(p), static_cast<double>(count_of(w))));
  }
  if (!p.in_place) {
    step.phases.push_back(Step::phase(kernels::IntegerImagePointer(), p, p.image_parts(), static_cast<double>(p.image_bytes()) * 0.05));
  }
  TENON_ASSIGN(Step one, ctx.choose(kernels::integer_conv, p, p.parts(), kernels::integer_nanoseconds(products) * 1.1));
  step.kernel = one.kernel;
  step.refusals = std::move(one.refusals);
  step.phases.push_back(std::move(one.phases[0]));
  step.scratch_bytes = static_cast<size_t>(kernels::integer_conv_scratch(p));
  return step;
}

namespace {
bool gives_bytes(const QLinearConv& op) { return op.to == DType::kInt8 || op.to == DType::kUint8; }
bool one_filter_a_channel(const QLinearConv& op, const Dims& w) { return w[1] == 1 && w[0] == op.group; }
}  // namespace

bool takes_quads(const QLinearConv& op, const Dims& w) {
  return op.group == 1 || w[1] % 4 == 0 || (gives_bytes(op) && one_filter_a_channel(op, w));
}

bool gives_quads(const QLinearConv& op, const Dims& w) {
  return gives_bytes(op) && (op.group == 1 || w[0] / op.group % 4 == 0 || one_filter_a_channel(op, w));
}

Result<std::optional<PackedWeights>> pack_integer_filters(const QLinearConv& op, const Tensor& w, std::shared_ptr<Allocator> allocator) {
  const bool packs = w.dtype() == DType::kInt8 || w.dtype() == DType::kUint8;
  if (!packs || w.rank() < 3 || w.rank() - 2 > kMostSpatial || w.count() == 0) return std::optional<PackedWeights>();
  IntegerConvParams p;
  p.w = w.dtype(), p.groups = op.group, p.channels = w.dims()[1] * op.group, p.filters = w.dims()[0], p.y = op.to,
  p.format = kernels::integer_filters();
  std::copy(w.dims().begin() + 2, w.dims().end(), p.kernel + 3 - (w.rank() - 2));
  if (!plan_integer_conv(p)) return std::optional<PackedWeights>();
  const int64_t bytes = kernels::integer_filters_bytes(p);
  const std::string recipe = std::string(p.depthwise ? "depthwise" : "integer") + " filters " + std::to_string(static_cast<int>(p.format)) +
                             " of " + std::string(name_of(w.dtype())) + str(w.dims()) + " in groups " + std::to_string(op.group);
  const auto pack = [&](std::byte* to) -> Status {
    TENON_TRY(settle({&w.buffer(), 1}));
    const void* src[] = {w.data()};
    void* dst[] = {to};
    kernels::Fault fault;
    const kernels::Call call{.src = src, .dst = dst, .fault = &fault};
    share_out(kernels::integer_filters_parts(p), [&](int64_t begin, int64_t end, int) {
      kernels::IntegerFiltersPointer()(p, call, {begin, end});
    });
    return {};
  };
  TENON_ASSIGN(auto buffer, kept_or_made({&w}, recipe, static_cast<size_t>(bytes), std::move(allocator), pack));
  PackedWeights packed{Tensor::view(w.dtype(), w.dims(), std::move(buffer)),
                       {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(p.format)}};
  return std::optional<PackedWeights>(std::move(packed));
}

}  // namespace tenon::ops
