// Bounds that let NaN pass. Re-included once per Highway target.
#if defined(TENON_KERNELS_BOUND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_BOUND_INL_H_
#undef TENON_KERNELS_BOUND_INL_H_
#else
#define TENON_KERNELS_BOUND_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Of a number and NaN, hn::Max and hn::Min return the second operand on x86 and the number on Arm.

/// The larger of `low` and x; NaN where x is NaN, and x or NaN where only `low` is.
template <class V>
HWY_INLINE V AtLeast(V low, V x) {
#if HWY_ARCH_X86
  return hn::Max(low, x);
#else
  return hn::IfThenElse(hn::Lt(x, low), low, x);
#endif
}

/// The smaller of `high` and x; NaN where x is NaN, and x or NaN where only `high` is.
template <class V>
HWY_INLINE V AtMost(V high, V x) {
#if HWY_ARCH_X86
  return hn::Min(high, x);
#else
  return hn::IfThenElse(hn::Gt(x, high), high, x);
#endif
}

/// x between two bounds; NaN where x is NaN.
template <class V>
HWY_INLINE V Between(V low, V x, V high) {
  return AtMost(high, AtLeast(low, x));
}

/// The larger of two, NaN where either is.
template <class V>
HWY_INLINE V MaxNan(V a, V b) {
  return hn::IfThenElse(hn::IsNaN(a), a, AtLeast(a, b));
}

/// The smaller of two, NaN where either is.
template <class V>
HWY_INLINE V MinNan(V a, V b) {
  return hn::IfThenElse(hn::IsNaN(a), a, AtMost(a, b));
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_BOUND_INL_H_
