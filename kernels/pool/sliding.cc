// Max and average pooling where windows move by one place, of plain and of channel-blocked tensors: one dim after the other. The input
// rows of a band are copied between their pads, windows along each row are joined, and rows of the results down the columns, where the
// whole band is one run of elements however short its rows are.
#include "kernels/pool/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/sliding.cc"
#include "hwy/foreach_target.h"

#include <algorithm>

#include "hwy/highway.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/pool/window-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// dst[i] = value for i < n; whole vectors, so up to one of them beyond.
template <class T>
HWY_INLINE void FillOver(T* dst, int64_t n, T value) {
  const hn::ScalableTag<T> d;
  for (int64_t i = 0; i < n; i += static_cast<int64_t>(hn::Lanes(d))) hn::StoreU(hn::Set(d, value), d, dst + i);
}

/// dst[i] = src[i] for i < n; whole vectors, as far as `readable` elements of src go.
template <class T>
HWY_INLINE void CopyOver(const T* src, T* dst, int64_t n, int64_t readable) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    hn::StoreU(i + lanes <= readable ? hn::LoadU(d, src + i) : LoadPart(d, src + i, static_cast<size_t>(readable - i)), d, dst + i);
  }
}

/// dst[i] = src[i], src[i + apart]... src[i + (taps - 1) * apart] joined, times scale[i] unless that is null, for i < n. Reads up to a
/// vector beyond and, unless `exact`, writes as far.
template <PoolKind kKind, class T>
HWY_INLINE void JoinTaps(const T* src, int64_t taps, int64_t apart, const T* scale, T* dst, int64_t n, bool exact) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int kSide = 4;  // vectors side by side: each alone would wait for its own last result
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto finish = [&](V acc, [[maybe_unused]] int64_t at) HWY_ATTR {
    if constexpr (kKind == PoolKind::kAverage) return scale == nullptr ? acc : hn::Mul(acc, hn::LoadU(d, scale + at));
    return acc;
  };
  int64_t i = 0;
  for (; i + kSide * lanes <= n; i += kSide * lanes) {
    V acc[kSide];
    for (int v = 0; v < kSide; ++v) acc[v] = hn::LoadU(d, src + i + v * lanes);
    for (int64_t k = 1; k < taps; ++k) {
      for (int v = 0; v < kSide; ++v) acc[v] = Join<kKind>(d, acc[v], hn::LoadU(d, src + i + k * apart + v * lanes));
    }
    for (int v = 0; v < kSide; ++v) hn::StoreU(finish(acc[v], i + v * lanes), d, dst + i + v * lanes);
  }
  for (; i < n; i += lanes) {
    V acc = hn::LoadU(d, src + i);
    for (int64_t k = 1; k < taps; ++k) acc = Join<kKind>(d, acc, hn::LoadU(d, src + i + k * apart));
    acc = finish(acc, i);
    if (exact && i + lanes > n) {
      StorePart(acc, d, dst + i, static_cast<size_t>(n - i));
    } else {
      hn::StoreU(acc, d, dst + i);
    }
  }
}

template <PoolKind kKind, class T>
class Sliding {
 public:
  Sliding(const PoolParams& p, std::byte* scratch)
      : p_(p),
        d_(p),
        band_(pool_band(p)),
        unit_(p.block == 0 ? 1 : p.block),
        reach_(static_cast<int64_t>(d_.kernel[1] - 1) * d_.dilation[1]),
        padded_(reinterpret_cast<T*>(scratch)),
        joined_(padded_ + band_.padded),
        scales_(joined_ + band_.joined),
        every_row_(d_.out[1] <= d_.kernel[1] + band_.scale_rows) {
    if constexpr (kKind == PoolKind::kAverage) FillScales();
  }

  /// Output rows [begin, end) of a plane.
  void Rows(const T* plane, T* dst, int64_t begin, int64_t end) {
    const int64_t out_line = d_.out[2] * unit_;
    for (int64_t row = begin; row < end; row += band_.rows) {
      const int64_t rows = row + band_.rows < end ? band_.rows : end - row;
      JoinAlong(plane, row - d_.pad[1], rows + reach_);
      if (kKind != PoolKind::kAverage || every_row_) {
        JoinDown(0, rows, kKind != PoolKind::kAverage ? nullptr : scales_ + row * out_line, dst + row * out_line);
        continue;
      }
      for (int64_t r = 0, n; r < rows; r += n) {  // runs of rows with windows of one height
        const int64_t height = Height(row + r);
        for (n = 1; height == d_.kernel[1] && n < band_.scale_rows && r + n < rows && Height(row + r + n) == height;) ++n;
        JoinDown(r, n, scales_ + height * out_line, dst + (row + r) * out_line);
      }
    }
  }

