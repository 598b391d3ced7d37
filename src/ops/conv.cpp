#include "ops/conv.h"

#include <algorithm>
#include <atomic>

#include "base/load_memory.h"
#include "base/pieces.h"
#include "base/weight_cache.h"
#include "kernels/onednn/choice.h"
#include "kernels/onednn/onednn.h"
#include "ops/blocked_step.h"
#include "ops/elements.h"

namespace tenon::ops {

using kernels::ConvFormat;
using kernels::ConvParams;

namespace {

/// Multiply-adds a nanosecond on one core, for estimates.
constexpr double kPlainSpeed = 0.5;

void set_activation(kernels::Epilogue& e, const Activation& a) {
  e.low = a.low;
  e.high = a.high;
  if (!a.has_unary) return;
  e.tile = kernels::unary_tile(a.unary);
  e.alpha = a.alpha;
  e.beta = a.beta;
}

void set_inputs(kernels::Epilogue& e, const BindContext& ctx) {
  e.bias = ctx.has_input(2);
  e.residual = ctx.has_input(3);
}

double work_of(const Dims& w, const Dims& y) {
  double work = 1;
  for (const int64_t d : y) work *= static_cast<double>(d);
  for (size_t i = 1; i < w.size(); ++i) work *= static_cast<double>(w[i]);
  return work;
}

Result<Step> bind_plain(const Conv& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &w = ctx.dims(1), &y = ctx.out_dims(0);
  kernels::PlainConvParams p{};
  p.dtype = ctx.dtype(0);
  p.spatial = static_cast<int32_t>(x.size()) - 2;
  if (p.spatial > kernels::kMaxSpatial)
    return limit_error("Conv over ", p.spatial, " spatial dims, expected at most ", kernels::kMaxSpatial);
  p.batch = x[0], p.groups = op.group, p.channels = x[1], p.filters = w[0];
  for (int i = 0; i < p.spatial; ++i) {
    const WindowDim d = window_dim(op.window, i, w[2 + i], x[2 + i], y[2 + i]);
    p.in[i] = d.in, p.out[i] = d.out, p.kernel[i] = d.kernel, p.stride[i] = d.stride, p.dilation[i] = d.dilation, p.pad[i] = d.pad;
  }
  set_activation(p.epilogue, op.activation);
  set_inputs(p.epilogue, ctx);
  Step step;
  step.kernel = "PlainConv";
  const int64_t count = count_of(y);
  const int64_t parts = count == 0 ? 0 : count / y.back();
  step.phases.push_back(Step::phase(kernels::PlainConvPointer(), p, parts, work_of(w, y) / kPlainSpeed));
  return step;
}

/// The table row for `p` as the next phase of `step`.
Status add_conv(Step& step, const BindContext& ctx, ConvParams p, double work) {
  if (gathers_pixels(p)) {
    kernels::GatherPixelsParams gather{p};
    gather.to = reserve_shared(step, gather.bytes());
    step.phases.push_back(Step::phase(kernels::GatherPixelsPointer(), gather, gather.parts(), static_cast<double>(gather.bytes()) * 0.1));
    p.shared_input = gather.to;
    for (int i = 0; i < 3; ++i) p.in[i] = p.out[i], p.stride[i] = 1;
  }
  const int64_t parts = plan_conv(p);
  if (parts < 0) return limit_error("strides, dilations or pads make the lines that a window covers too long for the memory of a thread");
  if (p.patches > 0) {
    p.shared_patches = reserve_shared(step, p.patches);
    const double elements = static_cast<double>(p.patches) / 4;
    step.phases.push_back(Step::phase(kernels::ConvWinogradPatchesPointer(), p, patch_parts(p), elements * 0.15));
  }
  TENON_ASSIGN(Step one, ctx.choose(kernels::conv, p, parts, work / kConvSpeed));
  step.kernel = one.kernel;
  step.refusals = std::move(one.refusals);
  step.phases.push_back(std::move(one.phases[0]));
  step.scratch_bytes = std::max(step.scratch_bytes, static_cast<size_t>(p.scratch));
  return {};
}

struct PackPhase {
  ConvParams conv;
  int64_t from, to;  ///< in Call::shared; from -1: input 1
};

void run_pack(const PackPhase& k, const kernels::Call& call, kernels::Range range) {
  const float* weights = k.from >= 0 ? reinterpret_cast<const float*>(call.shared + k.from) : call.in<float>(1);
  kernels::pack_conv_weights(k.conv, weights, reinterpret_cast<float*>(call.shared + k.to), range);
}

/// Plain tensors through the blocked kernels: reorder, pack the weights, convolve, reorder.
Result<Step> bind_through_blocked(const ConvParams& params, const BindContext& ctx) {
  ConvParams p = params;
  BlockedStep to(ctx);
  p.shared_input = p.format == ConvFormat::kPlainInput ? to.plain(0) : to.blocked(0);
  if (p.epilogue.bias) p.epilogue.shared_bias = to.plain(2);
  if (p.epilogue.residual) p.epilogue.shared_residual = to.blocked(3);
  const int64_t weights = to.plain(1);
  p.shared_weights = to.reserve(kernels::packed_conv_weights(p) * 4);
  to.step.phases.push_back(
      Step::phase<PackPhase>(run_pack, {p, weights, p.shared_weights}, kernels::conv_pack_parts(p), work_of(ctx.dims(1), {})));
  p.shared_output = to.result();
  TENON_TRY(add_conv(to.step, ctx, p, work_of(ctx.dims(1), ctx.out_dims(0))));
  return std::move(to).finish(p.shared_output);
}

}  // namespace

ConvParams conv_params(const Conv& op, const Dims& x, const Dims& w, const Dims& y) {
  ConvParams p;
  p.batch = x[0], p.groups = op.group, p.channels = x[1], p.filters = w[0];
  set_window(p, op.window, x, w, y);
  set_activation(p.epilogue, op.activation);
  return p;
}

Layout blocked_layout() { return Layout{Layout::Kind::kChannelBlocked, static_cast<uint8_t>(kernels::channel_block()), 0}; }

Result<Shape> conv_shape(const Window& window, int64_t group, const Shape& x, const Shape& w, const Shape& bias, const ConvNames& names) {
  if (group < 1) return shape_error("group is ", group, ", expected 1 or more");
  const int rank = x.ranked() ? x.rank() : w.ranked() ? w.rank() : -1;
  TENON_TRY(check_window(window, rank < 0 ? -1 : rank - 2));
  if (rank < 0) return Shape::unranked();
  if (rank < 3)
    return shape_error(x.ranked() ? names.x : names.w, " has rank ", rank, " ", (x.ranked() ? x : w).str(), ", expected 3 or more");
  if (x.ranked() && w.ranked() && w.rank() != x.rank()) {
    return shape_error(names.w, " has rank ", w.rank(), " ", w.str(), ", expected rank ", x.rank(), " like ", names.x, " ", x.str());
  }
  const int spatial = rank - 2;
  const Dim filters = w.ranked() ? w[0] : Dim::unknown();
  if (w.ranked()) {
    if (filters.is_const() && filters.value() % group != 0) {
      return shape_error("group is ", group, ", which does not divide the ", filters.value(), " filters of ", names.w, " ", w.str(),
                         x.ranked() ? std::string(" (") + names.x + " has " + x[1].str() + " channels)" : std::string());
    }
    if (x.ranked() && x[1].is_const() && w[1].is_const()) {
      const auto channels = checked_mul(w[1].value(), group);
      if (!channels || *channels != x[1].value()) {
        return shape_error(names.w, " ", w.str(), " has ", w[1].value(), " channels a group, expected ",
                           x[1].value() % group == 0 ? str(std::vector<int64_t>{x[1].value() / group}) : "a divisor", " (", names.x,
                           " has ", x[1].value(), " channels, group is ", group, ")");
      }
    }
  }
  DimList out{x.ranked() ? x[0] : Dim::unknown(), filters};
  for (int i = 0; i < spatial; ++i) {
    Dim kernel = w.ranked() ? w[2 + i] : Dim::unknown();
    if (!window.kernel_shape.empty()) {
      const int64_t k = window.kernel_shape[i];
      if (kernel.is_const() && kernel.value() != k) {
        return shape_error("kernel_shape is ", str(window.kernel_shape), ", expected the spatial dims of ", names.w, " ", w.str());
      }
      kernel = Dim(k);
    }
    if (!kernel.is_const()) {
      const bool same = window.auto_pad == AutoPad::kSameUpper || window.auto_pad == AutoPad::kSameLower;
      out.push_back(same && x.ranked() ? Dim::ceil_div(x[2 + i], Dim(window.stride(i))) : Dim::unknown());
      continue;
    }
    if (kernel.value() < 1) return shape_error(names.w, " ", w.str(), " has an empty kernel");
    if (!x.ranked()) {
      out.push_back(Dim::unknown());
      continue;
    }
    TENON_ASSIGN(Dim d, window_output(window, i, kernel.value(), x[2 + i]));
    out.push_back(d);
  }
  if (bias.ranked() && (bias.rank() != 1 || dims_equal(bias[0], filters) == false)) {
    return shape_error(names.bias, " has shape ", bias.str(), ", expected ", filters.str(), " elements (one a filter)");
  }
  return Shape(std::move(out));
}

Result<Types> infer(const Conv& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 5));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_same_dtype(in, 0, 1));
  if (has(in, 2)) TENON_TRY(expect_same_dtype(in, 0, 2));
  if (has(in, 3)) TENON_TRY(expect_same_dtype(in, 0, 3));
  if (has(in, 4)) TENON_TRY(expect_same_dtype(in, 0, 4));
  const Type &x = in[0], &w = in[1];

  const bool packed = w.layout.kind == Layout::Kind::kPacked;
  const bool blocked_input = packed && !takes_plain_input(static_cast<ConvFormat>(w.layout.format));
  if (x.layout != (blocked_input ? blocked_layout() : Layout{}) || (!packed && !w.layout.plain())) {
    return error(Code::kInternal, "input 0 has layout ", x.layout.str(), " and the weights ", w.layout.str());
  }
  const Layout out_layout = packed ? blocked_layout() : Layout{};
  if (has(in, 2) && !in[2].layout.plain()) return error(Code::kInternal, "input 2 has layout ", in[2].layout.str(), ", expected plain");
  if (has(in, 3) && in[3].layout != out_layout) {
    return error(Code::kInternal, "input 3 has layout ", in[3].layout.str(), ", expected ", out_layout.str());
  }

  if (has(in, 4) && (!takes_input_scale(op, w) || in[4].layout != out_layout)) {
    return error(Code::kInternal, "input 4 has layout ", in[4].layout.str(), " beside weights in ", w.layout.str());
  }

  TENON_ASSIGN(Shape shape, conv_shape(op.window, op.group, x.shape, w.shape, has(in, 2) ? in[2].shape : Shape::unranked()));
  if (!shape.ranked()) {
    Type out = Type::unranked(x.dtype);
    out.layout = out_layout;
    return Types{out};
  }
  const int rank = shape.rank();
  Type result = Type::of(x.dtype, std::move(shape));
  result.layout = out_layout;
  if (has(in, 3) && in[3].ranked()) {
    bool fits = in[3].rank() == rank;
    for (int i = 0; fits && i < rank; ++i) fits = dims_equal(in[3].shape[i], result.shape[i]) != false;
    if (!fits) return input_error(3, "has shape ", in[3].shape.str(), ", expected ", result.shape.str());
  }
  if (has(in, 4) && in[4].ranked() && x.ranked()) {
    bool fits = in[4].rank() == rank;
    for (int i = 0; fits && i < rank; ++i) fits = dims_equal(in[4].shape[i], i < 2 ? x.shape[i] : Dim(1)) != false;
    if (!fits) return input_error(4, "has shape ", in[4].shape.str(), ", expected one number a channel of input 0 ", x.shape.str());
  }
  return Types{std::move(result)};
}

