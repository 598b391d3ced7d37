#include "ops/conv_transpose.h"

#include <algorithm>

#include "base/weight_cache.h"
#include "ops/blocked_step.h"
#include "ops/elements.h"

namespace tenon::ops {

using kernels::TransposedParams;
using kernels::TransposedPhase;

namespace {

constexpr double kBlockedSpeed = 50, kPlainSpeed = 0.5;
/// Most convolutions that one transposed convolution is taken apart into.
constexpr int64_t kMaxPhases = 64;

int64_t output_padding(const ConvTranspose& op, int i) { return op.output_padding.empty() ? 0 : op.output_padding[i]; }

bool same(const ConvTranspose& op) { return op.window.auto_pad == AutoPad::kSameUpper || op.window.auto_pad == AutoPad::kSameLower; }

Result<Dim> output_dim(const ConvTranspose& op, int i, int64_t kernel, const Dim& in) {
  TENON_ASSIGN(const int64_t extent, window_extent(kernel, op.window.dilation(i)));
  const int64_t stride = op.window.stride(i);
  if (!op.output_shape.empty()) return Dim(op.output_shape[i]);
  if (same(op)) return in * Dim(stride);
  const bool padded = op.window.auto_pad == AutoPad::kNotSet && !op.window.pads.empty();
  const int64_t n = static_cast<int64_t>(op.window.pads.size()) / 2;
  const int64_t crop = padded ? op.window.pads[i] + op.window.pads[n + i] : 0;
  if (!in.is_const()) return Dim(stride) * (in - Dim(1)) + Dim(output_padding(op, i) + extent - crop);
  if (in.value() == 0) return Dim(0);
  const auto spread = checked_mul(in.value() - 1, stride);
  const auto full = spread ? checked_add(*spread, extent) : std::nullopt;
  const auto out = full ? checked_add(*full, output_padding(op, i) - crop) : std::nullopt;
  if (!out) return shape_error("strides ", stride, " make spatial dim ", i, " of size ", in.value(), " overflow");
  if (*out < 1) {
    return shape_error("pads ", str(op.window.pads), " leave ", *out, " of spatial dim ", i, ", which has ", *full,
                       " elements before cropping");
  }
  return Dim(*out);
}

/// Elements cropped at the beginning; what is cropped at the end follows from `out`.
int64_t pad_of(const ConvTranspose& op, int i, int64_t kernel, int64_t in, int64_t out) {
  if (op.output_shape.empty() && !same(op)) {
    return op.window.auto_pad == AutoPad::kNotSet && !op.window.pads.empty() ? op.window.pads[i] : 0;
  }
  const int64_t full = op.window.stride(i) * (in - 1) + output_padding(op, i) + (kernel - 1) * op.window.dilation(i) + 1;
  const int64_t total = std::max<int64_t>(0, full - out);
  return op.window.auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
}

kernels::Epilogue epilogue_of(const ConvTranspose& op, bool bias) {
  kernels::Epilogue e;
  e.bias = bias;
  e.low = op.activation.low;
  e.high = op.activation.high;
  if (op.activation.has_unary) {
    e.tile = kernels::unary_tile(op.activation.unary);
    e.alpha = op.activation.alpha;
    e.beta = op.activation.beta;
  }
  return e;
}

TransposedParams params_of(const ConvTranspose& op, const Dims& x, const Dims& w, const Dims& y) {
  TransposedParams t;
  kernels::ConvParams& p = t.conv;
  p.batch = x[0], p.groups = op.group, p.channels = x[1], p.filters = y[1];
  const int spatial = static_cast<int>(x.size()) - 2;
  for (int i = 0; i < spatial; ++i) {
    const int at = 3 - spatial + i;
    p.in[at] = x[2 + i], p.out[at] = y[2 + i], p.kernel[at] = w[2 + i];
    p.stride[at] = op.window.stride(i), p.dilation[at] = op.window.dilation(i);
    p.pad[at] = pad_of(op, i, w[2 + i], x[2 + i], y[2 + i]);
  }
  return t;
}

double work_of(const Dims& x, const Dims& w) {
  double work = 1;
  for (const int64_t d : x) work *= static_cast<double>(d);
  for (size_t i = 1; i < w.size(); ++i) work *= static_cast<double>(w[i]);
  return work;
}

/// One phase of `step` for each residue; packed weights follow each other.
Status add_phases(Step& step, const BindContext& ctx, const TransposedParams& t, double work) {
  const int64_t n = t.phases();
  int64_t weights = 0;
  for (int64_t i = 0; i < n; ++i) {
    TransposedPhase phase = transposed_phase(t, i);
    phase.conv.weights_offset = weights;
    weights += packed_conv_weights(phase.conv);
    const int64_t parts = plan_conv(phase.conv);
    if (parts == 0) continue;
    TENON_ASSIGN(Step one, ctx.choose(kernels::conv, phase.conv, parts, work / static_cast<double>(n) / kBlockedSpeed));
    step.kernel = one.kernel;
    step.phases.push_back(std::move(one.phases[0]));
  }
  return {};
}

void pack_all(const TransposedParams& t, const float* weights, float* packed) {
  for (int64_t i = 0; i < t.phases(); ++i) {
    const TransposedPhase phase = transposed_phase(t, i);
    pack_transposed_weights(t, phase, weights, packed);
    packed += packed_conv_weights(phase.conv);
  }
}

int64_t packed_size(const TransposedParams& t) {
  int64_t n = 0;
  for (int64_t i = 0; i < t.phases(); ++i) n += packed_conv_weights(transposed_phase(t, i).conv);
  return n;
}

struct PackPhase {
  TransposedParams t;
  int64_t from, to;  ///< in Call::shared; from -1: input 1
};

void run_pack(const PackPhase& k, const kernels::Call& call, kernels::Range range) {
  const float* weights = k.from >= 0 ? reinterpret_cast<const float*>(call.shared + k.from) : call.in<float>(1);
  if (range.begin < range.end) pack_all(k.t, weights, reinterpret_cast<float*>(call.shared + k.to));
}

/// Plain tensors through the blocked kernels.
Result<Step> bind_through_blocked(const BindContext& ctx, TransposedParams t, double work) {
  BlockedStep to(ctx);
  t.conv.shared_input = to.blocked(0);
  if (t.conv.epilogue.bias) t.conv.epilogue.shared_bias = to.plain(2);
  const int64_t weights = to.plain(1);
  t.conv.shared_weights = to.reserve(packed_size(t) * 4);
  to.step.phases.push_back(Step::phase<PackPhase>(run_pack, {t, weights, t.conv.shared_weights}, 1, 1e3));
  t.conv.shared_output = to.result();
  TENON_TRY(add_phases(to.step, ctx, t, work));
  return std::move(to).finish(t.conv.shared_output);
}

}  // namespace

Result<Types> infer(const ConvTranspose& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 3));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_same_dtype(in, 0, 1));
  if (has(in, 2)) TENON_TRY(expect_same_dtype(in, 0, 2));
  const Type &x = in[0], &w = in[1];
  if (op.group < 1) return shape_error("group is ", op.group, ", expected 1 or more");
  const bool packed = w.layout.kind == Layout::Kind::kPacked;
  const Layout layout = packed ? blocked_layout() : Layout{};
  if (x.layout != layout || (!packed && !w.layout.plain()) || (has(in, 2) && !in[2].layout.plain())) {
    return error(Code::kInternal, "input 0 has layout ", x.layout.str(), " and the weights ", w.layout.str());
  }
  const int rank = x.ranked() ? x.rank() : w.ranked() ? w.rank() : -1;
  TENON_TRY(check_window(op.window, rank < 0 ? -1 : rank - 2));
  Type y = Type::unranked(x.dtype);
  y.layout = layout;
  if (rank < 0) return Types{std::move(y)};
  if (rank < 3) return input_error(x.ranked() ? 0 : 1, "has rank ", rank, " ", (x.ranked() ? x : w).shape.str(), ", expected 3 or more");
  if (x.ranked() && w.ranked() && w.rank() != x.rank()) {
    return input_error(1, "has rank ", w.rank(), " ", w.shape.str(), ", expected rank ", x.rank(), " like input 0 ", x.shape.str());
  }
  const int spatial = rank - 2;
  const auto check_size = [&](std::string_view name, const std::vector<int64_t>& list) -> Status {
    if (!list.empty() && static_cast<int>(list.size()) != spatial) {
      return shape_error(name, " has ", list.size(), " values ", str(list), ", expected ", spatial);
    }
    for (const int64_t v : list) {
      if (v < 0) return shape_error(name, " holds ", v, " ", str(list), ", expected 0 or more");
      if (v >= int64_t{1} << 48) return limit_error(name, " holds ", v, " ", str(list), ", which is too large");
    }
    return {};
  };
  TENON_TRY(check_size("output_padding", op.output_padding));
  TENON_TRY(check_size("output_shape", op.output_shape));
  if (x.ranked() && w.ranked() && dims_equal(x.shape[1], w.shape[0]) == false) {
    return input_error(1, w.shape.str(), " has ", w.shape[0].str(), " channels, expected ", x.shape[1].str(), " like input 0 ",
                       x.shape.str());
  }
  const Dim channels = x.ranked() ? x.shape[1] : w.shape[0];
  if (channels.is_const() && channels.value() % op.group != 0) {
    return shape_error("group is ", op.group, ", which does not divide the ", channels.value(), " channels of input 0");
  }
  const Dim filters = w.ranked() ? w.shape[1] * Dim(op.group) : Dim::unknown();
  if (w.ranked() && w.shape[1].is_const() && !filters.is_const())
    return shape_error("group ", op.group, " makes the number of filters overflow");
  DimList out{x.ranked() ? x.shape[0] : Dim::unknown(), filters};
  for (int i = 0; i < spatial; ++i) {
    Dim kernel = w.ranked() ? w.shape[2 + i] : Dim::unknown();
    if (!op.window.kernel_shape.empty()) {
      if (kernel.is_const() && kernel.value() != op.window.kernel_shape[i]) {
        return shape_error("kernel_shape is ", str(op.window.kernel_shape), ", expected the spatial dims of input 1 ", w.shape.str());
      }
      kernel = Dim(op.window.kernel_shape[i]);
    }
    if (kernel.is_const() && kernel.value() < 1) return input_error(1, w.shape.str(), " has an empty kernel");
    if (!kernel.is_const() || !x.ranked()) {
      out.push_back(op.output_shape.empty() ? Dim::unknown() : Dim(op.output_shape[i]));
      continue;
    }
    TENON_ASSIGN(Dim d, output_dim(op, i, kernel.value(), x.shape[2 + i]));
    out.push_back(d);
  }
  if (has(in, 2)) {
    TENON_TRY(expect_rank(in, 2, 1));
    if (in[2].ranked() && dims_equal(in[2].shape[0], filters) == false) {
      return input_error(2, "has ", in[2].shape[0].str(), " elements, expected ", filters.str(), " (one a filter)");
    }
  }
  y.shape = Shape(std::move(out));
  return Types{std::move(y)};
}

