#include "ops/resize.h"

#include <algorithm>
#include <cmath>

#include "ops/resize_shape.h"

namespace tenon::ops {

namespace {

/// False for an input that is left out or, as opset 11 does it, an empty tensor.
bool given(const Types& in, int i) { return has(in, i) && !(in[i].ranked() && in[i].rank() == 1 && in[i].shape[0].is(0)); }

Status expect_one_per_axis(const Types& in, int i, size_t count, std::string_view name) {
  if (!in[i].ranked()) return {};
  if (in[i].rank() != 1 || dims_equal(in[i].shape[0], Dim(static_cast<int64_t>(count))) == false) {
    return input_error(i, "has shape ", in[i].shape.str(), ", expected ", count, " ", name);
  }
  return {};
}

/// floor(dim * scale) for a dim that is not a number: exact where scale is a small binary fraction.
Dim scaled(const Dim& dim, double scale) {
  for (int64_t denominator = 1; denominator <= 64; denominator *= 2) {
    const double numerator = scale * static_cast<double>(denominator);
    if (numerator == std::floor(numerator) && numerator < 1e6) {
      return Dim::floor_div(dim * Dim(static_cast<int64_t>(numerator)), Dim(denominator));
    }
  }
  return Dim::unknown();
}

Result<Shape> shape_by_scales(const Types& in, const std::vector<int64_t>& axes) {
  Shape out = in[0].shape;
  const auto scales = doubles_of(in, 2);
  if (!scales) {
    for (int64_t a : axes) out[a] = Dim::unknown();
    return out;
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const double scale = (*scales)[i];
    if (!(scale > 0) || std::isinf(scale))
      return input_error(2, "has scale ", scale, " for axis ", axes[i], ", expected a finite number above 0");
    Dim& dim = out[axes[i]];
    if (dim.is_const()) {
      TENON_ASSIGN(const int64_t size, scaled_size(dim.value(), static_cast<float>(scale), axes[i]));
      dim = Dim(size);
    } else {
      dim = scaled(dim, scale);
    }
  }
  return out;
}

Result<Shape> shape_by_sizes(const Resize& op, const Types& in, const std::vector<int64_t>& axes) {
  Shape out = in[0].shape;
  const auto sizes = contents_of(in, 3);
  bool known = sizes.has_value();
  std::vector<int64_t> from, to;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Dim size = sizes ? (*sizes)[i] : Dim::unknown();
    if (size.is_const() && size.value() < 0)
      return input_error(3, "has sizes of ", size.value(), " for axis ", axes[i], ", expected 0 or more");
    if (size.is_const() && size.value() > kMaxResizedDim) {
      return limit_error("input 3: sizes ask for ", size.value(), " elements along axis ", axes[i], ", the limit is ", kMaxResizedDim);
    }
    const Dim& dim = in[0].shape[axes[i]];
    out[axes[i]] = op.policy == Resize::Policy::kStretch ? size : Dim::unknown();
    known = known && size.is_const() && dim.is_const();
    if (known) {
      from.push_back(dim.value());
      to.push_back(size.value());
    }
  }
  if (!known) return out;
  TENON_ASSIGN(const auto resized, by_sizes(from, axes, to, op.policy));
  for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = Dim(resized[i].out);
  return out;
}

}  // namespace