bool takes_input_scale(const Conv& op, const Type& weights) {
  if (weights.layout.kind != Layout::Kind::kPacked || static_cast<ConvFormat>(weights.layout.format) != ConvFormat::kDirect) return false;
  if (op.group != 1 || !weights.ranked()) return false;
  for (int i = 2; i < weights.rank(); ++i) {
    if (!weights.shape[i].is(1)) return false;
  }
  return true;
}

namespace {

/// kDirect or kGrouped.
ConvFormat direct_format(const Conv& op, int64_t filters, int64_t channels) {
  if (op.group == 1) return ConvFormat::kDirect;
  const int64_t block = kernels::channel_block();
  return channels / op.group % block == 0 && filters / op.group % block == 0 ? ConvFormat::kDirect : ConvFormat::kGrouped;
}

/// The fastest method of a convolution without groups that Winograd's covers, for an image of the sizes of `x`.
ConvFormat fastest_format(const Conv& op, const Dims& w, const Shape& x) {
  if (w.size() != 4 || w[2] != 3 || w[3] != 3 || w[0] < 16 || w[1] < 16) return ConvFormat::kDirect;
  for (int i = 0; i < 2; ++i) {
    if (op.window.stride(i) != 1 || op.window.dilation(i) != 1) return ConvFormat::kDirect;
  }
  if (!x[2].is_const() || !x[3].is_const()) return ConvFormat::kWinograd4;
  return kernels::winograd_format(w[1], w[0], x[2].value(), x[3].value());
}

}  // namespace

