#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <type_traits>

#include "kernels/resize/resize.h"

namespace tenon::kernels {

namespace {

/// The window that linear or cubic interpolation reads around x: taps `first` .. `first + n - 1` relative to ceil(x) - 1.
struct Window {
  int64_t first = 0;
  int64_t n = 2;
};

Window window_of(const ResizeRule& rule, double scale) {
  const double reach = rule.mode == ResizeMode::kCubic ? 2 : 1;
  const double shrink = rule.antialias ? std::min(scale, 1.0) : 1.0;
  const auto first = static_cast<int64_t>(std::floor(-reach / shrink)) + 1;
  return {first, 2 - 2 * first};
}

double filter(const ResizeRule& rule, double x) {
  x = std::abs(x);
  if (rule.mode == ResizeMode::kLinear) return std::max(0.0, 1 - x);
  const double a = rule.cubic_a;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

double source_position(const ResizeRule& rule, const ResizeAxis& a, double j, double roi_begin, double roi_end) {
  const double last = static_cast<double>(a.in - 1);
  switch (rule.coordinates) {
    case Coordinates::kHalfPixel: return (j + 0.5) / a.scale - 0.5;
    case Coordinates::kHalfPixelSymmetric: {
      const double offset = static_cast<double>(a.in) / 2 * (1 - static_cast<double>(a.out) / a.width);
      return offset + (j + 0.5) / a.scale - 0.5;
    }
    case Coordinates::kPytorchHalfPixel: return a.out > 1 ? (j + 0.5) / a.scale - 0.5 : 0;
    case Coordinates::kAlignCorners: return a.width == 1 ? 0 : j * last / (a.width - 1);
    case Coordinates::kAsymmetric: return j / a.scale;
    case Coordinates::kTfHalfPixelForNn: return (j + 0.5) / a.scale;
    case Coordinates::kTfCropAndResize:
      return a.width == 1 ? 0.5 * (roi_begin + roi_end) * last : roi_begin * last + j * (roi_end - roi_begin) * last / (a.width - 1);
  }
  return 0;
}

double nearest(NearestMode mode, double x, double scale) {
  switch (mode) {
    case NearestMode::kRoundPreferFloor: return std::ceil(x - 0.5);
    case NearestMode::kRoundPreferCeil: return std::floor(x + 0.5);
    case NearestMode::kFloor: return std::floor(x);
    case NearestMode::kCeil: return std::ceil(x);
    case NearestMode::kFloorOrShrinkCeil: return scale < 1 ? std::ceil(x) : std::floor(x);
  }
  return x;
}

}  // namespace

int64_t resize_taps(const ResizeRule& rule, int64_t in, double scale) {
  return rule.mode == ResizeMode::kNearest ? 1 : std::min(in, window_of(rule, scale).n);
}

template <class C>
void build_resize_tables(const ResizeRule& rule, const ResizeAxis& a, double roi_begin, double roi_end, std::byte* tables) {
  auto* start = reinterpret_cast<int32_t*>(tables + a.start_at);
  auto* weights = reinterpret_cast<C*>(tables + a.weight_at);
  auto* outside = a.outside_at >= 0 ? reinterpret_cast<uint8_t*>(tables + a.outside_at) : nullptr;
  const Window window = window_of(rule, a.scale);
  const double shrink = rule.antialias ? std::min(a.scale, 1.0) : 1.0;
  const auto last = static_cast<double>(a.in - 1);
  for (int64_t j = 0; j < a.out; ++j) {
    double x = source_position(rule, a, static_cast<double>(j), roi_begin, roi_end);
    // Decisions are made on the float32 value: scales are float32, and position 3 at scale 0.6f is meant to be 5, not just below it.
    const double decided = static_cast<float>(x);
    const bool out_of_roi = rule.coordinates == Coordinates::kTfCropAndResize && !(decided >= 0 && decided <= last);
    if (rule.mode == ResizeMode::kNearest) x = decided;
    if (outside) outside[j] = out_of_roi;
    if (!(std::abs(x) < 4e9)) x = x > 0 ? last : 0;
    if (rule.mode == ResizeMode::kNearest) {
      start[j] = out_of_roi ? -1 : static_cast<int32_t>(std::clamp(nearest(rule.nearest, x, a.scale), 0.0, last));
      continue;
    }
    const double left = std::ceil(x) - 1;
    const double ratio = x - left;  // in (0, 1]
    const int64_t first = static_cast<int64_t>(left) + window.first;
    // Positions outside the axis read its edge: their weights are added to the edge's, so the kernels never leave the axis.
    const int64_t begin = std::clamp<int64_t>(first, 0, a.in - a.taps);
    double sum = 0;
    for (int64_t i = 0; i < window.n; ++i) {
      const bool beyond = first + i < 0 || first + i >= a.in;
      if (!(beyond && rule.exclude_outside)) sum += filter(rule, (static_cast<double>(window.first + i) - ratio) * shrink);
    }
    // Only these two need dividing: the plain filters add up to 1.
    const double norm = (rule.antialias || rule.exclude_outside) && sum != 0 ? sum : 1;
    start[j] = static_cast<int32_t>(begin);
    for (int64_t t = 0; t < a.taps; ++t) weights[t * a.out + j] = 0;
    double edge[2] = {0, 0};  // added up in double
    for (int64_t i = 0; i < window.n; ++i) {
      const int64_t at = first + i;
      const double w = filter(rule, (static_cast<double>(window.first + i) - ratio) * shrink) / norm;
      if (at > 0 && at < a.in - 1) {
        weights[(at - begin) * a.out + j] = static_cast<C>(w);
      } else if (!(rule.exclude_outside && (at < 0 || at >= a.in))) {
        edge[at > 0] += w;
      }
    }
    if (a.in == 1) edge[0] += edge[1];
    if (begin == 0) weights[j] = static_cast<C>(edge[0]);
    if (a.in > 1 && begin + a.taps == a.in) weights[(a.taps - 1) * a.out + j] = static_cast<C>(edge[1]);
  }
}
template void build_resize_tables<float>(const ResizeRule&, const ResizeAxis&, double, double, std::byte*);
template void build_resize_tables<double>(const ResizeRule&, const ResizeAxis&, double, double, std::byte*);

namespace {

void run_tables(const ResizeTablesParams& p, const Call& call, Range range) {
  if (range.begin == range.end) return;
  const auto roi = [&](int32_t i, double otherwise) {
    double v = otherwise;
    if (i >= 0) {
      dispatch<float, double, Float16, BFloat16>(p.roi_dtype, [&](auto t) {
        using T = decltype(t);
        v = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<T, double>, double, float>>(call.in<T>(1)[i]));
      });
    }
    return v;
  };
  for (int i = 0; i < p.axes; ++i) {
    const double begin = roi(p.roi_begin[i], 0), end = roi(p.roi_end[i], 1);
    if (p.wide) {
      build_resize_tables<double>(p.rule, p.axis[i], begin, end, call.shared);
    } else {
      build_resize_tables<float>(p.rule, p.axis[i], begin, end, call.shared);
    }
  }
}

/// Integers are rounded to nearest even and saturate.
template <class T, class C>
T back(C v) {
  if constexpr (std::is_integral_v<T>) {
    v = std::nearbyint(v);
    constexpr C kMin = static_cast<C>(std::numeric_limits<T>::min()), kMax = static_cast<C>(std::numeric_limits<T>::max());
    if (!(v > kMin)) return std::numeric_limits<T>::min();
    return v >= kMax ? std::numeric_limits<T>::max() : static_cast<T>(v);
  } else {
    return T(static_cast<float>(v));
  }
}

template <class C>
void convert(const ResizeConvertParams& p, const Call& call, int64_t begin, int64_t end) {
  C* wide = reinterpret_cast<C*>(call.shared + p.at);
  const auto run = [&](auto t) {
    using T = decltype(t);
    if (p.back) {
      T* dst = call.out<T>(0);
      for (int64_t i = begin; i < end; ++i) dst[i] = back<T>(wide[i]);
    } else {
      const T* src = call.in<T>(0);
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (std::is_integral_v<T>) {
          wide[i] = static_cast<C>(src[i]);
        } else {
          wide[i] = static_cast<C>(static_cast<float>(src[i]));
        }
      }
    }
  };
  if constexpr (sizeof(C) == 8) {
    dispatch<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(p.dtype, run);
  } else {
    dispatch<Float16, BFloat16, int8_t, uint8_t>(p.dtype, run);
  }
}

void run_convert(const ResizeConvertParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.kPart, end = std::min(range.end * p.kPart, p.count);
  if (p.wide) {
    convert<double>(p, call, begin, end);
  } else {
    convert<float>(p, call, begin, end);
  }
}

template <class P>
const char* takes_all(const P&) {
  return nullptr;
}

const Row<ResizeTablesParams> kTablesRows[] = {
    {"ResizeTables", takes_all<ResizeTablesParams>, []() -> Kernel<ResizeTablesParams> { return &run_tables; }}};
const Row<ResizeConvertParams> kConvertRows[] = {
    {"ResizeConvert", takes_all<ResizeConvertParams>, []() -> Kernel<ResizeConvertParams> { return &run_convert; }}};

#define KERNEL_ROW(Name, Params, when, why) TENON_KERNEL_ROW(Params, Name, when, why)
#define NEAREST KERNEL_ROW
const Row<ResizeNearestParams> kNearestRows[] = {
#include "kernels/resize/kernels.inc"
};
#undef NEAREST
#define PASS KERNEL_ROW
const Row<ResizePassParams> kPassRows[] = {
#include "kernels/resize/kernels.inc"
};
#undef PASS
#define BILINEAR KERNEL_ROW
const Row<ResizeBilinearParams> kBilinearRows[] = {
#include "kernels/resize/kernels.inc"
};
#undef BILINEAR

}  // namespace

const Table<ResizeTablesParams> resize_tables{"resize_tables", kTablesRows, 1};
const Table<ResizeConvertParams> resize_convert{"resize_convert", kConvertRows, 1};
const Table<ResizeNearestParams> resize_nearest{"resize_nearest", kNearestRows, std::size(kNearestRows)};
const Table<ResizePassParams> resize_pass{"resize_pass", kPassRows, std::size(kPassRows)};
const Table<ResizeBilinearParams> resize_bilinear{"resize_bilinear", kBilinearRows, std::size(kBilinearRows)};

}  // namespace tenon::kernels
