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

/// exp(x), or exp(-x) when `kNegative`, = 2^n (1 + gain) with n whole and |gain| < 0.42, for |x| < 2^20. `kExact`: gain is off by at most
/// 1.1 of its own ULP; else the exponential by |x| + 2. NaN gives NaN, in q and r. Of several vectors each step is taken for all before the
/// next: the steps are a long chain, and the processor sees only so much of it ahead.
template <bool kExact, class D, int kVectors = 1, bool kNegative = false>
struct Power {
  using V = hn::Vec<D>;
  using DI = hn::RebindToSigned<D>;
  static constexpr int kBias = 127;  // of a float's exponent
  static constexpr float kSign = kNegative ? -1 : 1;
  V n[kVectors], q[kVectors], r[kVectors];  // gain = q r
  hn::Vec<DI> biased[kVectors];             // n + kBias in the low 9 bits, as a signed number; anything above

  HWY_INLINE Power(D d, V x) : Power(d, &x) {}
  HWY_INLINE Power(D d, const V* x) {
    // Added to a float of this size, all that is not whole is rounded away, and the sum's low bits are the whole number.
    const V large = hn::Set(d, 12582912.0f + kBias), log2e = hn::Set(d, kSign * 0x1.715476p+0f);
    Each([&](int v) HWY_ATTR {
      const V sum = hn::MulAdd(x[v], log2e, large);
      biased[v] = hn::BitCast(DI(), sum);
      n[v] = hn::Sub(sum, large);
    });
    // exp(x) = 2^n 2^r with |r| <= 1/2. That the product is not rounded is what keeps r's digits; where it would be, n has few enough of
    // its own for a product with a short ln 2 to have no need to.
    constexpr bool kFused = HWY_NATIVE_FMA != 0;
    Each([&](int v) HWY_ATTR {
      if constexpr (kFused || !kExact) {
        r[v] = hn::MulSub(x[v], log2e, n[v]);
      } else {
        r[v] = hn::NegMulAdd(n[v], hn::Set(d, kSign * -2.12194440e-4f), hn::NegMulAdd(n[v], hn::Set(d, kSign * 0.693359375f), x[v]));
        r[v] = hn::Mul(r[v], log2e);
      }
    });
    if constexpr (kExact && kFused) {
      Each([&](int v) HWY_ATTR { r[v] = hn::MulAdd(x[v], hn::Set(d, kSign * 0x1.4ae0cp-26f), r[v]); });  // what log2e lacks
    }
    // (2^r - 1) / r, or 2^r at the last step.
    if constexpr (kExact) {
      Each([&](int v) HWY_ATTR { q[v] = hn::MulAdd(hn::Set(d, 0x1.42ed84p-13f), r[v], hn::Set(d, 0x1.5ef3c8p-10f)); });
      Times(d, 0x1.3b2bb6p-7f);
      Times(d, 0x1.c6afap-5f);
      Times(d, 0x1.ebfbdep-3f);
      Times(d, 0x1.62e43p-1f);
    } else {
      Each([&](int v) HWY_ATTR { q[v] = hn::MulAdd(hn::Set(d, 0x1.5bba14p-10f), r[v], hn::Set(d, 0x1.3cea88p-7f)); });
      Times(d, 0x1.c6b752p-5f);
      Times(d, 0x1.ebf9bcp-3f);
      Times(d, 0x1.62e42ap-1f);
    }
  }
  /// 1 + gain.
  HWY_INLINE V OneAndGain(D d, int v = 0) const { return hn::MulAdd(q[v], r[v], hn::Set(d, 1.0f)); }
  /// 2^n for n in [-127, 128]; at these ends 0 and infinity.
  HWY_INLINE V Scale(D d, int v = 0) const { return hn::BitCast(d, hn::ShiftLeft<23>(biased[v])); }
  /// exp(x) where n is in [-127, 128]; at these ends 0 and infinity, but for targets with an instruction that knows better.
  HWY_INLINE V Value(D d, int v = 0) const {
#if HWY_TARGET <= HWY_AVX3
    return V{_mm512_scalef_ps(OneAndGain(d, v).raw, n[v].raw)};  // one instruction that Highway does not have
#else
    return hn::Mul(OneAndGain(d, v), Scale(d, v));
#endif
  }

 private:
  template <class F>
  HWY_INLINE static void Each(F f) {
    for (int v = 0; v < kVectors; ++v) f(v);
  }
  HWY_INLINE void Times(D d, float c) {
    Each([&](int v) HWY_ATTR { q[v] = hn::MulAdd(q[v], r[v], hn::Set(d, c)); });
  }
};

/// x = exp(x), at most 2 ULP, subnormal results included.
template <int kVectors, class D>
HWY_INLINE void ExpFull(D d, hn::Vec<D>* x) {
  for (int v = 0; v < kVectors; ++v) x[v] = Bound(d, x[v], -104.0f, 89.0f);
  const Power<true, D, kVectors> power(d, x);
  for (int v = 0; v < kVectors; ++v) {
#if HWY_TARGET <= HWY_AVX3
    x[v] = power.Value(d, v);
#else
    // 2^n in two factors, n + 127 = half + rest.
    const typename Power<true, D>::DI di;
    const auto biased = hn::ShiftRight<23>(hn::ShiftLeft<23>(power.biased[v]));
    const auto half = hn::ShiftRight<1>(biased), rest = hn::Sub(biased, half);
    const auto factor = [&](auto n) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<23>(n)); };
    x[v] = hn::Mul(hn::Mul(power.OneAndGain(d, v), factor(hn::Add(half, hn::Set(di, 64)))), factor(hn::Add(rest, hn::Set(di, 63))));