ConvFormat conv_format(const Conv& op, const Dims& weights, const Shape& x, bool plain_input, bool strict) {
  const int64_t filters = weights[0], channels = weights[1] * op.group, spatial = static_cast<int64_t>(weights.size()) - 2;
  if (spatial < 1 || spatial > 3 || channels == 0 || filters == 0) return ConvFormat::kNone;
  if (plain_input) return ConvFormat::kPlainInput;
  return op.group == 1 && !strict ? fastest_format(op, weights, x) : direct_format(op, filters, channels);
}

namespace {

/// Packs filters that may have to be read first, as many at a time as are still in the second cache when they are packed.
Status pack_filters(const ConvParams& p, const Tensor& weights, float* packed) {
  constexpr int64_t kPackBytes = 256 << 10, kLine = 16;
  const int64_t filter_bytes = p.channels / p.groups * p.taps() * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp(kPackBytes / std::max<int64_t>(filter_bytes, 1) / kLine, int64_t{1}, int64_t{4}) * kLine;
  const auto room = static_cast<size_t>(std::min(most, p.filters) * filter_bytes);
  std::shared_ptr<Buffer> rooms;
  if (!weights.in_place()) {
    TENON_ASSIGN(rooms, LoadMemory::passing(room * static_cast<size_t>(LoadThreads::threads())));
  }
  return for_each_piece(kernels::conv_pack_parts(p), [&](int64_t part, int thread) -> Status {
    std::byte* const to = rooms ? rooms->data() + room * static_cast<size_t>(thread) : nullptr;
    const kernels::Range filters = kernels::conv_pack_filters(p, part);
    for (int64_t first = filters.begin; first < filters.end; first += most) {
      const int64_t last = std::min(first + most, filters.end);
      TENON_ASSIGN(const std::byte* plain,
                   weights.peek(static_cast<size_t>(first * filter_bytes), static_cast<size_t>((last - first) * filter_bytes), to));
      kernels::pack_conv_filters(p, part, {first, last}, reinterpret_cast<const float*>(plain), packed);
    }
    return {};
  });
}

}  // namespace

