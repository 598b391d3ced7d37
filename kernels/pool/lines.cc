// Max and average pooling of plain float32 tensors. Every output row is made in two steps, both over whole vectors: the rows a window
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

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;

template <PoolKind kKind>
HWY_INLINE VF Join(VF a, VF b) {
  return kKind == PoolKind::kMax ? MaxNan(a, b) : hn::Add(a, b);
}

// Vectors that are joined side by side: each alone would wait for its own last result.
constexpr int kSide = 4;
// Rows that are joined in registers before the line is written.
constexpr int kRows = 8;

/// line[i] = src[0][i] joined with src[1][i] to src[count - 1][i], and with what line[i] held unless kFirst; n values.
template <PoolKind kKind, bool kFirst>
void JoinRows(const float* const* src, int count, float* HWY_RESTRICT line, int64_t n) {
  const DF d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + kSide * lanes <= n; i += kSide * lanes) {
    VF acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(d, (kFirst ? src[0] : line) + i + v * lanes);
    for (int r = kFirst ? 1 : 0; r < count; ++r) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(acc[v], hn::LoadU(d, src[r] + i + v * lanes));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(acc[v], d, line + i + v * lanes);
  }
  for (; i < n; i += lanes) {
    // The last vector overlaps the one before, where that does not join elements twice.
    if (kFirst && i + lanes > n && n >= lanes) i = n - lanes;
    if (i + lanes <= n) {
      VF acc = hn::LoadU(d, (kFirst ? src[0] : line) + i);
      for (int r = kFirst ? 1 : 0; r < count; ++r) acc = Join<kKind>(acc, hn::LoadU(d, src[r] + i));
      hn::StoreU(acc, d, line + i);
    } else {
      const auto left = static_cast<size_t>(n - i);
      VF acc = LoadPart(d, (kFirst ? src[0] : line) + i, left);
      for (int r = kFirst ? 1 : 0; r < count; ++r) acc = Join<kKind>(acc, LoadPart(d, src[r] + i, left));
      StorePart(acc, d, line + i, left);
    }
  }
}

/// Lanes 0, step, 2 * step... of the memory at src.
HWY_INLINE VF LoadEvery(DF d, const float* src, int64_t step, hn::Vec<hn::RebindToSigned<DF>> index) {
  if (step == 1) return hn::LoadU(d, src);
  if (step == 2) {
    VF even, odd;
    hn::LoadInterleaved2(d, src, even, odd);
    return even;
  }
  return hn::GatherIndex(d, src, index);
}

/// dst[o] = line[o * stride + k * dilation] joined over k, and for averages divided by the number of elements under the window: `rows`
/// times columns[o].
template <PoolKind kKind>
void ReduceLine(const Dims3& d, const float* line, float rows, const float* columns, float* dst) {
  const DF df;
  const hn::RebindToSigned<DF> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df)), stride = d.stride[2], width = d.out[2];
  const auto index = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(stride)));
  const auto finish = [&](VF acc, int64_t o) HWY_ATTR {
    return kKind == PoolKind::kMax ? acc : hn::Div(acc, hn::Mul(hn::LoadU(df, columns + o), hn::Set(df, rows)));
  };
  int64_t o = 0;
  for (; stride == 1 && o + kSide * lanes <= width; o += kSide * lanes) {
    VF acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(df, line + o + v * lanes);
    for (int64_t k = 1; k < d.kernel[2]; ++k) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(acc[v], hn::LoadU(df, line + o + v * lanes + k * d.dilation[2]));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(finish(acc[v], o + v * lanes), df, dst + o + v * lanes);
  }
  for (; o < width; o += lanes) {
    if (o + lanes > width && width >= lanes) o = width - lanes;  // over the vector before
    const float* at = line + o * stride;
    VF acc = LoadEvery(df, at, stride, index);
    for (int64_t k = 1; k < d.kernel[2]; ++k) acc = Join<kKind>(acc, LoadEvery(df, at + k * d.dilation[2], stride, index));
    acc = finish(acc, o);
    if (o + lanes <= width) {
      hn::StoreU(acc, df, dst + o);
    } else {
      StorePart(acc, df, dst + o, static_cast<size_t>(width - o));
    }
  }
}

template <PoolKind kKind>
void PoolRow(const PoolParams& p, const Dims3& d, const float* plane, float* line, const float* columns, float* dst, int64_t row) {
  const int64_t oz = d.out[0] == 1 ? 0 : row / d.out[1], oy = row - oz * d.out[1];
  const Taps3 zs(d, 0, oz), ys(d, 1, oy);
  const int64_t z = oz * d.stride[0] - d.pad[0], y = oy * d.stride[1] - d.pad[1];
  float* middle = line + d.pad[2];
  const float* rows[kRows];
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
    for (int64_t i = 0; i < d.in[2]; ++i) middle[i] = kKind == PoolKind::kMax ? -std::numeric_limits<float>::infinity() : 0.0f;
  }
  const auto size = [&](const Taps3& t) { return static_cast<double>(p.count_include_pad ? t.padded : t.end - t.begin); };
  ReduceLine<kKind>(d, line, static_cast<float>(size(zs) * size(ys)), columns, dst);
}

template <PoolKind kKind>
void PoolParts(const PoolParams& p, const Call& call, Range range) {
  const Dims3 d(p);
  const int64_t in_plane = d.in[0] * d.in[1] * d.in[2], rows = p.row_count(), row_parts = p.row_parts();
  float* columns = reinterpret_cast<float*>(call.scratch);
  float* line = columns + d.out[2];
  const float outside = kKind == PoolKind::kMax ? -std::numeric_limits<float>::infinity() : 0.0f;
  const int64_t length = pool_line_bytes(p) / static_cast<int64_t>(sizeof(float)) - d.out[2];
  for (int64_t i = 0; i < length; ++i) line[i] = outside;
  for (int64_t o = 0; o < d.out[2]; ++o) {
    const Taps3 xs(d, 2, o);
    columns[o] = static_cast<float>(p.count_include_pad ? xs.padded : xs.end - xs.begin);
  }
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts, begin = part % row_parts * p.rows;
    const int64_t end = begin + p.rows < rows ? begin + p.rows : rows;
    for (int64_t row = begin; row < end; ++row) {
      PoolRow<kKind>(p, d, call.in<float>(0) + plane * in_plane, line, columns, call.out<float>(0) + (plane * rows + row) * d.out[2], row);
    }
  }
}

}  // namespace

void PoolLines(const PoolParams& p, const Call& call, Range range) {
  if (p.kind == PoolKind::kMax) {
    PoolParts<PoolKind::kMax>(p, call, range);
  } else {
    PoolParts<PoolKind::kAverage>(p, call, range);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
HWY_EXPORT(PoolLines);
Kernel<PoolParams> PoolLinesPointer() { return TENON_POINTER(PoolLines); }
}  // namespace tenon::kernels
#endif
