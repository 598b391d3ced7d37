// Max and average pooling of plain tensors. Every output row is made in two steps, both over whole vectors: the rows a window
// covers become one line, as long as the input is wide and padded at both ends, and that line is reduced along its length.
#include "kernels/pool/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/lines.cc"
#include "hwy/foreach_target.h"

#include <limits>

#include "hwy/highway.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/pool/window-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

template <class T>
using DOf = hn::ScalableTag<T>;
template <class T>
using VOf = hn::Vec<DOf<T>>;

// Vectors that are joined side by side: each alone would wait for its own last result.
constexpr int kSide = 4;
// Rows that are joined in registers before the line is written.
constexpr int kRows = 8;

/// line[i] = src[0][i] joined with src[1][i] to src[count - 1][i], and with what line[i] held unless kFirst; n values.
template <PoolKind kKind, bool kFirst, class T>
void JoinRows(const T* const* src, int count, T* HWY_RESTRICT line, int64_t n) {
  const DOf<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + kSide * lanes <= n; i += kSide * lanes) {
    VOf<T> acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(d, (kFirst ? src[0] : line) + i + v * lanes);
    for (int r = kFirst ? 1 : 0; r < count; ++r) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(d, acc[v], hn::LoadU(d, src[r] + i + v * lanes));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(acc[v], d, line + i + v * lanes);
  }
  for (; i < n; i += lanes) {
    // The last vector overlaps the one before, where that does not join elements twice.
    if (kFirst && i + lanes > n && n >= lanes) i = n - lanes;
    if (i + lanes <= n) {
      VOf<T> acc = hn::LoadU(d, (kFirst ? src[0] : line) + i);
      for (int r = kFirst ? 1 : 0; r < count; ++r) acc = Join<kKind>(d, acc, hn::LoadU(d, src[r] + i));
      hn::StoreU(acc, d, line + i);
    } else {
      const auto left = static_cast<size_t>(n - i);
      VOf<T> acc = LoadPart(d, (kFirst ? src[0] : line) + i, left);
      for (int r = kFirst ? 1 : 0; r < count; ++r) acc = Join<kKind>(d, acc, LoadPart(d, src[r] + i, left));
      StorePart(acc, d, line + i, left);
    }
  }
}

/// Lanes 0, step, 2 * step... of the memory at src.
template <class T>
HWY_INLINE VOf<T> LoadEvery(DOf<T> d, const T* src, int64_t step) {
  if (step == 1) return hn::LoadU(d, src);
  if (step == 2) {
    VOf<T> even, odd;
    hn::LoadInterleaved2(d, src, even, odd);
    return even;
  }
  if constexpr (sizeof(T) == 4) {
    const hn::RebindToSigned<DOf<T>> di;
    return hn::GatherIndex(d, src, hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(step))));
  } else {
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    for (int64_t i = 0; i < static_cast<int64_t>(hn::Lanes(d)); ++i) lanes[i] = src[i * step];
    return hn::Load(d, lanes);
  }
}

/// dst[o] = line[o * stride + k * dilation] joined over k, and for averages divided by the number of elements under the window: `rows`
/// times columns[o].
template <PoolKind kKind, class T>
void ReduceLine(const Dims3& d, const T* line, float rows, const T* columns, T* dst) {
  const DOf<T> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df)), stride = d.stride[2], width = d.out[2];
  const auto finish = [&](VOf<T> acc, [[maybe_unused]] int64_t o) HWY_ATTR {
    if constexpr (kKind == PoolKind::kAverage) acc = hn::Div(acc, hn::Mul(hn::LoadU(df, columns + o), hn::Set(df, rows)));
    return acc;
  };
  int64_t o = 0;
  for (; stride == 1 && o + kSide * lanes <= width; o += kSide * lanes) {
    VOf<T> acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(df, line + o + v * lanes);
    for (int64_t k = 1; k < d.kernel[2]; ++k) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(df, acc[v], hn::LoadU(df, line + o + v * lanes + k * d.dilation[2]));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(finish(acc[v], o + v * lanes), df, dst + o + v * lanes);
  }
  for (; o < width; o += lanes) {
    if (o + lanes > width && width >= lanes) o = width - lanes;  // over the vector before
    const T* at = line + o * stride;
    VOf<T> acc = LoadEvery<T>(df, at, stride);
    for (int64_t k = 1; k < d.kernel[2]; ++k) acc = Join<kKind>(df, acc, LoadEvery<T>(df, at + k * d.dilation[2], stride));
    acc = finish(acc, o);
    if (o + lanes <= width) {
      hn::StoreU(acc, df, dst + o);
    } else {
      StorePart(acc, df, dst + o, static_cast<size_t>(width - o));
    }
  }
}

