// float64 vector functions. Re-included once per Highway target. The polynomials are Chebyshev fits made for this file; their errors are
// below 2^-56 of the result. What errors are given for results is where these are normal; NaN gives NaN. The longer functions are not
// inlined: called vector by vector they cost a few per cent more, and their code is there once. Logarithms, powers and erf count on products
// that are rounded on their own: sources named *_float64.cc are compiled so (cmake/layers.cmake).
#if defined(TENON_KERNELS_ELEMENTWISE_MATH64_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_ELEMENTWISE_MATH64_INL_H_
#undef TENON_KERNELS_ELEMENTWISE_MATH64_INL_H_
#else
#define TENON_KERNELS_ELEMENTWISE_MATH64_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/bound-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D64 = hn::ScalableTag<double>;
using V64 = hn::Vec<D64>;

/// Sum of coefficients[i] * x^i.
template <int N>
HWY_INLINE V64 Polynomial64(V64 x, const double (&coefficients)[N]) {
  const D64 d;
  V64 sum = hn::Set(d, coefficients[N - 1]);
#pragma GCC unroll 32
  for (int i = 2; i <= N; ++i) sum = hn::MulAdd(sum, x, hn::Set(d, coefficients[N - i]));
  return sum;
}

/// Bounds x; NaN stays NaN.
HWY_INLINE V64 Bound64(V64 x, double low, double high) {
  const D64 d;
  return AtLeast(hn::Set(d, low), AtMost(hn::Set(d, high), x));
}

/// a * b - product, where product is a * b rounded: exact but for what is below 2^-105 of it.
HWY_INLINE V64 ProductError(V64 a, V64 b, V64 product) {
#if HWY_NATIVE_FMA
  return hn::MulSub(a, b, product);
#else  // Dekker's: halves of 26 bits, whose products are exact
  const D64 d;
  const auto upper = hn::BitCast(d, hn::Set(hn::RebindToUnsigned<D64>(), ~uint64_t{0} << 27));
  const V64 ah = hn::And(a, upper), al = hn::Sub(a, ah), bh = hn::And(b, upper), bl = hn::Sub(b, bh);
  const V64 most = hn::Add(hn::Add(hn::Sub(hn::Mul(ah, bh), product), hn::Mul(ah, bl)), hn::Mul(al, bh));
  return hn::Add(most, hn::Mul(al, bl));
#endif
}

/// Added to a number below 2^51, all that is not whole is rounded away, and the low bits of the sum are the whole number.
inline constexpr double kWhole64 = 0x1.8p52;

/// 2^n of such a sum, n in [-1022, 1023].
HWY_INLINE V64 PowerOfTwo64(V64 whole) {
  const D64 d;
  const hn::RebindToUnsigned<D64> du;
  return hn::BitCast(d, hn::Add(hn::ShiftLeft<52>(hn::BitCast(du, whole)), hn::Set(du, uint64_t{1023} << 52)));
}

/// x + low = n ln2 + r with |r| <= ln2 / 2; returns exp(r) - 1 and sets whole to n + kWhole64.
HWY_INLINE V64 ReduceExp64(V64 x, V64 low, V64& whole) {
  static constexpr double kExp[] = {0x1.0000000000001p-1,  0x1.5555555555556p-3,  0x1.5555555553d63p-5,  0x1.11111111109b3p-7,
                                    0x1.6c16c1788bd90p-10, 0x1.a01a01a7c41d5p-13, 0x1.a019b90d2ae7ap-16, 0x1.71de0dae63bb3p-19,
                                    0x1.289185613a3d6p-22, 0x1.af38a9b0ec855p-26};
  const D64 d;
  const V64 large = hn::Set(d, kWhole64);
  whole = hn::MulAdd(x, hn::Set(d, 0x1.71547652b82fep+0), large);
  const V64 n = hn::Sub(whole, large);
  V64 r = hn::NegMulAdd(n, hn::Set(d, 0x1.62e42fefa38p-1), x);
  r = hn::Add(hn::NegMulAdd(n, hn::Set(d, 0x1.ef35793c7673p-45), r), low);
  return hn::MulAdd(hn::Mul(r, r), Polynomial64(r, kExp), r);
}

