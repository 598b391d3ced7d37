// float32 vector functions shared by the elementwise, softmax, normalisation, recurrent and attention kernels. Re-included once per
// Highway target. The polynomials are minimax fits made for this file (Lawson iteration on 4001 Chebyshev points). Errors are
// the largest seen over all floats of the domain, FMA targets; NaN gives NaN.
#if defined(TENON_KERNELS_ELEMENTWISE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_ELEMENTWISE_MATH_INL_H_
#undef TENON_KERNELS_ELEMENTWISE_MATH_INL_H_
#else
#define TENON_KERNELS_ELEMENTWISE_MATH_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/bound-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Bounds x; NaN stays NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Bound(D d, V x, float low, float high) {
  return AtLeast(hn::Set(d, low), AtMost(hn::Set(d, high), x));
}

/// 2^n, n in [-126, 127].
template <class D, class VI>
HWY_INLINE hn::Vec<D> PowerOfTwo(D d, VI n) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::Add(hn::ShiftLeft<23>(n), hn::Set(di, 127 << 23)));
}

/// exp(x) = 2^n (1 + gain) with n whole and |gain| < 0.42, for |x| < 2^20. `kExact`: gain is off by at most 1.1 of its own ULP; else exp(x)
/// by |x| + 2.
template <bool kExact, class D>
struct Power {
  using V = hn::Vec<D>;
  V n, q, r;                             // gain = q r
  hn::Vec<hn::RebindToSigned<D>> whole;  // n in the low 9 bits, as a signed number; anything above

  HWY_INLINE Power(D d, V x) {
    // Added to a float of this size, all that is not whole is rounded away, and the sum's low bits are the whole number.
    const V large = hn::Set(d, 12582912.0f), log2e = hn::Set(d, 0x1.715476p+0f);
    const V sum = hn::MulAdd(x, log2e, large);
    whole = hn::BitCast(hn::RebindToSigned<D>(), sum);
    n = hn::Sub(sum, large);
    // exp(x) = 2^n 2^r with |r| <= 1/2. That the product is not rounded is what keeps r's digits; where it would be, n has few enough of its own
    // for a product with a short ln 2 to have no need to.
    constexpr bool kFused = HWY_NATIVE_FMA != 0;
    if constexpr (kFused || !kExact) {
      r = hn::MulSub(x, log2e, n);
    } else {
      r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x));
      r = hn::Mul(r, log2e);
    }
    // (2^r - 1) / r, or 2^r at the last step.
    if constexpr (kExact) {
      if constexpr (kFused) r = hn::MulAdd(x, hn::Set(d, 0x1.4ae0cp-26f), r);  // what log2e lacks
      q = hn::MulAdd(hn::Set(d, 0x1.42ed84p-13f), r, hn::Set(d, 0x1.5ef3c8p-10f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.3b2bb6p-7f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.c6afap-5f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.ebfbdep-3f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.62e43p-1f));
    } else {
      q = hn::MulAdd(hn::Set(d, 0x1.5bba14p-10f), r, hn::Set(d, 0x1.3cea88p-7f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.c6b752p-5f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.ebf9bcp-3f));
      q = hn::MulAdd(q, r, hn::Set(d, 0x1.62e42ap-1f));
    }
  }
  /// exp(x) where n is in [-126, 127].
  HWY_INLINE V Value(D d) const {
    const V p = hn::MulAdd(q, r, hn::Set(d, 1.0f));
#if HWY_TARGET <= HWY_AVX3
    return V{_mm512_scalef_ps(p.raw, n.raw)};  // one instruction that Highway does not have
#else
    return hn::Mul(p, PowerOfTwo(d, whole));
#endif
  }
};

/// exp(x), at most 2 ULP, subnormal results included.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpFull(D d, V x) {
  const Power<true, D> power(d, Bound(d, x, -104.0f, 89.0f));
#if HWY_TARGET <= HWY_AVX3
  return power.Value(d);
#else
  const V p = hn::MulAdd(power.q, power.r, hn::Set(d, 1.0f));
  const auto whole = hn::ShiftRight<23>(hn::ShiftLeft<23>(power.whole)), half = hn::ShiftRight<1>(whole);
  return hn::Mul(hn::Mul(p, PowerOfTwo(d, half)), PowerOfTwo(d, hn::Sub(whole, half)));
#endif
}

/// exp(x) for x <= 88, at most 2 ULP; results below 2^-126 are 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpFast(D d, V x) {
  const V low = hn::Set(d, -87.3f);
  return hn::IfThenZeroElse(hn::Lt(x, low), Power<true, D>(d, AtLeast(low, x)).Value(d));
}

