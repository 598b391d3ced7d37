// The unary functions of float64 on vectors, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/unary_float64.cc"
#include "hwy/foreach_target.h"

#include "kernels/dispatch.h"
#include "kernels/elementwise/math64-inl.h"
#include "kernels/elementwise/unary.h"
#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// dst[i] = f(src[i]). The code of f is there once: what is left behind the whole vectors goes round as one more.
template <class F>
HWY_INLINE void Map64(const double* src, double* dst, int64_t count, F f) {
  const D64 d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  for (size_t i = 0; i < n; i += lanes) {
    const bool whole = n - i >= lanes;
    const V64 y = f(whole ? hn::LoadU(d, src + i) : LoadPart(d, src + i, n - i));
    if (whole) hn::StoreU(y, d, dst + i);
    else StorePart(y, d, dst + i, n - i);
  }
}

using Tile64 = void (*)(double alpha, double beta, const double* src, double* dst, int64_t n);

#define TENON_VECTOR(Name, expression)                                                      \
  void Name##Tile64(double alpha, double beta, const double* src, double* dst, int64_t n) { \
    static_cast<void>(alpha), static_cast<void>(beta);                                      \
    Map64(src, dst, n, [=](V64 x) HWY_ATTR {                                                \
      const auto S = [](double v) HWY_ATTR { return hn::Set(D64(), v); };                   \
      static_cast<void>(S);                                                                 \
      return expression;                                                                    \
    });                                                                                     \
  }

TENON_VECTOR(Abs, hn::Abs(x))
TENON_VECTOR(Ceil, hn::Ceil(x))
TENON_VECTOR(Celu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(S(alpha), ExpMinusOne64(hn::Div(x, S(alpha)))), x))
TENON_VECTOR(Elu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(S(alpha), ExpMinusOne64(x)), x))
TENON_VECTOR(Exp, Exp64(x))
TENON_VECTOR(Floor, hn::Floor(x))
TENON_VECTOR(HardSigmoid, Bound64(hn::MulAdd(x, S(alpha), S(beta)), 0, 1))
TENON_VECTOR(HardSwish, hn::Mul(x, Bound64(hn::Add(hn::Div(x, S(6)), S(0.5)), 0, 1)))
TENON_VECTOR(LeakyRelu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(x, S(alpha)), x))
TENON_VECTOR(Log, Log64(x))
TENON_VECTOR(Neg, hn::Neg(x))
TENON_VECTOR(Reciprocal, hn::Div(S(1), x))
TENON_VECTOR(Relu, AtLeast(S(0), x))
TENON_VECTOR(Round, hn::Round(x))
TENON_VECTOR(Selu, hn::Mul(S(beta), hn::IfThenElse(hn::Gt(x, S(0)), x, hn::Mul(S(alpha), ExpMinusOne64(x)))))
TENON_VECTOR(Shrink,
             hn::IfThenElse(hn::Lt(x, S(-alpha)), hn::Add(x, S(beta)), hn::IfThenElseZero(hn::Gt(x, S(alpha)), hn::Sub(x, S(beta)))))
TENON_VECTOR(Sigmoid, Sigmoid64(x))
TENON_VECTOR(Sign, hn::IfThenElse(hn::Gt(x, S(0)), S(1), hn::IfThenElse(hn::Lt(x, S(0)), S(-1), x)))
TENON_VECTOR(Softplus, hn::Add(AtLeast(S(0), x), LogOfOnePlus64(Exp64(hn::Neg(hn::Abs(x))))))
TENON_VECTOR(Softsign, hn::Div(x, hn::Add(S(1), hn::Abs(x))))
TENON_VECTOR(Sqrt, hn::Sqrt(x))
TENON_VECTOR(Swish, hn::Mul(x, Sigmoid64(hn::Mul(S(alpha), x))))
TENON_VECTOR(Tanh, Tanh64(x))
TENON_VECTOR(ThresholdedRelu, hn::IfThenElseZero(hn::Gt(x, S(alpha)), x))
#undef TENON_VECTOR