/// exp(x + low) for |low| below 2^-10 x or so: at most 2 ULP, subnormal results included. low counts only where x is in [-746, 710].
HWY_NOINLINE inline V64 Exp64(V64 x, V64 low) {
  const D64 d;
  const V64 bounded = Bound64(x, -746.0, 710.0), large = hn::Set(d, kWhole64);
  V64 whole;
  const V64 p = ReduceExp64(bounded, hn::IfThenElseZero(hn::Eq(x, bounded), low), whole);
  const V64 n = hn::Sub(whole, large), half = hn::MulAdd(n, hn::Set(d, 0.5), large), rest = hn::Sub(whole, hn::Sub(half, large));
  return hn::Mul(hn::Mul(hn::Add(p, hn::Set(d, 1.0)), PowerOfTwo64(half)), PowerOfTwo64(rest));
}
HWY_INLINE V64 Exp64(V64 x) { return Exp64(x, hn::Zero(D64())); }

/// exp(x) for x <= 709: at most 2 ULP; results below 2^-1021 are 0.
HWY_NOINLINE inline V64 ExpFast64(V64 x) {
  const D64 d;
  const V64 low = hn::Set(d, -708.0);
  V64 whole;
  const V64 p = ReduceExp64(AtLeast(low, x), hn::Zero(d), whole);
  return hn::IfThenZeroElse(hn::Lt(x, low), hn::Mul(hn::Add(p, hn::Set(d, 1.0)), PowerOfTwo64(whole)));
}

/// exp(x) - 1 for x <= 709: at most 3 ULP.
HWY_NOINLINE inline V64 ExpMinusOne64(V64 x) {
  const D64 d;
  V64 whole;
  const V64 p = ReduceExp64(Bound64(x, -708.0, 709.0), hn::Zero(d), whole), scale = PowerOfTwo64(whole);
  return hn::MulAdd(scale, p, hn::Sub(scale, hn::Set(d, 1.0)));
}

