// The float32 tiles of the unary functions and the kernels made of them, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/unary.cc"
#include "hwy/foreach_target.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/elementwise/half.h"
#include "kernels/elementwise/math-inl.h"
#include "kernels/elementwise/unary.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/lines.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

// One functor a kind: a scalar pair (alpha, beta) and a vector in, a vector out.
#define TENON_VECTOR(Name, expression)                                                \
  void Name##Tile(float alpha, float beta, const float* src, float* dst, int64_t n) { \
    static_cast<void>(alpha), static_cast<void>(beta);                                \
    MapTile(src, dst, n, [=](auto d, auto x) HWY_ATTR {                               \
      const auto S = [d](float v) HWY_ATTR { return hn::Set(d, v); };                 \
      static_cast<void>(S);                                                           \
      return expression;                                                              \
    });                                                                               \
  }
#define TENON_SCALAR(Name, expression)                                     \
  void Name##Tile(float, float, const float* src, float* dst, int64_t n) { \
    for (int64_t i = 0; i < n; ++i) {                                      \
      const float x = src[i];                                              \
      dst[i] = expression;                                                 \
    }                                                                      \
  }

TENON_VECTOR(Abs, hn::Abs(x))
TENON_VECTOR(Ceil, hn::Ceil(x))
TENON_VECTOR(Celu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(S(alpha), ExpMinusOne(d, hn::Div(x, S(alpha)))), x))
TENON_VECTOR(Elu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(S(alpha), ExpMinusOne(d, x)), x))
TENON_VECTOR(Erf, ErfFast(d, x))
TENON_VECTOR(Floor, hn::Floor(x))
TENON_VECTOR(Gelu, GeluErfFast(d, x))
TENON_VECTOR(GeluTanh, GeluTanhFast(d, x))
TENON_VECTOR(HardSigmoid, Bound(d, hn::MulAdd(x, S(alpha), S(beta)), 0.0f, 1.0f))
TENON_VECTOR(HardSwish, hn::Mul(x, Bound(d, hn::MulAdd(x, S(1.0f / 6), S(0.5f)), 0.0f, 1.0f)))
TENON_VECTOR(LeakyRelu, hn::IfThenElse(hn::Lt(x, S(0)), hn::Mul(x, S(alpha)), x))
TENON_VECTOR(Neg, hn::Neg(x))
TENON_VECTOR(Reciprocal, hn::Div(S(1), x))
TENON_VECTOR(Relu, AtLeast(S(0), x))
TENON_VECTOR(Round, hn::Round(x))
TENON_VECTOR(Selu, hn::Mul(S(beta), hn::IfThenElse(hn::Gt(x, S(0)), x, hn::Mul(S(alpha), ExpMinusOne(d, x)))))
TENON_VECTOR(Shrink,
             hn::IfThenElse(hn::Lt(x, S(-alpha)), hn::Add(x, S(beta)), hn::IfThenElseZero(hn::Gt(x, S(alpha)), hn::Sub(x, S(beta)))))
TENON_VECTOR(Sign, hn::IfThenElse(hn::Gt(x, S(0)), S(1), hn::IfThenElse(hn::Lt(x, S(0)), S(-1), x)))
TENON_VECTOR(Softplus, hn::Add(AtLeast(S(0), x), hn::Log1p(d, ExpFast(d, hn::Neg(hn::Abs(x))))))
TENON_VECTOR(Softsign, hn::Div(x, hn::Add(S(1), hn::Abs(x))))
TENON_VECTOR(Sqrt, hn::Sqrt(x))
TENON_VECTOR(Atan, hn::Atan(d, x))
TENON_VECTOR(Swish, hn::Div(x, OneAndExp(d, hn::Mul(S(-alpha), x))))
TENON_VECTOR(Tanh, TanhFast(d, x))
TENON_VECTOR(ThresholdedRelu, hn::IfThenElseZero(hn::Gt(x, S(alpha)), x))

