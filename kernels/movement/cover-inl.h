// Covering a run by whole vectors. Re-included once per Highway target.
#if defined(TENON_KERNELS_MOVEMENT_COVER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_MOVEMENT_COVER_INL_H_
#undef TENON_KERNELS_MOVEMENT_COVER_INL_H_
#else
#define TENON_KERNELS_MOVEMENT_COVER_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The first element behind dst that begins a vector's worth of memory: stores from there on never cross two cache lines.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE int64_t FirstInLine(D d, const T* dst) {
  const uintptr_t bytes = hn::Lanes(d) * sizeof(T);
  return static_cast<int64_t>((bytes - reinterpret_cast<uintptr_t>(dst) % bytes + sizeof(T) - 1) / sizeof(T));
}

/// Calls at(i) for vectors that together cover n elements, n at least a vector: the first, those from element `first` (1 to a vector) on,
/// and one that ends with the run. Neighbours overlap at both ends, so source and destination must not.
template <class D, class At>
HWY_INLINE void Cover(D d, int64_t n, int64_t first, At at) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), last = n - lanes;
  at(int64_t{0});
  for (int64_t i = first; i < last; i += lanes) at(i);
  if (last > 0) at(last);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
