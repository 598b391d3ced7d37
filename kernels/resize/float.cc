// The fast paths: nearest elements of 1 to 8 bytes where rows double, and linear ones of float32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/resize/float.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/resize/nearest_rows.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Rows of n elements, 16 bytes or more, each repeated: to[2i] = to[2i + 1] = from[i], and the row made a second time where kTwice. The last
/// vector of a row overlaps the one before; rows below a vector take narrower ones.
template <bool kTwice, class D, class T = hn::TFromD<D>>
HWY_NOINLINE void RepeatRows(D d, const T* HWY_RESTRICT from, int64_t n, T* HWY_RESTRICT to, int64_t rows) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (n < lanes) {
    if constexpr (hn::MaxLanes(d) * sizeof(T) > 16) RepeatRows<kTwice>(hn::Half<D>(), from, n, to, rows);
    return;
  }
  // Longer rows one at a time: what is stored to two places in turn reaches the cache in pieces of lines.
  const bool at_once = kTwice && n <= 2 * lanes;
  const int times = kTwice && !at_once ? 2 : 1;
  for (; rows > 0; --rows, from += n) {
    for (int time = 0; time < times; ++time, to += 2 * n) {
      for (int64_t i = 0;; i = i + 2 * lanes <= n ? i + lanes : n - lanes) {
        const auto v = hn::LoadU(d, from + i);
        hn::StoreInterleaved2(v, v, d, to + 2 * i);
        if (at_once) hn::StoreInterleaved2(v, v, d, to + 2 * (n + i));
        if (i + lanes == n) break;
      }
    }
    if (at_once) to += 2 * n;
  }
}

/// The same for elements of 1, 2, 4 or 8 bytes.
template <bool kTwice>
void Repeat(int64_t element, const std::byte* from, int64_t n, std::byte* to, int64_t rows) {
  const auto repeat = [&](auto d) HWY_ATTR {
    using T = hn::TFromD<decltype(d)>;
    RepeatRows<kTwice>(d, reinterpret_cast<const T*>(from), n, reinterpret_cast<T*>(to), rows);
  };
  switch (element) {
    case 1: return repeat(hn::ScalableTag<uint8_t>());
    case 2: return repeat(hn::ScalableTag<uint16_t>());
    case 4: return repeat(hn::ScalableTag<uint32_t>());
    default: return repeat(hn::ScalableTag<uint64_t>());
  }
}

void NearestDouble(const ResizeNearestParams& p, const Call& call, Range range) {
  resize::walk_rows(p, p.tables ? p.tables : call.shared, call, range,
                    [&](const std::byte* src, std::byte* dst) HWY_ATTR { Repeat<false>(p.element, src, p.row / 2, dst, 1); });
}

/// Rows and columns both double, so source rows follow each other and each becomes two.
void NearestDoublePlanes(const ResizeNearestParams& p, const Call& call, Range range) {
  const int64_t n = p.row / 2, bytes = n * p.element, pairs = p.rows / 2, per_part = p.rows_per_part / 2;
  const int64_t begin = range.begin * per_part, end = range.end * per_part < pairs ? range.end * per_part : pairs;
  Repeat<true>(p.element, call.in<std::byte>(0) + begin * bytes, n, call.out<std::byte>(0) + 4 * begin * bytes, end - begin);
}

/// to[j] = sum over taps of weights[t, j] * from[start[j] + t], for j in [begin, end). Weights of one tap are `stride` apart. Plain loads:
/// gathers are slower than them on most CPUs.
HWY_INLINE void ResampleRow(const float* HWY_RESTRICT from, const int32_t* HWY_RESTRICT start, const float* HWY_RESTRICT weights,
                            int64_t stride, int64_t taps, int64_t begin, int64_t end, float* HWY_RESTRICT to) {
  if (taps == 2) {
    for (int64_t j = begin; j < end; ++j) to[j] = weights[j] * from[start[j]] + weights[stride + j] * from[start[j] + 1];
    return;
  }
  for (int64_t j = begin; j < end; ++j) {
    const float* at = from + start[j];
    float sum = weights[j] * at[0], more = 0;
    int64_t t = 1;
    for (; t + 1 < taps; t += 2) {
      sum += weights[t * stride + j] * at[t];
      more += weights[(t + 1) * stride + j] * at[t + 1];
    }
    if (t < taps) sum += weights[t * stride + j] * at[t];
    to[j] = sum + more;
  }
}

/// to[i] = sum over taps of weights[t * stride] * from[t * n + i].
HWY_INLINE void BlendRows(const float* HWY_RESTRICT from, const float* HWY_RESTRICT weights, int64_t stride, int64_t taps, int64_t n,
                          float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  if (taps == 2) {
    const auto a = hn::Set(d, weights[0]), b = hn::Set(d, weights[stride]);
    for (; i + lanes <= n; i += lanes) hn::StoreU(hn::MulAdd(b, hn::LoadU(d, from + n + i), hn::Mul(a, hn::LoadU(d, from + i))), d, to + i);
  } else {
    for (; i + lanes <= n; i += lanes) {
      auto sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, from + i));
      for (int64_t t = 1; t < taps; ++t) sum = hn::MulAdd(hn::Set(d, weights[t * stride]), hn::LoadU(d, from + t * n + i), sum);
      hn::StoreU(sum, d, to + i);
    }
  }
  for (; i < n; ++i) {
    float sum = weights[0] * from[i];
    for (int64_t t = 1; t < taps; ++t) sum += weights[t * stride] * from[t * n + i];
    to[i] = sum;
  }
}