/// exp(x) for x <= 0, off by at most |x| + 2 ULP; 0 below -86. Of such terms none matters to their sum beside the largest, 1, by more than
/// its last bit.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfGap(D d, V x) {
  const auto tiny = hn::Lt(x, hn::Set(d, -86.0f));
  return hn::IfThenZeroElse(tiny, Power<false, D>(d, x).Value(d));
}

/// exp(x) - 1 for x <= 88, at most 3 ULP.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpMinusOne(D d, V x) {
  const Power<true, D> power(d, Bound(d, x, -87.0f, 88.0f));
  const V scale = PowerOfTwo(d, power.whole);
  return hn::MulAdd(scale, hn::Mul(power.q, power.r), hn::Sub(scale, hn::Set(d, 1.0f)));
}

/// 1 + exp(x); from x = 89 on infinity.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V OneAndExp(D d, V x) {
  return hn::Add(hn::Set(d, 1.0f), Power<true, D>(d, Bound(d, x, -87.0f, 89.0f)).Value(d));
}

/// 1 / (1 + exp(-x)), at most 3 ULP where the result is normal, else 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V SigmoidFast(D d, V x) {
  return hn::Div(hn::Set(d, 1.0f), OneAndExp(d, hn::Neg(x)));
}

/// At most 6 ULP; exactly +-1 from |x| about 9 on.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TanhFast(D d, V x) {
  const V a = AtMost(hn::Set(d, 9.02f), hn::Abs(x)), y = hn::Mul(a, a);
  V p = hn::Set(d, -8.43603819070636e-14f);
  p = hn::MulAdd(p, y, hn::Set(d, 5.2577747711168854e-11f));
  p = hn::MulAdd(p, y, hn::Set(d, -2.018395761638203e-08f));
  p = hn::MulAdd(p, y, hn::Set(d, 1.1144252312078606e-05f));
  p = hn::MulAdd(p, y, hn::Set(d, 0.003103001043200493f));
  p = hn::MulAdd(p, y, hn::Set(d, 0.13083156943321228f));
  p = hn::MulAdd(p, y, hn::Set(d, 1.0f));
  V q = hn::Set(d, 0.0002544750750530511f);
  q = hn::MulAdd(q, y, hn::Set(d, 0.024491379037499428f));
  q = hn::MulAdd(q, y, hn::Set(d, 0.4641648232936859f));
  q = hn::MulAdd(q, y, hn::Set(d, 1.0f));
  return hn::CopySignToAbs(AtMost(hn::Set(d, 1.0f), hn::Div(hn::Mul(a, p), q)), x);
}

/// At most 7 ULP; exactly +-1 from |x| about 3.93 on.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ErfFast(D d, V x) {
  const V a = AtMost(hn::Set(d, 3.93f), hn::Abs(x)), y = hn::Mul(a, a);
  V p = hn::Set(d, 2.0419713564479025e-06f);
  p = hn::MulAdd(p, y, hn::Set(d, 0.0002848080184776336f));
  p = hn::MulAdd(p, y, hn::Set(d, 0.003779591526836157f));
  p = hn::MulAdd(p, y, hn::Set(d, 0.05279022827744484f));
  p = hn::MulAdd(p, y, hn::Set(d, 0.19078344106674194f));
  p = hn::MulAdd(p, y, hn::Set(d, 1.1283791065216064f));
  V q = hn::Set(d, 3.8004051020834595e-05f);
  q = hn::MulAdd(q, y, hn::Set(d, 0.001165208057500422f));
  q = hn::MulAdd(q, y, hn::Set(d, 0.014997401274740696f));
  q = hn::MulAdd(q, y, hn::Set(d, 0.11425735801458359f));
  q = hn::MulAdd(q, y, hn::Set(d, 0.5024101138114929f));
  q = hn::MulAdd(q, y, hn::Set(d, 1.0f));
  return hn::CopySignToAbs(AtMost(hn::Set(d, 1.0f), hn::Div(hn::Mul(a, p), q)), x);
}

/// x/2 (1 + erf(x / sqrt 2)).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluErfFast(D d, V x) {
  const V half = hn::Mul(x, hn::Set(d, 0.5f));
  return hn::MulAdd(half, ErfFast(d, hn::Mul(x, hn::Set(d, 0.70710678f))), half);
}

/// x/2 (1 + tanh(u)) = x / (1 + exp(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluTanhFast(D d, V x) {
  return hn::Div(x, OneAndExp(d, hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(d, -0.071354816273f), hn::Set(d, -1.59576912161f)))));
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