Result<Tensor> pack_conv_weights(const Conv& op, const Tensor& weights, ConvFormat format, std::shared_ptr<Allocator> allocator) {
  Dims x = weights.dims();
  x[0] = 1, x[1] *= op.group;
  ConvParams p = conv_params(op, x, weights.dims(), x);
  p.format = format;
  const int64_t floats = kernels::packed_conv_weights(p);
  const auto bytes = checked_mul(floats, 4);
  if (!bytes) return limit_error("packing weights of shape ", str(weights.dims()), " overflows");
  const auto pack = [&](std::byte* to) { return pack_filters(p, weights, reinterpret_cast<float*>(to)); };
  const std::string recipe = "convolution " + std::to_string(static_cast<int>(format)) + " of " + std::to_string(op.group);
  TENON_ASSIGN(auto buffer, kept_or_made({&weights}, recipe, static_cast<size_t>(*bytes), std::move(allocator), pack));
  return Tensor::view(DType::kFloat32, {floats}, std::move(buffer));
}

Result<std::optional<OneDnnWeights>> pack_conv_weights_by_onednn(const Conv& op, const Tensor& weights, const Shape& x, const Shape& out,
                                                                 ConvFormat own, bool bias, bool residual,
                                                                 std::shared_ptr<Allocator> allocator) {
  Dims in{1}, result{1};  // primitives are for one image
  for (int i = 1; i < x.rank(); ++i) {
    if (!x[i].is_const() || !out[i].is_const()) return std::optional<OneDnnWeights>();
    in.push_back(x[i].value());
    result.push_back(out[i].value());
  }
  ConvParams p = conv_params(op, in, weights.dims(), result);
  p.format = own;
  p.epilogue.bias = bias;
  p.epilogue.residual = residual;
  if (kernels::onednn::slower(p) != nullptr) return std::optional<OneDnnWeights>();
  p.format = takes_plain_input(own) ? ConvFormat::kOneDnnPlainInput : ConvFormat::kOneDnn;
  const auto slices = kernels::onednn::convolution(p);
  if (slices == nullptr) return std::optional<OneDnnWeights>();
  TENON_ASSIGN(auto buffer, Buffer::allocate(slices->weights_bytes(), std::move(allocator)));
  TENON_TRY(settle({&weights.buffer(), 1}));
  std::atomic<bool> packed{true};
  const int64_t filter = weights.dims()[0] == 0 ? 0 : static_cast<int64_t>(weights.bytes()) / weights.dims()[0];
  share_out(slices->count(), [&](int64_t begin, int64_t end, int) {
    if (!slices->pack(weights.data(), filter, buffer->data(), {begin, end})) packed = false;
  });
  if (!packed) return std::optional<OneDnnWeights>();
  const auto floats = static_cast<int64_t>(slices->weights_bytes() / sizeof(float));
  return std::optional<OneDnnWeights>({Tensor::view(DType::kFloat32, {floats}, std::move(buffer)), p.format});
}