bool has_blocked_kernel(const ConvTranspose& op, int64_t filters, int64_t channels, int64_t spatial) {
  if (spatial < 1 || spatial > 3 || channels == 0 || filters == 0) return false;
  int64_t phases = 1;
  for (int i = 0; i < spatial; ++i) {
    if (op.window.stride(i) > kMaxPhases) return false;
    phases *= op.window.stride(i);
  }
  const int64_t block = kernels::channel_block();
  return phases <= kMaxPhases && (op.group == 1 || (channels / op.group % block == 0 && filters / op.group % block == 0));
}

Result<Tensor> pack_conv_weights(const ConvTranspose& op, const Tensor& weights, std::shared_ptr<Allocator> allocator) {
  const Dims& w = weights.dims();
  // Sizes of the image do not matter to the packing, but pads do: where they follow from sizes, they cannot be packed ahead.
  Dims x = w, y = w;
  x[0] = 1, x[1] = w[0], y[0] = 1, y[1] = w[1] * op.group;
  const TransposedParams t = params_of(op, x, w, y);
  const int64_t floats = packed_size(t);
  const auto bytes = checked_mul(floats, 4);
  if (!bytes) return limit_error("packing weights of shape ", str(w), " overflows");
  const auto pack = [&](std::byte* to) -> Status {
    pack_all(t, weights.as<float>(), reinterpret_cast<float*>(to));
    return {};
  };
  std::string recipe = "transposed convolution of " + std::to_string(op.group);
  for (int d = 0; d < 3; ++d) {
    for (const int64_t x : {t.conv.stride[d], t.conv.dilation[d], t.conv.pad[d]}) recipe += " " + std::to_string(x);
  }
  TENON_ASSIGN(auto buffer, kept_or_made({&weights}, recipe, static_cast<size_t>(*bytes), std::move(allocator), pack));
  return Tensor::view(DType::kFloat32, {floats}, std::move(buffer));
}