Result<Types> infer(const Resize& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 4));
  TENON_TRY(expect_plain(in));
  if (op.mode != Resize::Mode::kNearest) TENON_TRY(expect_numeric(in, 0));
  if (op.mode == Resize::Mode::kNearest && op.antialias)
    return shape_error("antialias is for the modes linear and cubic, but mode is nearest");
  const bool by_scale = given(in, 2), by_size = given(in, 3);
  if (by_scale) TENON_TRY(expect_dtype(in, 2, {DType::kFloat32}));
  if (by_size) TENON_TRY(expect_dtype(in, 3, {DType::kInt64}));
  if (by_scale == by_size)
    return shape_error("has ", by_scale ? "both scales and sizes" : "neither scales nor sizes", ", expected one of them");
  const bool crop = op.coordinates == kernels::Coordinates::kTfCropAndResize;
  if (crop && !given(in, 1)) return shape_error("has no roi, which coordinate_transformation_mode tf_crop_and_resize needs");
  if (!in[0].ranked()) return Types{Type::unranked(in[0].dtype)};
  if (in[0].rank() > kernels::kMaxResizeAxes)
    return limit_error("input 0 has rank ", in[0].rank(), ", at most ", kernels::kMaxResizeAxes, " is supported");
  TENON_ASSIGN(const auto axes, resized_axes(op, in[0].rank()));
  if (by_scale) TENON_TRY(expect_one_per_axis(in, 2, axes.size(), "scales"));
  if (by_size) TENON_TRY(expect_one_per_axis(in, 3, axes.size(), "sizes"));
  if (crop) {
    TENON_TRY(expect_float(in, 1));
    TENON_TRY(expect_one_per_axis(in, 1, 2 * axes.size(), "roi bounds"));
  }
  for (int64_t a : axes) {
    const Dim& dim = in[0].shape[a];
    if (dim.is_const() && dim.value() > kMaxResizedDim)
      return limit_error("input 0 has ", dim.value(), " elements along axis ", a, ", the limit is ", kMaxResizedDim);
  }
  TENON_ASSIGN(Shape shape, by_scale ? shape_by_scales(in, axes) : shape_by_sizes(op, in, axes));
  if (shape.is_static() && !element_count(shape.to_ints()).ok())
    return limit_error(by_scale ? "scales" : "sizes", " make an output of too many elements, ", shape.str());
  return Types{Type::of(in[0].dtype, std::move(shape))};
}