Result<Step> bind(const Conv& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &w = ctx.dims(1), &y = ctx.out_dims(0);
  TENON_TRY(element_count(y));
  if (ctx.layout(1).kind == Layout::Kind::kPacked) {
    ConvParams p = conv_params(op, x, w, y);
    p.format = static_cast<ConvFormat>(ctx.layout(1).format);
    set_inputs(p.epilogue, ctx);
    p.scaled = ctx.has_input(4);
    std::shared_ptr<const kernels::onednn::Slices> slices;
    if (p.format == ConvFormat::kOneDnn || p.format == ConvFormat::kOneDnnPlainInput) {
      slices = kernels::onednn::convolution(p);
      if (slices == nullptr) return error(Code::kInternal, "oneDNN made no kernel for weights that it packed");
      p.slices = slices.get();
    } else if (ctx.want_refusals()) {
      p.no_onednn = kernels::onednn::refusal(kernels::onednn::slower(p));
    }
    Step step;
    TENON_TRY(add_conv(step, ctx, p, work_of(w, y)));
    if (slices != nullptr) step.phases.back().keep(std::move(slices));
    return step;
  }
  if (ctx.dtype(0) != DType::kFloat64 && x.size() <= 5 && x[1] > 0 && count_of(y) > 0) {
    ConvParams p = conv_params(op, x, w, y);
    p.format = op.group == 1 && x[1] <= 4 ? ConvFormat::kPlainInput : direct_format(op, w[0], x[1]);
    set_inputs(p.epilogue, ctx);
    if (ConvParams planned = p; plan_conv(planned) >= 0) return bind_through_blocked(p, ctx);
  }
  return bind_plain(op, ctx);
}

}  // namespace tenon::ops
