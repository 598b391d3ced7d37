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

/// dst[i] = value for i < n.
template <class T>
HWY_NOINLINE void Fill(T* dst, int64_t n, T value) {
#pragma GCC unroll 1
  for (int64_t i = 0; i < n; ++i) dst[i] = value;
}

/// line[i] = src[0][i] joined with src[1][i] to src[count - 1][i], n values. src[0] may be the line.
template <PoolKind kKind, class T>
HWY_INLINE void JoinRows(const T* const* src, int count, T* line, int64_t n) {
  const DOf<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + kSide * lanes <= n; i += kSide * lanes) {
    VOf<T> acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(d, src[0] + i + v * lanes);
    for (int r = 1; r < count; ++r) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(d, acc[v], hn::LoadU(d, src[r] + i + v * lanes));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(acc[v], d, line + i + v * lanes);
    const int64_t left = n - i - kSide * lanes;
    if (left > 2 * lanes && left < kSide * lanes && src[0] != line) i -= kSide * lanes - left;  // over vectors before
  }
  for (; i < n; i += lanes) {
    // The last vector overlaps the one before, where that does not join elements twice.
    if (src[0] != line && i + lanes > n && n >= lanes) i = n - lanes;
    if (i + lanes <= n) {
      VOf<T> acc = hn::LoadU(d, src[0] + i);
      for (int r = 1; r < count; ++r) acc = Join<kKind>(d, acc, hn::LoadU(d, src[r] + i));
      hn::StoreU(acc, d, line + i);
    } else {
      const auto left = static_cast<size_t>(n - i);
      VOf<T> acc = LoadPart(d, src[0] + i, left);
      for (int r = 1; r < count; ++r) acc = Join<kKind>(d, acc, LoadPart(d, src[r] + i, left));
      StorePart(acc, d, line + i, left);
    }
  }
}

/// phases[r] = src[r], src[r + kStep], src[r + 2 * kStep]...
template <int kStep, class T>
HWY_INLINE void LoadPhases(DOf<T> d, const T* src, VOf<T> (&phases)[kStep]) {
  if constexpr (kStep == 2) {
    hn::LoadInterleaved2(d, src, phases[0], phases[1]);
  } else {
    static_assert(kStep == 4);
    hn::LoadInterleaved4(d, src, phases[0], phases[1], phases[2], phases[3]);
  }
}

/// Lanes 0, step, 2 * step... of the memory at src.
template <class T>
HWY_INLINE VOf<T> LoadEvery(DOf<T> d, const T* src, int64_t step) {
  if (step == 1) return hn::LoadU(d, src);
  if (step == 2) {
    VOf<T> phases[2];
    LoadPhases<2, T>(d, src, phases);
    return phases[0];
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

/// dst[o] = line[o * stride + k * dilation] joined over k, times scale[o] for averages. kStep: the stride where taps are neighbours, and
/// one load serves as many of them; 1 for any stride and dilation.
template <PoolKind kKind, int kStep, class T>
void ReduceLine(const Dims3& d, const T* line, const T* scale, T* dst) {
  const DOf<T> df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df)), stride = kStep == 1 ? d.stride[2] : kStep, width = d.out[2];
  const int64_t taps = d.kernel[2], dilation = d.dilation[2];
  const auto finish = [&](VOf<T> acc, [[maybe_unused]] int64_t o) HWY_ATTR {
    if constexpr (kKind == PoolKind::kAverage) acc = hn::Mul(acc, hn::LoadU(df, scale + o));
    return acc;
  };
  int64_t o = 0;
  for (; stride == 1 && o + kSide * lanes <= width; o += kSide * lanes) {
    VOf<T> acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(df, line + o + v * lanes);
    for (int64_t k = 1; k < taps; ++k) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(df, acc[v], hn::LoadU(df, line + o + v * lanes + k * dilation));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(finish(acc[v], o + v * lanes), df, dst + o + v * lanes);
  }
  for (; o < width; o += lanes) {
    if (o + lanes > width && width >= lanes) o = width - lanes;  // over the vector before
    const T* at = line + o * stride;
    VOf<T> acc;
    if constexpr (kStep == 1) {
      acc = LoadEvery<T>(df, at, stride);
      for (int64_t k = 1; k < taps; ++k) acc = Join<kKind>(df, acc, LoadEvery<T>(df, at + k * dilation, stride));
    } else {
      VOf<T> phases[kStep];
      int64_t k = kStep;
      if (taps >= kStep) {
        LoadPhases<kStep, T>(df, at, phases);
        acc = phases[0];
        for (int r = 1; r < kStep; ++r) acc = Join<kKind>(df, acc, phases[r]);
      } else {
        acc = LoadEvery<T>(df, at, stride);
        k = 1;
      }
      for (; k + kStep <= taps; k += kStep) {
        LoadPhases<kStep, T>(df, at + k, phases);
        for (int r = 0; r < kStep; ++r) acc = Join<kKind>(df, acc, phases[r]);
      }
      for (; k < taps; ++k) acc = Join<kKind>(df, acc, LoadEvery<T>(df, at + k, stride));
    }
    acc = finish(acc, o);
    if (o + lanes <= width) {
      hn::StoreU(acc, df, dst + o);
    } else {
      StorePart(acc, df, dst + o, static_cast<size_t>(width - o));
    }
  }
}