// Where a few vectors together hold nothing whose exponential is not normal, it takes half of the work.
void ExpTile(float, float, const float* src, float* dst, int64_t n) {
  MapTiles<4>(src, dst, n, [](auto d, auto* x, auto count) HWY_ATTR {
    constexpr int kCount = decltype(count)::value;
    if constexpr (kCount > 1 && HWY_TARGET > HWY_AVX3) {
      const hn::RebindToSigned<decltype(d)> di;
      const auto magnitude = [&](auto v) HWY_ATTR { return hn::And(hn::BitCast(di, v), hn::Set(di, 0x7FFFFFFF)); };  // NaN's is the largest
      auto largest = magnitude(x[0]);
      for (int v = 1; v < kCount; ++v) largest = hn::Max(largest, magnitude(x[v]));
      if (HWY_LIKELY(hn::AllFalse(di, hn::Gt(largest, hn::BitCast(di, hn::Set(d, kExpNormal)))))) return ExpNormal<kCount>(d, x);
    }
    ExpFull<kCount>(d, x);
  });
}

void SigmoidTile(float, float, const float* src, float* dst, int64_t n) {
  MapTiles<2>(src, dst, n, [](auto d, auto* x, auto count) HWY_ATTR { SigmoidFast<decltype(count)::value>(d, x); });
}

// tanh(log(1 + w)) = (w^2 + 2w) / (w^2 + 2w + 2) with w = exp(x); from x = 20 on that is 1.
void MishTile(float, float, const float* src, float* dst, int64_t n) {
  MapTile(src, dst, n, [](auto d, auto x) HWY_ATTR {
    const auto w = ExpFast(d, AtMost(hn::Set(d, 20.0f), x));
    const auto t = hn::MulAdd(w, w, hn::Add(w, w));
    return hn::Mul(x, hn::Div(t, hn::Add(t, hn::Set(d, 2.0f))));
  });
}

// hn::Log knows positive finite numbers; subnormals are scaled up first.
void LogTile(float, float, const float* src, float* dst, int64_t n) {
  MapTile(src, dst, n, [](auto d, auto x) HWY_ATTR {
    const auto zero = hn::Zero(d);
    const auto tiny = hn::Lt(x, hn::Set(d, 1.17549435e-38f));
    const auto scaled = hn::IfThenElse(tiny, hn::Mul(x, hn::Set(d, 8388608.0f)), x);
    auto y = hn::Sub(hn::Log(d, scaled), hn::IfThenElseZero(tiny, hn::Set(d, 15.942385f)));
    const auto infinity = hn::Inf(d);
    y = hn::IfThenElse(hn::Eq(x, infinity), infinity, y);
    y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity), y);
    return hn::IfThenElse(hn::Ge(x, zero), y, hn::NaN(d));
  });
}

// hn::Sin and hn::Cos know |x| <= 39000; what is larger is left to the C library.
template <class D, class V>
HWY_INLINE hn::Mask<D> InTrigonometricRange(D d, V x) {
  return hn::Le(hn::Abs(x), hn::Set(d, 39000.0f));
}
TENON_VECTOR(Sin, PatchLanes(
                      d, InTrigonometricRange(d, x), hn::Sin(d, x), [](float one, float) { return std::sin(one); }, x, x))
TENON_VECTOR(Cos, PatchLanes(
                      d, InTrigonometricRange(d, x), hn::Cos(d, x), [](float one, float) { return std::cos(one); }, x, x))

TENON_SCALAR(Acos, std::acos(x))
TENON_SCALAR(Acosh, std::acosh(x))
TENON_SCALAR(Asin, std::asin(x))
TENON_SCALAR(Asinh, std::asinh(x))
TENON_SCALAR(Atanh, std::atanh(x))
TENON_SCALAR(Cosh, std::cosh(x))
TENON_SCALAR(Sinh, std::sinh(x))
TENON_SCALAR(Tan, std::tan(x))
#undef TENON_VECTOR
#undef TENON_SCALAR