template <PoolKind kKind, class T>
void PoolRow(const PoolParams& p, const Dims3& d, const T* plane, T* line, const T* columns, T* dst, int64_t row) {
  const int64_t oz = d.out[0] == 1 ? 0 : row / d.out[1], oy = row - oz * d.out[1];
  const Taps3 zs(d, 0, oz), ys(d, 1, oy);
  const int64_t z = oz * d.stride[0] - d.pad[0], y = oy * d.stride[1] - d.pad[1];
  T* middle = line + d.pad[2];
  const T* rows[kRows];
  int count = 0;
  bool first = true;
  const auto join = [&] {
    if (first) {
      JoinRows<kKind, true>(rows, count, middle, d.in[2]);
    } else {
      JoinRows<kKind, false>(rows, count, middle, d.in[2]);
    }
    first = false;
    count = 0;
  };
  for (int64_t kz = zs.begin; kz < zs.end; ++kz) {
    for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
      rows[count++] = plane + ((z + kz * d.dilation[0]) * d.in[1] + y + ky * d.dilation[1]) * d.in[2];
      if (count == kRows) join();
    }
  }
  if (count > 0) join();
  if (first) {
    for (int64_t i = 0; i < d.in[2]; ++i) middle[i] = Outside<kKind, T>();
  }
  const auto size = [&](const Taps3& t) { return static_cast<double>(p.count_include_pad ? t.padded : t.end - t.begin); };
  ReduceLine<kKind, T>(d, line, static_cast<float>(size(zs) * size(ys)), columns, dst);
}

template <PoolKind kKind, class T>
void PoolParts(const PoolParams& p, const Call& call, Range range) {
  const Dims3 d(p);
  const int64_t in_plane = d.in[0] * d.in[1] * d.in[2], rows = p.row_count(), row_parts = p.row_parts();
  T* columns = reinterpret_cast<T*>(call.scratch);  // of averages
  T* line = columns + d.out[2];
  const int64_t length = pool_line_bytes(p) / static_cast<int64_t>(sizeof(T)) - d.out[2];
  for (int64_t i = 0; i < length; ++i) line[i] = Outside<kKind, T>();
  for (int64_t o = 0; kKind == PoolKind::kAverage && o < d.out[2]; ++o) {
    const Taps3 xs(d, 2, o);
    columns[o] = static_cast<T>(p.count_include_pad ? xs.padded : xs.end - xs.begin);
  }
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts, begin = part % row_parts * p.rows;
    const int64_t end = begin + p.rows < rows ? begin + p.rows : rows;
    for (int64_t row = begin; row < end; ++row) {
      PoolRow<kKind, T>(p, d, call.in<T>(0) + plane * in_plane, line, columns, call.out<T>(0) + (plane * rows + row) * d.out[2], row);
    }
  }
}

}  // namespace

void PoolLines(const PoolParams& p, const Call& call, Range range) {
  if (p.kind == PoolKind::kAverage) return PoolParts<PoolKind::kAverage, float>(p, call, range);
  switch (p.dtype) {
    case DType::kInt8: return PoolParts<PoolKind::kMax, int8_t>(p, call, range);
    case DType::kUint8: return PoolParts<PoolKind::kMax, uint8_t>(p, call, range);
    default: return PoolParts<PoolKind::kMax, float>(p, call, range);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(PoolLines);
Kernel<PoolParams> PoolLinesPointer() { return TENON_POINTER(PoolLines); }
}  // namespace tenon::kernels
#endif