namespace {

/// Axes to work on, with their tables laid out; filled in already when the region of interest is known.
struct Plan {
  kernels::ResizeTablesParams tables;  ///< holds rule and axes
  std::vector<int64_t> dims;           ///< dim of each of tables.axis
  bool late = false;                   ///< tables are made while running
  size_t bytes = 0;
  std::shared_ptr<Buffer> memory;
  const std::byte* data() const { return late ? nullptr : memory->data(); }
};

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

Result<Plan> make_plan(const Resize& op, const BindContext& ctx, bool wide) {
  const Dims &x = ctx.dims(0), &y = ctx.out_dims(0);
  TENON_ASSIGN(const auto axes, resized_axes(op, static_cast<int>(x.size())));
  std::vector<int64_t> from;
  for (int64_t a : axes) from.push_back(x[a]);
  std::vector<ResizedAxis> resized;
  const Tensor* scales = ctx.has_input(2) && ctx.dims(2)[0] > 0 ? ctx.constant(2) : nullptr;
  const Tensor* sizes = ctx.has_input(3) ? ctx.constant(3) : nullptr;
  if (scales) {
    TENON_ASSIGN(resized, by_scales(from, axes, scales->to_doubles()));
  } else if (sizes && sizes->count() > 0) {
    TENON_ASSIGN(resized, by_sizes(from, axes, sizes->to_ints(), op.policy));
  } else {
    std::vector<int64_t> to;  // known by shape only
    for (int64_t a : axes) to.push_back(y[a]);
    TENON_ASSIGN(resized, by_sizes(from, axes, to, Resize::Policy::kStretch));
  }

  const bool crop = op.coordinates == kernels::Coordinates::kTfCropAndResize;
  const Tensor* roi = crop ? ctx.constant(1) : nullptr;
  const std::vector<double> bounds = roi ? roi->to_doubles() : std::vector<double>(2 * axes.size(), 0);
  Plan plan;
  auto& t = plan.tables;
  t.rule = {op.mode, op.coordinates, op.nearest, op.exclude_outside, op.antialias, op.cubic_a};
  t.wide = wide;
  plan.late = crop && !roi;
  if (crop) t.roi_dtype = ctx.dtype(1);
  for (size_t i = 0; i < axes.size(); ++i) {
    const double begin = bounds[i], end = bounds[axes.size() + i];
    const bool whole = !crop || (roi && begin == 0 && end == 1);
    if (resized[i].scale == 1 && resized[i].out == from[i] && whole) continue;
    auto& a = t.axis[t.axes];
    a.in = from[i];
    a.out = resized[i].out;
    a.scale = resized[i].scale;
    a.width = resized[i].width;
    a.taps = kernels::resize_taps(t.rule, a.in, a.scale);
    const auto place = [&](int64_t bytes) {
      const size_t at = plan.bytes;
      plan.bytes = aligned(plan.bytes + static_cast<size_t>(bytes));
      return static_cast<int64_t>(at);
    };
    a.start_at = place(a.out * 4);
    if (op.mode != Resize::Mode::kNearest) a.weight_at = place(a.out * a.taps * (wide ? 8 : 4));
    if (crop) a.outside_at = place(a.out);
    t.roi_begin[t.axes] = static_cast<int32_t>(i);
    t.roi_end[t.axes] = static_cast<int32_t>(axes.size() + i);
    plan.dims.push_back(axes[i]);
    ++t.axes;
  }
  if (plan.late || t.axes == 0) return plan;
  TENON_ASSIGN(plan.memory, Buffer::allocate(plan.bytes));
  for (int i = 0; i < t.axes; ++i) {
    const double begin = bounds[t.roi_begin[i]], end = bounds[t.roi_end[i]];
    if (wide) {
      kernels::build_resize_tables<double>(t.rule, t.axis[i], begin, end, plan.memory->data());
    } else {
      kernels::build_resize_tables<float>(t.rule, t.axis[i], begin, end, plan.memory->data());
    }
  }
  return plan;
}

/// The step's phases hold on to the tables they read.
void keep(Step& step, const std::shared_ptr<Buffer>& memory) {
  struct Held {
    std::shared_ptr<const void> params;
    std::shared_ptr<Buffer> memory;
  };
  for (Phase& phase : step.phases) {
    auto held = std::make_shared<Held>(Held{phase.params, memory});
    phase.params = std::shared_ptr<const void>(held, held->params.get());
  }
}

/// Appends the one phase of `more`.
void append(Step& step, Step more) {
  if (step.phases.empty() || *step.kernel == '\0') step.kernel = more.kernel;
  step.phases.push_back(std::move(more.phases[0]));
  step.refusals.insert(step.refusals.end(), more.refusals.begin(), more.refusals.end());
}

/// True when the tables say that position j reads j / factor.
bool repeats(const int32_t* start, int64_t out, int64_t factor) {
  for (int64_t j = 0; j < out; ++j) {
    if (start[j] != j / factor) return false;
  }
  return true;
}

void write_fill(DType dtype, double value, unsigned char* fill) {
  if (dtype == DType::kString || value == 0) return;  // zero bytes: an empty string, a zero
  const auto put = [&](auto v) { std::copy_n(reinterpret_cast<const unsigned char*>(&v), sizeof(v), fill); };
  if (dtype == DType::kFloat64 || dtype == DType::kComplex128) return put(value);
  if (dtype == DType::kComplex64) return put(static_cast<float>(value));
  dispatch<float, Float16, BFloat16>(dtype, [&](auto t) { put(decltype(t)(static_cast<float>(value))); });
  dispatch<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(dtype, [&](auto t) {
    using T = decltype(t);
    const double rounded = std::nearbyint(value);
    constexpr double kMin = static_cast<double>(std::numeric_limits<T>::min()), kMax = static_cast<double>(std::numeric_limits<T>::max());
    put(!(rounded > kMin) ? std::numeric_limits<T>::min() : rounded >= kMax ? std::numeric_limits<T>::max() : static_cast<T>(rounded));
  });
  if (dtype == DType::kBool) fill[0] = 1;
}

Result<Step> bind_nearest(const Resize& op, const BindContext& ctx, const Plan& plan, Step step) {
  const Dims& x = ctx.dims(0);
  const Dims& y = ctx.out_dims(0);
  kernels::ResizeNearestParams p;
  p.tables = plan.data();
  p.element = static_cast<int64_t>(size_of(ctx.dtype(0)));
  write_fill(ctx.dtype(0), op.extrapolation, p.fill);
  // From the last dim on: a run of copied dims or one resized dim makes the row; further copied dims merge into one loop.
  struct Reversed {
    int64_t count, stride, start_at;
  };
  std::vector<Reversed> loops;
  int64_t stride = p.element;
  bool row_done = false, copied_before = false;
  for (int d = static_cast<int>(x.size()) - 1; d >= 0; --d) {
    const auto found = std::find(plan.dims.begin(), plan.dims.end(), d);
    const bool copied = found == plan.dims.end();
    const kernels::ResizeAxis* axis = copied ? nullptr : &plan.tables.axis[found - plan.dims.begin()];
    if (!row_done && copied) {
      p.row *= x[d];
    } else if (!row_done && p.row == 1) {
      p.row = axis->out;
      p.row_start_at = axis->start_at;
      row_done = true;
      if (p.tables) {
        const auto* start = reinterpret_cast<const int32_t*>(p.tables + axis->start_at);
        if (axis->out == 2 * axis->in && repeats(start, axis->out, 2)) p.factor = 2;
      }
    } else if (copied && copied_before) {
      loops.back().count *= x[d];
    } else {
      row_done = true;
      loops.push_back({y[d], stride, copied ? -1 : axis->start_at});
    }
    copied_before = row_done && copied && !loops.empty();
    stride *= x[d];
  }
  p.loops = static_cast<int32_t>(loops.size());
  for (size_t i = 0; i < loops.size(); ++i) {
    p.loop[loops.size() - 1 - i] = {loops[i].count, loops[i].stride, loops[i].start_at};
    p.rows *= loops[i].count;
  }
  p.rows_per_part = std::max<int64_t>(2, (64 << 10) / std::max<int64_t>(1, p.row * p.element) / 2 * 2);
  if (p.factor == 2 && plan.tables.axes == 2 && plan.dims[0] == static_cast<int64_t>(x.size()) - 2) {
    const kernels::ResizeAxis& rows = plan.tables.axis[0];
    p.planes_double = rows.out == 2 * rows.in && repeats(reinterpret_cast<const int32_t*>(p.tables + rows.start_at), rows.out, 2);
  }
  TENON_ASSIGN(Step nearest, ctx.choose(kernels::resize_nearest, p, p.parts(), 0.4 * static_cast<double>(p.rows * p.row)));
  append(step, std::move(nearest));
  return step;
}

/// Away from the edges, weights 1/4 and 3/4 of the two nearest.
bool doubles_with_quarters(const kernels::ResizeAxis& a, const std::byte* tables) {
  if (a.out != 2 * a.in || a.taps != 2) return false;
  const auto* start = reinterpret_cast<const int32_t*>(tables + a.start_at);
  const auto* w = reinterpret_cast<const float*>(tables + a.weight_at);
  for (int64_t j = 2; j < a.out - 2; ++j) {
    const float first = j % 2 ? 0.75f : 0.25f;
    if (start[j] != (j + 1) / 2 - 1 || w[j] != first || w[a.out + j] != 1 - first) return false;
  }
  return true;
}

/// The two last axes of float32, or nothing when the general passes have to do it.
Result<Step> bind_bilinear(const BindContext& ctx, const Plan& plan, bool* taken) {
  const Dims& x = ctx.dims(0);
  const int rank = static_cast<int>(x.size());
  *taken = ctx.dtype(0) == DType::kFloat32 && plan.tables.axes == 2 && !plan.late && plan.tables.axis[0].outside_at < 0 &&
           plan.tables.axis[0].taps <= 2 && plan.tables.axis[1].taps <= 2 && std::min(plan.dims[0], plan.dims[1]) == rank - 2;
  if (!*taken) return Step{};
  kernels::ResizeBilinearParams p;
  p.tables = plan.data();
  const int last = plan.dims[1] == rank - 1 ? 1 : 0;
  p.x = plan.tables.axis[last];
  p.y = plan.tables.axis[1 - last];
  p.doubles = doubles_with_quarters(p.x, p.tables);
  for (int d = 0; d < rank - 2; ++d) p.planes *= x[d];
  p.rows_per_part = std::clamp<int64_t>(16384 / p.x.out, 8, std::max<int64_t>(8, p.y.out));
  p.blocks = (p.y.out + p.rows_per_part - 1) / p.rows_per_part;
  TENON_ASSIGN(Step step, ctx.choose(kernels::resize_bilinear, p, p.parts(), 0.8 * static_cast<double>(p.planes * p.y.out * p.x.out)));
  step.scratch_bytes = p.scratch_bytes();
  return step;
}

/// The order of passes that does the least work. A pass along the last axis goes element by element, the others a row at a time.
std::vector<int> pass_order(const kernels::ResizeTablesParams& tables, const std::vector<int64_t>& axes, const Dims& dims) {
  std::vector<int> order;
  for (int i = 0; i < tables.axes; ++i) order.push_back(i);
  if (order.size() > 4) return order;
  std::vector<int> best = order;
  double least = INFINITY;
  do {
    double count = 1, cost = 0;
    for (int64_t d : dims) count *= static_cast<double>(d);
    for (int i : order) {
      const kernels::ResizeAxis& a = tables.axis[i];
      count = count / static_cast<double>(a.in) * static_cast<double>(a.out);
      cost += count * static_cast<double>(a.taps) * (axes[i] + 1 == static_cast<int64_t>(dims.size()) ? 6 : 1);
    }
    if (cost < least) {
      least = cost;
      best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

/// One pass an axis; elements that are neither float32 nor float64 are converted before and after.
Result<Step> bind_passes(const Resize& op, const BindContext& ctx, const Plan& plan, Step step, bool wide) {
  const DType dtype = ctx.dtype(0);
  const bool native = dtype == DType::kFloat32 || dtype == DType::kFloat64;
  const int64_t element = wide ? 8 : 4;
  const std::vector<int> order = pass_order(plan.tables, plan.dims, ctx.dims(0));
  Dims dims = ctx.dims(0);
  TENON_ASSIGN(int64_t count, element_count(dims));
  const size_t base = plan.late ? plan.bytes : 0;
  size_t shared = base;
  const auto place = [&](int64_t elements) {
    const size_t at = shared;
    shared = aligned(shared + static_cast<size_t>(elements * element));
    return static_cast<int64_t>(at);
  };
  int64_t at = -1;
  if (!native) {
    at = place(count);
    const kernels::ResizeConvertParams convert{dtype, wide, false, at, count};
    TENON_ASSIGN(Step first, ctx.choose(kernels::resize_convert, convert, convert.parts(), static_cast<double>(count)));
    append(step, std::move(first));
    step.kernel = "";
  }
  for (size_t n = 0; n < order.size(); ++n) {
    kernels::ResizePassParams p;
    p.tables = plan.data();
    p.wide = wide;
    p.axis = plan.tables.axis[order[n]];
    p.extrapolation = op.extrapolation;
    const int64_t d = plan.dims[order[n]];
    for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) (i < d ? p.outer : i > d ? p.inner : count) *= i == d ? 1 : dims[i];
    dims[d] = p.axis.out;
    TENON_ASSIGN(count, element_count(dims));
    p.src_at = at;
    const bool last = n + 1 == order.size();
    p.dst_at = last && native ? -1 : place(count);
    at = p.dst_at;
    const int64_t unit = p.inner == 1 ? p.axis.out : p.inner;
    p.units_per_part = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, unit * p.axis.taps));
    TENON_ASSIGN(Step pass, ctx.choose(kernels::resize_pass, p, p.parts(), 0.4 * static_cast<double>(count * p.axis.taps)));
    append(step, std::move(pass));
  }
  if (!native) {
    const kernels::ResizeConvertParams convert{dtype, wide, true, at, count};
    TENON_ASSIGN(Step back, ctx.choose(kernels::resize_convert, convert, convert.parts(), static_cast<double>(count)));
    append(step, std::move(back));
  }
  step.shared_bytes = shared;
  return step;
}

}  // namespace