void PassFloat(const ResizePassParams& p, const Call& call, Range range) {
  const std::byte* tables = p.tables ? p.tables : call.shared;
  const float* src = p.src_at < 0 ? call.in<float>(0) : reinterpret_cast<const float*>(call.shared + p.src_at);
  float* dst = p.dst_at < 0 ? call.out<float>(0) : reinterpret_cast<float*>(call.shared + p.dst_at);
  const auto* start = reinterpret_cast<const int32_t*>(tables + p.axis.start_at);
  const auto* weights = reinterpret_cast<const float*>(tables + p.axis.weight_at);
  const auto* outside = p.axis.outside_at >= 0 ? reinterpret_cast<const uint8_t*>(tables + p.axis.outside_at) : nullptr;
  const int64_t out = p.axis.out, in = p.axis.in, inner = p.inner, taps = p.axis.taps;
  const int64_t begin = range.begin * p.units_per_part;
  const int64_t end = range.end * p.units_per_part < p.units() ? range.end * p.units_per_part : p.units();
  const float fill = static_cast<float>(p.extrapolation);
  for (int64_t u = begin; u < end; ++u) {
    if (inner == 1) {
      float* to = dst + u * out;
      ResampleRow(src + u * in, start, weights, out, taps, 0, out, to);
      if (outside) {
        for (int64_t j = 0; j < out; ++j) to[j] = outside[j] ? fill : to[j];
      }
      continue;
    }
    const int64_t o = u / out, j = u % out;
    float* to = dst + u * inner;
    if (outside && outside[j]) {
      for (int64_t i = 0; i < inner; ++i) to[i] = fill;
    } else {
      BlendRows(src + (o * in + start[j]) * inner, weights + j, out, taps, inner, to);
    }
  }
}

/// A row twice as long: to[2i] = 1/4 from[i-1] + 3/4 from[i], to[2i+1] = 3/4 from[i] + 1/4 from[i+1]; the two ends by the tables.
HWY_INLINE void DoubleRow(const ResizeBilinearParams& p, const float* HWY_RESTRICT from, const int32_t* start, const float* weights,
                          float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto quarter = hn::Set(d, 0.25f), rest = hn::Set(d, 0.75f);
  int64_t i = 1;
  for (; i + lanes <= p.x.in - 1; i += lanes) {
    const auto mid = hn::Mul(rest, hn::LoadU(d, from + i));
    hn::StoreInterleaved2(hn::MulAdd(quarter, hn::LoadU(d, from + i - 1), mid), hn::MulAdd(quarter, hn::LoadU(d, from + i + 1), mid), d,
                          to + 2 * i);
  }
  ResampleRow(from, start, weights, p.x.out, p.x.taps, 0, 2, to);
  ResampleRow(from, start, weights, p.x.out, p.x.taps, 2 * i, p.x.out, to);
}

void Bilinear(const ResizeBilinearParams& p, const Call& call, Range range) {
  const std::byte* tables = p.tables ? p.tables : call.shared;
  const auto* ys = reinterpret_cast<const int32_t*>(tables + p.y.start_at);
  const auto* xs = reinterpret_cast<const int32_t*>(tables + p.x.start_at);
  const auto* wy = reinterpret_cast<const float*>(tables + p.y.weight_at);
  const auto* wx = reinterpret_cast<const float*>(tables + p.x.weight_at);
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = p.x.out;
  float* rows[2] = {reinterpret_cast<float*>(call.scratch), reinterpret_cast<float*>(call.scratch) + p.row_stride()};
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / p.blocks, first = part % p.blocks * p.rows_per_part;
    const float* src = call.in<float>(0) + plane * p.y.in * p.x.in;
    float* dst = call.out<float>(0) + plane * p.y.out * n;
    int64_t held[2] = {-1, -1};  // which source row, resampled along x, each scratch row holds; always neighbours' parities
    const auto row = [&](int64_t y) HWY_ATTR -> const float* {
      float* to = rows[y & 1];
      if (held[y & 1] == y) return to;
      held[y & 1] = y;
      if (p.doubles) {
        DoubleRow(p, src + y * p.x.in, xs, wx, to);
      } else {
        ResampleRow(src + y * p.x.in, xs, wx, n, p.x.taps, 0, n, to);
      }
      return to;
    };
    const int64_t last = first + p.rows_per_part < p.y.out ? first + p.rows_per_part : p.y.out;
    for (int64_t y = first; y < last; ++y) {
      const float* above = row(ys[y]);
      float* to = dst + y * n;
      if (p.y.taps == 1) {
        for (int64_t i = 0; i < n; ++i) to[i] = wy[y] * above[i];
        continue;
      }
      const float* below = row(ys[y] + 1);
      const float a = wy[y], b = wy[p.y.out + y];
      const auto va = hn::Set(d, a), vb = hn::Set(d, b);
      int64_t i = 0;
      for (; i + lanes <= n; i += lanes)
        hn::StoreU(hn::MulAdd(vb, hn::LoadU(d, below + i), hn::Mul(va, hn::LoadU(d, above + i))), d, to + i);
      for (; i < n; ++i) to[i] = a * above[i] + b * below[i];
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {

TENON_EXPORT(NearestDouble);
TENON_EXPORT(NearestDoublePlanes);
TENON_EXPORT(PassFloat);
TENON_EXPORT(Bilinear);
Kernel<ResizeNearestParams> ResizeNearestDoublePointer() { return TENON_POINTER(NearestDouble); }
Kernel<ResizeNearestParams> ResizeNearestDoublePlanesPointer() { return TENON_POINTER(NearestDoublePlanes); }
Kernel<ResizePassParams> ResizePassFloatPointer() { return TENON_POINTER(PassFloat); }
Kernel<ResizeBilinearParams> ResizeBilinearPointer() { return TENON_POINTER(Bilinear); }

}  // namespace tenon::kernels
#endif