 private:
  /// Input rows [first, first + rows), some of which may lie in the pads, joined along their length.
  HWY_INLINE void JoinAlong(const T* plane, int64_t first, int64_t rows) {
    const int64_t left = d_.pad[2] * unit_, length = d_.in[2] * unit_, line = band_.line, out_line = d_.out[2] * unit_;
    const int64_t begin = first < 0 ? (first + rows < 0 ? rows : -first) : 0;
    const int64_t inside = d_.in[1] - first;
    const int64_t end = inside < begin ? begin : inside < rows ? inside : rows;
    T* to = padded_;
    for (int64_t r = begin; r < end; ++r, to += line) {
      const int64_t at = (first + r) * length;
      FillOver(to, left, Outside<kKind, T>());
      CopyOver(plane + at, to + left, length, d_.in[1] * length - at);
      FillOver(to + left + length, line - left - length, Outside<kKind, T>());
    }
    FillOver(joined_, begin * out_line, Outside<kKind, T>());
    const T* from = padded_;
    for (int64_t r = begin; r < end; ++r, from += line) {
      JoinTaps<kKind, T>(from, d_.kernel[2], d_.dilation[2] * unit_, nullptr, joined_ + r * out_line, out_line, false);
    }
    FillOver(joined_ + end * out_line, (rows - end) * out_line, Outside<kKind, T>());
  }

  /// Output rows [row, row + rows) of the band.
  HWY_INLINE void JoinDown(int64_t row, int64_t rows, const T* scale, T* dst) {
    const int64_t out_line = d_.out[2] * unit_;
    JoinTaps<kKind, T>(joined_ + row * out_line, d_.kernel[1], d_.dilation[1] * out_line, scale, dst, rows * out_line, true);
  }

  int64_t Size(const Taps3& t) const { return p_.count_include_pad ? t.padded : t.end - t.begin; }
  int64_t Height(int64_t row) const { return Size(Taps3(d_, 1, row)); }

  /// What sums are multiplied by: a row for every output row, where there are few; else one for windows of every height up to the kernel's,
  /// and of this as many as are joined at once.
  void FillScales() {
    const int64_t out_line = d_.out[2] * unit_;
    T* widths = padded_;  // nothing is there yet
    for (int64_t o = 0; o < d_.out[2]; ++o) std::fill_n(widths + o * unit_, unit_, static_cast<T>(Size(Taps3(d_, 2, o))));
    const hn::ScalableTag<T> d;
    for (int64_t r = 0; r < d_.kernel[1] + band_.scale_rows; ++r) {
      const int64_t taps = every_row_ ? Height(r < d_.out[1] ? r : 0) : r < d_.kernel[1] ? r : d_.kernel[1];
      const auto height = hn::Set(d, static_cast<T>(taps));
      for (int64_t i = 0; i < out_line; i += static_cast<int64_t>(hn::Lanes(d))) {
        hn::StoreU(hn::Div(hn::Set(d, T(1)), hn::Mul(height, hn::LoadU(d, widths + i))), d, scales_ + r * out_line + i);
      }
    }
  }

  const PoolParams& p_;
  const Dims3 d_;
  const PoolBand band_;
  const int64_t unit_, reach_;
  T *padded_, *joined_, *scales_;
  const bool every_row_;  ///< has factors of its own
};

template <PoolKind kKind, class T>
void SlideParts(const PoolParams& p, const Call& call, Range range) {
  Sliding<kKind, T> sliding(p, call.scratch);
  const int64_t unit = p.block == 0 ? 1 : p.block, rows = p.row_count(), row_parts = p.row_parts();
  int64_t in_plane = unit;
  for (int i = 0; i < p.spatial; ++i) in_plane *= p.in[i];
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts, begin = part % row_parts * p.rows;
    sliding.Rows(call.in<T>(0) + plane * in_plane, call.out<T>(0) + plane * rows * p.out[p.spatial - 1] * unit, begin,
                 begin + p.rows < rows ? begin + p.rows : rows);
  }
}

}  // namespace

void PoolSliding(const PoolParams& p, const Call& call, Range range) {
  if (p.kind == PoolKind::kAverage) return SlideParts<PoolKind::kAverage, float>(p, call, range);
  switch (p.dtype) {
    case DType::kInt8: return SlideParts<PoolKind::kMax, int8_t>(p, call, range);
    case DType::kUint8: return SlideParts<PoolKind::kMax, uint8_t>(p, call, range);
    default: return SlideParts<PoolKind::kMax, float>(p, call, range);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(PoolSliding);
Kernel<PoolParams> PoolSlidingPointer() { return TENON_POINTER(PoolSliding); }
}  // namespace tenon::kernels
#endif