Result<Step> bind(const Resize& op, const BindContext& ctx) {
  Step step;
  TENON_ASSIGN(const int64_t count, element_count(ctx.out_dims(0)));
  TENON_ASSIGN(const int64_t from, element_count(ctx.dims(0)));
  if (count == 0 || from == 0) {
    step.kernel = "ResizeEmpty";
    return step;
  }
  const DType dtype = ctx.dtype(0);
  // Integers longer than a byte need double to be rounded right.
  const bool wide = dtype == DType::kFloat64 || (is_integer(dtype) && size_of(dtype) > 1);
  TENON_ASSIGN(const Plan plan, make_plan(op, ctx, wide));
  if (plan.tables.axes == 0) {
    step.views.push_back({0, 0, 0});
    step.kernel = "ResizeView";
    return step;
  }
  if (plan.late) {
    TENON_ASSIGN(step, ctx.choose(kernels::resize_tables, plan.tables, 1, static_cast<double>(plan.bytes)));
    step.kernel = "";
    step.shared_bytes = plan.bytes;
  }
  if (op.mode == Resize::Mode::kNearest) {
    TENON_ASSIGN(step, bind_nearest(op, ctx, plan, std::move(step)));
  } else {
    bool taken = false;
    TENON_ASSIGN(Step bilinear, bind_bilinear(ctx, plan, &taken));
    if (taken) {
      step = std::move(bilinear);
    } else {
      TENON_ASSIGN(step, bind_passes(op, ctx, plan, std::move(step), wide));
    }
  }
  keep(step, plan.memory);
  return step;
}

}  // namespace tenon::ops
