// The windows of a pooling over up to three spatial dims. Re-included once per Highway target.
#if defined(TENON_KERNELS_POOL_WINDOW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_POOL_WINDOW_INL_H_
#undef TENON_KERNELS_POOL_WINDOW_INL_H_
#else
#define TENON_KERNELS_POOL_WINDOW_INL_H_
#endif

#include <limits>

#include "hwy/highway.h"
#include "kernels/bound-inl.h"
#include "kernels/pool/pool.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What a window holds of two of its elements, or of parts of it.
template <PoolKind kKind, class D, class V = hn::Vec<D>>
HWY_INLINE V Join(D, V a, V b) {
  if constexpr (kKind == PoolKind::kAverage) {
    return hn::Add(a, b);
  } else if constexpr (hwy::IsFloat<hn::TFromD<D>>()) {
    return MaxNan(b, a);
  } else {
    return hn::Max(a, b);
  }
}

/// What changes nothing when it is joined: the value of the pads. To sums that is -0. Of 0, whose bytes are equal, compilers make calls of
/// memset, each longer than the pads of a row.
template <PoolKind kKind, class T>
constexpr T Outside() {
  using Limits = std::numeric_limits<T>;
  return kKind == PoolKind::kAverage ? T(-0.0) : Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
}

/// Depth, height, width, whatever the number of spatial dims.
struct Dims3 {
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int64_t pad[3] = {0, 0, 0}, pad_end[3] = {0, 0, 0};
  explicit Dims3(const PoolParams& p) {
    for (int i = 0; i < p.spatial; ++i) {
      const int at = 3 - p.spatial + i;
      in[at] = p.in[i], out[at] = p.out[i], kernel[at] = p.kernel[i], stride[at] = p.stride[i], dilation[at] = p.dilation[i];
      pad[at] = p.pad[i], pad_end[at] = p.pad_end[i];
    }
  }
};

/// Taps inside the input from `first` on, and how many lie inside the input with its pads.
struct Taps3 {
  int64_t begin = 0, end, padded;
  Taps3(const Dims3& d, int i, int64_t o) : end(d.kernel[i]) {
    const int64_t first = o * d.stride[i] - d.pad[i], step = d.dilation[i];
    // A division takes longer than all taps of a small window.
    const auto steps = [step](int64_t distance) { return step == 1 ? distance : distance / step; };
    if (first < 0) begin = steps(-first + step - 1);
    const auto up_to = [&](int64_t limit) {
      const int64_t n = first >= limit ? 0 : steps(limit - 1 - first) + 1;
      return n < d.kernel[i] ? n : d.kernel[i];
    };
    end = up_to(d.in[i]);
    padded = up_to(d.in[i] + d.pad_end[i]);
    if (begin > end) begin = end;
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