#endif
  }
}

/// ExpFull for |x| <= kExpNormal, bit by bit: products with powers of two are exact.
constexpr float kExpNormal = 87.0f;
template <int kVectors, class D>
HWY_INLINE void ExpNormal(D d, hn::Vec<D>* x) {
  const Power<true, D, kVectors> power(d, x);
  for (int v = 0; v < kVectors; ++v) x[v] = power.Value(d, v);
}

/// Exponents of 2^-127 and less, whose power is to be 0: what is below the bound has the bound's.
constexpr float kExpUnderflow = -88.0f;

/// x = exp(x) for x <= 88, at most 2 ULP; results below 2^-126 may be 0, and those below 2^-127 are.
template <int kVectors, class D>
HWY_INLINE void ExpFast(D d, hn::Vec<D>* x) {
#if HWY_TARGET <= HWY_AVX3
  const auto low = hn::Set(d, -87.3f);
  for (int v = 0; v < kVectors; ++v) x[v] = hn::IfThenZeroElse(hn::Lt(x[v], low), Power<true, D>(d, AtLeast(low, x[v])).Value(d));
#else
  for (int v = 0; v < kVectors; ++v) x[v] = AtLeast(hn::Set(d, kExpUnderflow), x[v]);
  const Power<true, D, kVectors> power(d, x);
  for (int v = 0; v < kVectors; ++v) x[v] = power.Value(d, v);
#endif
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpFast(D d, V x) {
  ExpFast<1>(d, &x);
  return x;
}

/// exp(x) for x <= 0, off by at most |x| + 2 ULP; 0 below -88. Of such terms none matters to their sum beside the largest, 1, by more than
/// its last bit.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfGap(D d, V x) {
#if HWY_TARGET <= HWY_AVX3
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -86.0f)), Power<false, D>(d, x).Value(d));
#else
  return Power<false, D>(d, AtLeast(hn::Set(d, kExpUnderflow), x)).Value(d);
#endif
}

/// exp(x) - 1 for x <= 88, at most 3 ULP.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpMinusOne(D d, V x) {
  const Power<true, D> power(d, Bound(d, x, -87.0f, 88.0f));
  const V scale = power.Scale(d);
  return hn::MulAdd(scale, hn::Mul(power.q[0], power.r[0]), hn::Sub(scale, hn::Set(d, 1.0f)));
}

/// 1 + exp(x), or 1 + exp(-x), of a few vectors; from the exponent 89 on infinity.
template <int kVectors, bool kNegative, class D>
HWY_INLINE void OneAndExp(D d, hn::Vec<D>* x) {
  for (int v = 0; v < kVectors; ++v) x[v] = kNegative ? Bound(d, x[v], -89.0f, 87.0f) : Bound(d, x[v], -87.0f, 89.0f);
  const Power<true, D, kVectors, kNegative> power(d, x);
  for (int v = 0; v < kVectors; ++v) {
#if HWY_TARGET <= HWY_AVX3
    x[v] = hn::Add(hn::Set(d, 1.0f), power.Value(d, v));
#else
    x[v] = hn::MulAdd(power.OneAndGain(d, v), power.Scale(d, v), hn::Set(d, 1.0f));
#endif
  }
}
template <class D, class V = hn::Vec<D>>
HWY_INLINE V OneAndExp(D d, V x) {
  OneAndExp<1, false>(d, &x);
  return x;
}

/// x = 1 / (1 + exp(-x)), at most 3 ULP where the result is normal, else 0.
template <int kVectors, class D>
HWY_INLINE void SigmoidFast(D d, hn::Vec<D>* x) {
  OneAndExp<kVectors, true>(d, x);
  for (int v = 0; v < kVectors; ++v) x[v] = hn::Div(hn::Set(d, 1.0f), x[v]);
}

/// At most 6 ULP; exactly +-1 from |x| about 9 on.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TanhFast(D d, V x) {
  const V t = Bound(d, x, -9.02f, 9.02f), y = hn::Mul(t, t);
  V p = hn::MulAdd(hn::Set(d, 0x1.192356p-6f), y, hn::Set(d, 0x1.a84a7cp+4f));
  p = hn::MulAdd(p, y, hn::Set(d, 0x1.19571p+12f));
  p = hn::MulAdd(p, y, hn::Set(d, 0x1.50aae2p+17f));
  p = hn::MulAdd(p, y, hn::Set(d, 0x1.3a8812p+20f));
  V q = hn::Add(y, hn::Set(d, 0x1.a6f7e2p+8f));
  q = hn::MulAdd(q, y, hn::Set(d, 0x1.046486p+15f));
  q = hn::MulAdd(q, y, hn::Set(d, 0x1.25dabep+19f));
  q = hn::MulAdd(q, y, hn::Set(d, 0x1.3a8812p+20f));
  return Bound(d, hn::Div(hn::Mul(t, p), q), -1.0f, 1.0f);
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