/// ln(x) = high + low for positive finite x, to 2^-64 of it: x = 2^k m with m about 1, and ln(m) = 2 (s + s^3/3 + s^5/5 + ...) where
/// s = (m - 1) / (m + 1), whose first two terms are kept in two numbers each.
HWY_INLINE void Log64(V64 x, V64& high, V64& low) {
  static constexpr double kLog[] = {0x1.999999999999ap-3, 0x1.2492492492524p-3, 0x1.c71c71c6ea01fp-4, 0x1.745d177b22bcfp-4,
                                    0x1.3b1395976d2f0p-4, 0x1.1118d458653bcp-4, 0x1.df7a2eafecf14p-5, 0x1.e0499f72e39b9p-5};
  const D64 d;
  const hn::RebindToUnsigned<D64> du;
  const auto tiny = hn::Lt(x, hn::Set(d, 0x1p-1022));
  const auto bits = hn::BitCast(du, hn::IfThenElse(tiny, hn::Mul(x, hn::Set(d, 0x1p54)), x));
  const auto one = hn::Set(du, uint64_t{1023} << 52);
  // How far x is above the square root of 1/2, in powers of two: m begins there.
  const auto above = hn::Add(hn::Sub(bits, hn::Set(du, uint64_t{0x3fe6a09e667f3bcd})), one);
  const V64 m = hn::BitCast(d, hn::Add(hn::Sub(bits, hn::And(above, hn::Set(du, ~uint64_t{0} << 52))), one));
  V64 k = hn::Sub(hn::BitCast(d, hn::Or(hn::ShiftRight<52>(above), hn::BitCast(du, hn::Set(d, 0x1p52)))), hn::Set(d, 0x1p52 + 1023));
  k = hn::Sub(k, hn::IfThenElseZero(tiny, hn::Set(d, 54.0)));

  const V64 f = hn::Sub(m, hn::Set(d, 1.0)), g = hn::Add(m, hn::Set(d, 1.0));
  const V64 g_low = hn::Sub(m, hn::Sub(g, hn::Set(d, 1.0))), inverse = hn::Div(hn::Set(d, 1.0), g);
  const V64 s = hn::Mul(f, inverse), back = hn::Mul(s, g);
  const V64 rest = hn::Sub(hn::Sub(f, back), ProductError(s, g, back));
  const V64 s_low = hn::Mul(hn::NegMulAdd(s, g_low, rest), inverse);
  const V64 z = hn::Mul(s, s), z_low = hn::MulAdd(hn::Add(s, s), s_low, ProductError(s, s, z));
  const V64 third = hn::Set(d, 0x1.5555555555555p-2), third_low = hn::Set(d, 0x1.5555555555555p-56);
  const V64 w = hn::Mul(z, third);
  V64 w_low = hn::MulAdd(z_low, third, hn::MulAdd(z, third_low, ProductError(z, third, w)));
  w_low = hn::MulAdd(hn::Mul(z, z), Polynomial64(z, kLog), w_low);
  const V64 series = hn::Add(w, w_low), series_low = hn::Add(hn::Sub(w, series), w_low);
  const V64 p = hn::Mul(s, series);
  const V64 p_low = hn::MulAdd(s_low, series, hn::MulAdd(s, series_low, ProductError(s, series, p)));
  const V64 half = hn::Add(s, p), half_low = hn::Add(hn::Add(hn::Sub(s, half), p), hn::Add(p_low, s_low));
  const V64 base = hn::Mul(k, hn::Set(d, 0x1.62e42fefa38p-1)), rise = hn::Add(half, half);
  high = hn::Add(base, rise);
  low = hn::Add(hn::Add(hn::Sub(base, high), rise), hn::MulAdd(k, hn::Set(d, 0x1.ef35793c7673p-45), hn::Add(half_low, half_low)));
}

/// At most 1 ULP, for all x.
HWY_NOINLINE inline V64 Log64(V64 x) {
  const D64 d;
  const V64 infinity = hn::Inf(d);
  V64 high, low;
  Log64(x, high, low);
  V64 y = hn::IfThenElse(hn::Eq(x, infinity), infinity, hn::Add(high, low));
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(infinity), y);
  return hn::IfThenElse(hn::Ge(x, hn::Zero(d)), y, hn::IfThenElse(hn::Eq(x, x), hn::NaN(d), x));
}

/// ln(1 + x) for x >= 0: at most 2 ULP.
HWY_INLINE V64 LogOfOnePlus64(V64 x) {
  const D64 d;
  const V64 sum = hn::Add(x, hn::Set(d, 1.0)), lost = hn::Sub(x, hn::Sub(sum, hn::Set(d, 1.0)));
  return hn::Add(Log64(sum), hn::Div(lost, sum));
}

/// |a|^b as if it were pow(a, b), for lanes where |a| is neither 0 nor infinite and |b| is below 2^64: at most 2 ULP.
HWY_NOINLINE inline V64 Pow64(V64 a, V64 b) {
  const D64 d;
  V64 log, log_low;
  Log64(hn::Abs(a), log, log_low);
  const V64 e = hn::Mul(b, log);
  const V64 y = Exp64(e, hn::MulAdd(b, log_low, ProductError(b, log, e)));
  const V64 half = hn::Mul(b, hn::Set(d, 0.5));
  const auto negative = hn::Lt(a, hn::Zero(d));
  const V64 signed_y = hn::IfThenElse(hn::Eq(hn::Round(half), half), y, hn::Neg(y));
  return hn::IfThenElse(negative, hn::IfThenElse(hn::Eq(hn::Round(b), b), signed_y, hn::NaN(d)), y);
}