UnaryTile TileFor(UnaryKind kind) {
  switch (kind) {
#define TENON_KIND(Name) \
  case UnaryKind::k##Name: return Name##Tile;
    // clang-format off
    TENON_KIND(Abs) TENON_KIND(Acos) TENON_KIND(Acosh) TENON_KIND(Asin) TENON_KIND(Asinh) TENON_KIND(Atan) TENON_KIND(Atanh)
    TENON_KIND(Ceil) TENON_KIND(Celu) TENON_KIND(Cos) TENON_KIND(Cosh) TENON_KIND(Elu) TENON_KIND(Erf) TENON_KIND(Exp)
    TENON_KIND(Floor) TENON_KIND(Gelu) TENON_KIND(GeluTanh) TENON_KIND(HardSigmoid) TENON_KIND(HardSwish) TENON_KIND(LeakyRelu)
    TENON_KIND(Log) TENON_KIND(Mish) TENON_KIND(Neg) TENON_KIND(Reciprocal) TENON_KIND(Relu) TENON_KIND(Round) TENON_KIND(Selu)
    TENON_KIND(Shrink) TENON_KIND(Sigmoid) TENON_KIND(Sign) TENON_KIND(Sin) TENON_KIND(Sinh) TENON_KIND(Softplus)
    TENON_KIND(Softsign) TENON_KIND(Sqrt) TENON_KIND(Swish) TENON_KIND(Tan) TENON_KIND(Tanh) TENON_KIND(ThresholdedRelu)
    // clang-format on
#undef TENON_KIND
                            default : return nullptr;
  }
}

void UnaryFloat32(const UnaryParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  if (begin >= end) return;
  const UnaryTile tile = TileFor(p.kind);
  const float* src = call.in<float>(0) + begin;
  float* dst = call.out<float>(0) + begin;
  by_lines(dst, end - begin, [&](int64_t i, int64_t n) { tile(p.alpha, p.beta, src + i, dst + i, n); });
}

void UnaryHalf(const UnaryParams& p, const Call& call, Range range) {
  constexpr int64_t kTile = 512;
  const UnaryTile tile = TileFor(p.kind);
  const Widen widen = widen_half(p.dtype);
  const Narrow narrow = narrow_half(p.dtype);
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  alignas(64) float buffer[kTile];
  for (int64_t i = range.begin * p.chunk; i < end; i += kTile) {
    const int64_t n = end - i < kTile ? end - i : kTile;
    widen(call.in<uint16_t>(0) + i, buffer, n);
    tile(p.alpha, p.beta, buffer, buffer, n);
    narrow(buffer, call.out<uint16_t>(0) + i, n);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(TileFor);
TENON_EXPORT(UnaryFloat32);
TENON_EXPORT(UnaryHalf);
UnaryTile unary_tile(UnaryKind kind) { return TENON_POINTER(TileFor)(kind); }
Kernel<UnaryParams> UnaryFloat32Pointer() { return TENON_POINTER(UnaryFloat32); }
Kernel<UnaryParams> UnaryHalfPointer() { return TENON_POINTER(UnaryHalf); }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(UnaryParams, Name, when, why)
static const Row<UnaryParams> kRows[] = {
#include "kernels/elementwise/unary.inc"
};
#undef KERNEL
const Table<UnaryParams> unary{"unary", kRows, sizeof(kRows) / sizeof(kRows[0])};

double unary_cost(UnaryKind kind, DType dtype) {
  using K = UnaryKind;
  const bool scalar = dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBFloat16;
  switch (kind) {
    // clang-format off
    case K::kAbs: case K::kBitwiseNot: case K::kCeil: case K::kFloor: case K::kHardSigmoid: case K::kHardSwish: case K::kIsInf:
    case K::kIsNaN: case K::kLeakyRelu: case K::kNeg: case K::kNot: case K::kReciprocal: case K::kRelu: case K::kRound:
    case K::kShrink: case K::kSign: case K::kSoftsign: case K::kSqrt: case K::kThresholdedRelu:
      return scalar ? 0.6 : 0.2;
    case K::kAcos: case K::kAcosh: case K::kAsin: case K::kAsinh: case K::kAtanh: case K::kCosh: case K::kSinh:
    case K::kTan:
      return 8.0;
    // clang-format on
    default: return scalar ? 8.0 : 0.6;
  }
}
}  // namespace tenon::kernels
#endif
