// Averaging is separable: the sum over a bin's grid of samples is a sum over image rows and columns, each with the weight its samples
// give it. So a bin costs its image elements once, not four reads a sample, whatever the sampling ratio.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/vision/vision.h"

namespace tenon::kernels {
namespace {

/// One axis of a region: `grid` samples in each of the bins.
template <class C>
struct Line {
  C begin, bin;   ///< of the region, and of one bin
  C grid;         ///< samples a bin, a whole number (kept as a float: a hostile region can be enormous)
  bool adaptive;  ///< grid follows from bin
  int64_t size;   ///< of the image

  C sample(int64_t b, C i) const { return begin + static_cast<C>(b) * bin + (i + static_cast<C>(0.5)) * bin / grid; }

  /// Calls f(low, high, fraction) for every sample of bin b that counts; returns whether some do not. Of an adaptive grid, whose samples
  /// are at least half an element apart, only those near the image are looked at, so the work is bounded by the image's size.
  template <class F>
  bool visit(int64_t b, F&& f) const {
    if (!(grid >= 1)) return false;
    C first = 0, last = grid - 1;
    if (adaptive) {
      const C step = bin / grid, from = sample(b, 0);
      first = std::max(first, std::floor((-1 - from) / step) - 1);
      last = std::min(last, std::ceil((static_cast<C>(size) - from) / step) + 1);
      if (!(first <= last && first < C{1e15} && last < C{1e15})) return true;  // all outside, or not numbers
    }
    bool dropped = first > 0 || last < grid - 1;
    for (auto n = static_cast<int64_t>(first), end = static_cast<int64_t>(last); n <= end; ++n) {
      const C i = static_cast<C>(n);
      C v = sample(b, i);
      if (!(v >= -1 && v <= static_cast<C>(size))) {
        dropped = true;
        continue;
      }
      v = std::max(v, C{0});
      auto low = static_cast<int64_t>(v);
      int64_t high = low + 1;
      if (low >= size - 1) {
        low = high = size - 1;
        v = static_cast<C>(low);
      }
      f(low, high, v - static_cast<C>(low));
    }
    return dropped;
  }
};

template <class C>
Line<C> line_of(const RoiAlignParams& p, C begin, C end, int64_t bins, int64_t size) {
  const C scale = static_cast<C>(p.spatial_scale), offset = p.half_pixel ? static_cast<C>(0.5) : C{0};
  Line<C> l;
  l.begin = begin * scale - offset;
  C length = end * scale - offset - l.begin;
  if (!p.half_pixel) length = std::max(length, C{1});
  l.bin = length / static_cast<C>(bins);
  l.adaptive = p.sampling_ratio <= 0;
  l.grid = !l.adaptive ? static_cast<C>(p.sampling_ratio) : std::ceil(l.bin);
  l.size = size;
  return l;
}

template <class T, class C>
C load(T v) {
  if constexpr (std::is_same_v<T, C>) {
    return v;
  } else {
    return static_cast<C>(static_cast<float>(v));
  }
}

struct Span {
  int64_t begin, end;
};

/// Adds the weights of bin b to the zeroed `weights` and returns where they are.
template <class C>
Span weigh(const Line<C>& line, int64_t b, C* weights) {
  Span s{line.size, 0};
  line.visit(b, [&](int64_t low, int64_t high, C fraction) {
    weights[low] += 1 - fraction;
    weights[high] += fraction;
    s.begin = std::min(s.begin, low);
    s.end = std::max(s.end, high + 1);
  });
  return s;
}

template <class T, class C>
void average(const RoiAlignParams& p, const Line<C>& y, const Line<C>& x, const T* src, T* dst, int64_t channels, std::byte* scratch) {
  auto* spans = reinterpret_cast<Span*>(scratch);
  C* columns = reinterpret_cast<C*>(scratch + p.out_width * sizeof(Span));
  C* rows = columns + p.out_width * p.width;
  std::fill(columns, rows + p.height, C{0});
  for (int64_t w = 0; w < p.out_width; ++w) spans[w] = weigh(x, w, columns + w * p.width);
  const C samples = y.grid * x.grid;
  const C count = samples >= 1 ? samples : C{1};
  for (int64_t h = 0; h < p.out_height; ++h) {
    const Span span = weigh(y, h, rows);
    for (int64_t c = 0; c < channels; ++c) {
      const T* plane = src + c * p.height * p.width;
      T* out = dst + (c * p.out_height + h) * p.out_width;
      for (int64_t w = 0; w < p.out_width; ++w) {
        const C* weights = columns + w * p.width;
        C sum = 0;
        for (int64_t r = span.begin; r < span.end; ++r) {
          C row = 0;
          for (int64_t k = spans[w].begin; k < spans[w].end; ++k) row += weights[k] * load<T, C>(plane[r * p.width + k]);
          sum += rows[r] * row;
        }
        out[w] = T(sum / count);
      }
    }
    for (int64_t r = span.begin; r < span.end; ++r) rows[r] = 0;
  }
}

/// The maximum over samples of the largest weighted corner, which is what ONNX defines, not of the interpolated values.
template <class T, class C>
void maximum(const RoiAlignParams& p, const Line<C>& y, const Line<C>& x, const T* src, T* dst, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    const T* plane = src + c * p.height * p.width;
    for (int64_t h = 0; h < p.out_height; ++h) {
      for (int64_t w = 0; w < p.out_width; ++w) {
        bool any = false;
        C best = 0;
        const auto take = [&](C v) {
          if (!any || v > best) best = v;
          any = true;
        };
        bool dropped_x = false;
        const bool dropped_y = y.visit(h, [&](int64_t y0, int64_t y1, C fy) {
          dropped_x |= x.visit(w, [&](int64_t x0, int64_t x1, C fx) {
            const auto at = [&](int64_t r, int64_t k) { return load<T, C>(plane[r * p.width + k]); };
            take(std::max(std::max((1 - fy) * (1 - fx) * at(y0, x0), (1 - fy) * fx * at(y0, x1)),
                          std::max(fy * (1 - fx) * at(y1, x0), fy * fx * at(y1, x1))));
          });
        });
        if (dropped_x || (dropped_y && x.grid >= 1)) take(0);
        dst[(c * p.out_height + h) * p.out_width + w] = T(best);
      }
    }
  }
}

template <class T>
void run(const RoiAlignParams& p, const Call& call, Range range) {
  using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t roi = part / p.blocks(), first = part % p.blocks() * p.channels_per_part;
    const int64_t channels = std::min(p.channels_per_part, p.channels - first);
    const int64_t batch = call.in<int64_t>(2)[roi];
    if (batch < 0 || batch >= p.batches) {
      call.fault->report(Fault::kIndex, batch, p.batches, 2);
      continue;
    }
    C box[4];
    for (int i = 0; i < 4; ++i) box[i] = load<T, C>(call.in<T>(1)[4 * roi + i]);
    const Line<C> x = line_of<C>(p, box[0], box[2], p.out_width, p.width), y = line_of<C>(p, box[1], box[3], p.out_height, p.height);
    const T* src = call.in<T>(0) + (batch * p.channels + first) * p.height * p.width;
    T* dst = call.out<T>(0) + (roi * p.channels + first) * p.out_height * p.out_width;
    if (p.max) {
      maximum<T, C>(p, y, x, src, dst, channels);
    } else {
      average<T, C>(p, y, x, src, dst, channels, call.scratch);
    }
  }
}

void run_roi_align(const RoiAlignParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) { run<decltype(t)>(p, call, range); });
}

const Row<RoiAlignParams> kRows[] = {
    {"RoiAlign", [](const RoiAlignParams&) -> const char* { return nullptr; }, []() -> Kernel<RoiAlignParams> { return &run_roi_align; }}};

}  // namespace

const Table<RoiAlignParams> roi_align{"roi_align", kRows, 1};

}  // namespace tenon::kernels