/// 1 / (1 + exp(-x)): at most 4 ULP.
HWY_INLINE V64 Sigmoid64(V64 x) {
  const D64 d;
  const V64 one = hn::Set(d, 1.0), e = Exp64(hn::Neg(hn::Abs(x)));
  return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), hn::Add(one, e));
}

/// At most 5 ULP.
HWY_INLINE V64 Tanh64(V64 x) {
  const V64 t = ExpMinusOne64(hn::Mul(hn::Abs(x), hn::Set(D64(), -2.0)));
  return hn::CopySign(hn::Div(t, hn::Add(t, hn::Set(D64(), 2.0))), x);
}

/// erfc(a) for a >= 1 where a^2 = square + square_low: exp(-a^2) times a polynomial of (a - 3) / (a + 3), by 1 + 2 a.
HWY_INLINE V64 ErfcTail64(V64 a, V64 square, V64 square_low) {
  static constexpr double kErfc[] = {0x1.40c522d7e4987p+0,  -0x1.15c084bb9e8ffp-3,  -0x1.85a15c58aa623p-5,  0x1.098366a5b4e9bp-3,
                                     -0x1.e88b803a487f4p-4, 0x1.17ca2877c12e6p-4,   -0x1.8574c40be52e7p-6,  0x1.4b884ec8f33e3p-9,
                                     0x1.ef1bdceb35247p-10, -0x1.98db69d4bc5b5p-11, -0x1.b911dfe91bcdfp-14, 0x1.065cda084033cp-13,
                                     0x1.4bc5fb5eee3ebp-18, -0x1.518c9ce77e71cp-16, -0x1.78d0307bdacc3p-21, 0x1.d6f5d2d5db28cp-19,
                                     0x1.2803538be5b79p-22, -0x1.5517d20908babp-21, -0x1.45e4466ab176dp-25, 0x1.3c15200df5e89p-24};
  const D64 d;
  const V64 three = hn::Set(d, 3.0), e = Exp64(hn::Neg(square), hn::Neg(square_low));
  const V64 t = hn::Div(hn::Sub(a, three), hn::Add(a, three));
  return hn::Div(hn::Mul(e, Polynomial64(t, kErfc)), hn::MulAdd(a, hn::Set(d, 2.0), hn::Set(d, 1.0)));
}

/// erf(|x|) and erfc(|x|) where x^2 = square + square_low: at most 2 ULP and 10 ULP. The tails are as good as the square is.
HWY_NOINLINE inline void Erf64(V64 x, V64 square, V64 square_low, V64& erf, V64& erfc) {
  static constexpr double kErf[] = {0x1.20dd750429b6dp+0,  -0x1.812746b0379c1p-2,  0x1.ce2f21a040f66p-4,  -0x1.b82ce31203772p-6,
                                    0x1.565bccfa44156p-8,  -0x1.c02db0665e53dp-11, 0x1.f9a2be4f731a1p-14, -0x1.f4ca838adb73bp-17,
                                    0x1.b981d78881a5dp-20, -0x1.5c131500d3f88p-23, 0x1.d76af6ca49787p-27, -0x1.ac9585a44fe29p-31};
  const D64 d;
  const V64 one = hn::Set(d, 1.0), a = Bound64(hn::Abs(x), 0.0, 27.5);
  const V64 within = AtMost(one, a);
  const V64 near = hn::Mul(within, Polynomial64(hn::Mul(within, within), kErf)), tail = ErfcTail64(AtLeast(one, a), square, square_low);
  const auto small = hn::Lt(a, one);
  erf = hn::IfThenElse(small, near, hn::Sub(one, tail));
  erfc = hn::IfThenElse(small, hn::Sub(one, near), tail);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