void ErfTile64(double, double, const double* src, double* dst, int64_t n) {
  Map64(src, dst, n, [](V64 x) HWY_ATTR {
    const V64 square = hn::Mul(x, x);
    V64 erf, erfc;
    Erf64(x, square, ProductError(x, x, square), erf, erfc);
    return hn::CopySign(erf, x);
  });
}

// x/2 erfc(-x / sqrt 2), where erfc(-z) is 1 + erf(z).
void GeluTile64(double, double, const double* src, double* dst, int64_t n) {
  Map64(src, dst, n, [](V64 x) HWY_ATTR {
    const D64 d;
    const V64 half = hn::Set(d, 0.5), square = hn::Mul(x, x);
    V64 erf, erfc;
    Erf64(hn::Mul(x, hn::Set(d, 0.70710678118654752440)), hn::Mul(square, half), hn::Mul(ProductError(x, x, square), half), erf, erfc);
    return hn::Mul(hn::Mul(x, half), hn::IfThenElse(hn::Lt(x, hn::Zero(d)), erfc, hn::Add(hn::Set(d, 1.0), erf)));
  });
}

// (1 + tanh(u)) / 2 is sigmoid(2 u).
void GeluTanhTile64(double, double, const double* src, double* dst, int64_t n) {
  Map64(src, dst, n, [](V64 x) HWY_ATTR {
    const D64 d;
    const V64 cube = hn::Mul(hn::Mul(x, x), x);
    return hn::Mul(x, Sigmoid64(hn::Mul(hn::Set(d, 2 * 0.79788456080286535588), hn::MulAdd(cube, hn::Set(d, 0.044715), x))));
  });
}

// tanh(log(1 + w)) = (w^2 + 2w) / (w^2 + 2w + 2) with w = exp(x); from x = 40 on that is 1.
void MishTile64(double, double, const double* src, double* dst, int64_t n) {
  Map64(src, dst, n, [](V64 x) HWY_ATTR {
    const D64 d;
    const V64 w = Exp64(AtMost(hn::Set(d, 40.0), x)), t = hn::MulAdd(w, w, hn::Add(w, w));
    return hn::Mul(x, hn::Div(t, hn::Add(t, hn::Set(d, 2.0))));
  });
}

Tile64 TileFor64(UnaryKind kind) {
  switch (kind) {
#define TENON_KIND(Name) \
  case UnaryKind::k##Name: return Name##Tile64;
    // clang-format off
    TENON_KIND(Abs) TENON_KIND(Ceil) TENON_KIND(Celu) TENON_KIND(Elu) TENON_KIND(Erf) TENON_KIND(Exp) TENON_KIND(Floor) TENON_KIND(Gelu)
    TENON_KIND(GeluTanh) TENON_KIND(HardSigmoid) TENON_KIND(HardSwish) TENON_KIND(LeakyRelu) TENON_KIND(Log) TENON_KIND(Mish)
    TENON_KIND(Neg) TENON_KIND(Reciprocal) TENON_KIND(Relu) TENON_KIND(Round) TENON_KIND(Selu) TENON_KIND(Shrink) TENON_KIND(Sigmoid)
    TENON_KIND(Sign) TENON_KIND(Softplus) TENON_KIND(Softsign) TENON_KIND(Sqrt) TENON_KIND(Swish) TENON_KIND(Tanh)
    TENON_KIND(ThresholdedRelu)
    // clang-format on
#undef TENON_KIND
                        default : return nullptr;
  }
}

}  // namespace

void UnaryFloat64(const UnaryParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  // The row takes only kinds that have a tile. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
  if (begin < end) TileFor64(p.kind)(p.alpha, p.beta, call.in<double>(0) + begin, call.out<double>(0) + begin, end - begin);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(UnaryFloat64);
Kernel<UnaryParams> UnaryFloat64Pointer() { return TENON_POINTER(UnaryFloat64); }
}  // namespace tenon::kernels
#endif