template <PoolKind kKind, class T>
void ReduceLine(const Dims3& d, const T* line, const T* scale, T* dst) {
  if constexpr (sizeof(T) == 4) {
    if (d.dilation[2] == 1 && d.stride[2] == 2) return ReduceLine<kKind, 2, T>(d, line, scale, dst);
    if (d.dilation[2] == 1 && d.stride[2] == 4) return ReduceLine<kKind, 4, T>(d, line, scale, dst);
  }
  ReduceLine<kKind, 1, T>(d, line, scale, dst);
}

/// The rows that windows of output row `row` cover, joined, between the pads of the line. Returns how many elements of a column averages
/// count.
template <PoolKind kKind, class T>
HWY_INLINE int64_t JoinWindow(const PoolParams& p, const Dims3& d, const T* plane, T* line, int64_t row) {
  const int64_t oz = d.out[0] == 1 ? 0 : row / d.out[1], oy = row - oz * d.out[1];
  const Taps3 zs(d, 0, oz), ys(d, 1, oy);
  const int64_t z = oz * d.stride[0] - d.pad[0], y = oy * d.stride[1] - d.pad[1];
  T* middle = line + d.pad[2];
  const T* rows[kRows];
  int count = 0;
  for (int64_t kz = zs.begin; kz < zs.end; ++kz) {
    for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
      rows[count++] = plane + ((z + kz * d.dilation[0]) * d.in[1] + y + ky * d.dilation[1]) * d.in[2];
      if (count < kRows && (kz + 1 < zs.end || ky + 1 < ys.end)) continue;
      JoinRows<kKind>(rows, count, middle, d.in[2]);
      rows[0] = middle;
      count = 1;
    }
  }
  if (count == 0) Fill(middle, d.in[2], Outside<kKind, T>());
  const auto size = [&](const Taps3& t) { return p.count_include_pad ? t.padded : t.end - t.begin; };
  return size(zs) * size(ys);
}

template <PoolKind kKind, class T>
class Lines {
 public:
  Lines(const PoolParams& p, const Dims3& d, const Call& call)
      : p_(p),
        d_(d),
        columns_(reinterpret_cast<T*>(call.scratch)),
        scale_(columns_ + d_.out[2]),
        lines_(scale_ + d_.out[2]),
        length_(pool_line_bytes(p) / static_cast<int64_t>(2 * sizeof(T)) - d_.out[2]) {
    Fill(lines_, 2 * length_, Outside<kKind, T>());
    for (int64_t o = 0; kKind == PoolKind::kAverage && o < d_.out[2]; ++o) {
      const Taps3 xs(d_, 2, o);
      columns_[o] = static_cast<T>(p.count_include_pad ? xs.padded : xs.end - xs.begin);
    }
  }

  /// Output rows [begin, end) of a plane.
  void Rows(const T* plane, T* dst, int64_t begin, int64_t end) {
    int64_t sizes[2] = {};
    for (int64_t row = begin; row < end + kLate; ++row) {
      if (row < end) sizes[row % 2] = JoinWindow<kKind, T>(p_, d_, plane, Line(row), row);
      const int64_t ready = row - kLate;
      if (ready < begin) continue;
      if constexpr (kKind == PoolKind::kAverage) Scale(sizes[ready % 2]);
      ReduceLine<kKind, T>(d_, Line(ready), scale_, dst + ready * d_.out[2]);
    }
  }

 private:
  // Vectors of whole cache lines, written a moment ago at other places than they are read from, have to reach the cache first: such a line
  // is read when the next one has been written.
  static constexpr int64_t kLate = HWY_TARGET <= HWY_AVX3 ? 1 : 0;

  T* Line(int64_t row) const { return lines_ + row % (1 + kLate) * length_; }

  /// scale[o] = 1 / (rows * columns[o])
  HWY_NOINLINE void Scale(int64_t rows) {
    if (rows == scaled_) return;
    scaled_ = rows;
    for (int64_t o = 0; o < d_.out[2]; ++o) scale_[o] = T(1) / (static_cast<T>(rows) * columns_[o]);
  }

  const PoolParams& p_;
  const Dims3& d_;
  T *columns_, *scale_;  ///< of averages
  T* lines_;             ///< two
  int64_t length_;
  int64_t scaled_ = -1;
};

template <PoolKind kKind, class T>
void PoolParts(const PoolParams& p, const Dims3& d, const Call& call, Range range) {
  Lines<kKind, T> lines(p, d, call);
  const int64_t in_plane = d.in[0] * d.in[1] * d.in[2];
  const int64_t rows = p.row_count(), row_parts = p.row_parts();
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts, begin = part % row_parts * p.rows;
    lines.Rows(call.in<T>(0) + plane * in_plane, call.out<T>(0) + plane * rows * d.out[2], begin,
               begin + p.rows < rows ? begin + p.rows : rows);
  }
}

}  // namespace

void PoolLines(const PoolParams& p, const Call& call, Range range) {
  const Dims3 d(p);
  if (p.kind == PoolKind::kAverage) return PoolParts<PoolKind::kAverage, float>(p, d, call, range);
  switch (p.dtype) {
    case DType::kInt8: return PoolParts<PoolKind::kMax, int8_t>(p, d, call, range);
    case DType::kUint8: return PoolParts<PoolKind::kMax, uint8_t>(p, d, call, range);
    default: return PoolParts<PoolKind::kMax, float>(p, d, call, range);
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