Result<Step> bind(const ConvTranspose& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &w = ctx.dims(1), &y = ctx.out_dims(0);
  TENON_TRY(element_count(y));
  const int spatial = static_cast<int>(x.size()) - 2;
  const double work = work_of(x, w);
  const kernels::Epilogue epilogue = epilogue_of(op, ctx.has_input(2));
  if (ctx.dtype(0) != DType::kFloat64 && count_of(y) > 0 && has_blocked_kernel(op, y[1], x[1], spatial)) {
    TransposedParams t = params_of(op, x, w, y);
    t.conv.epilogue = epilogue;
    if (ctx.layout(1).plain()) return bind_through_blocked(ctx, t, work);
    Step step;
    TENON_TRY(add_phases(step, ctx, t, work));
    return step;
  }
  kernels::PlainConvParams p{};
  p.dtype = ctx.dtype(0);
  p.spatial = spatial;
  if (spatial > kernels::kMaxSpatial)
    return limit_error("ConvTranspose over ", spatial, " spatial dims, expected at most ", kernels::kMaxSpatial);
  p.batch = x[0], p.groups = op.group, p.channels = x[1], p.filters = y[1];
  for (int i = 0; i < spatial; ++i) {
    p.in[i] = x[2 + i], p.out[i] = y[2 + i], p.kernel[i] = w[2 + i];
    p.stride[i] = op.window.stride(i), p.dilation[i] = op.window.dilation(i);
    p.pad[i] = pad_of(op, i, w[2 + i], x[2 + i], y[2 + i]);
  }
  p.epilogue = epilogue;
  Step step;
  step.kernel = "PlainConvTranspose";
  const int64_t count = count_of(y);
  step.phases.push_back(Step::phase(kernels::PlainTransposedPointer(), p, count == 0 ? 0 : count / y.back(), work / kPlainSpeed));
  return step;
}

}  // namespace tenon::ops
