// Powers that arithmetic gives. Re-included once per Highway target.
#if defined(TENON_KERNELS_ELEMENTWISE_POW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_ELEMENTWISE_POW_INL_H_
#undef TENON_KERNELS_ELEMENTWISE_POW_INL_H_
#else
#define TENON_KERNELS_ELEMENTWISE_POW_INL_H_
#endif

#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

/// dst[i] = a[i]^e where e is one of the exponents that networks use and arithmetic gives what pow() rounds to, within 1 ULP; else false.
template <class T>
bool PowByArithmetic(const T* a, T e, T* dst, int64_t n) {
  if (e == 2) {
    MapTile(a, dst, n, [](auto, auto x) HWY_ATTR { return hn::Mul(x, x); });
  } else if (e == 3) {
    MapTile(a, dst, n, [](auto, auto x) HWY_ATTR { return hn::Mul(hn::Mul(x, x), x); });
  } else if (e == 1) {
    MapTile(a, dst, n, [](auto, auto x) HWY_ATTR { return x; });
  } else if (e == -1) {
    MapTile(a, dst, n, [](auto d, auto x) HWY_ATTR { return hn::Div(hn::Set(d, T(1)), x); });
  } else if (e == T(0.5)) {
    // pow(-inf, 0.5) is +inf and pow(-0, 0.5) is +0; sqrt gives NaN and -0.
    MapTile(a, dst, n,
            [](auto d, auto x) HWY_ATTR { return hn::IfThenElse(hn::Eq(x, hn::Neg(hn::Inf(d))), hn::Inf(d), hn::Abs(hn::Sqrt(x))); });
  } else {
    return false;
  }
  return true;
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
