// Unary functions for every dtype, one element at a time: float64, integers, bool, and the bool results.
#include <cmath>
#include <type_traits>

#include "kernels/elementwise/unary.h"

namespace tenon::kernels {
namespace {

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

double compute(UnaryKind kind, double alpha, double beta, double x) {
  using K = UnaryKind;
  if (std::isnan(x) && kind != K::kShrink && kind != K::kThresholdedRelu) return x;
  switch (kind) {
    case K::kAbs: return std::fabs(x);
    case K::kAcos: return std::acos(x);
    case K::kAcosh: return std::acosh(x);
    case K::kAsin: return std::asin(x);
    case K::kAsinh: return std::asinh(x);
    case K::kAtan: return std::atan(x);
    case K::kAtanh: return std::atanh(x);
    case K::kCeil: return std::ceil(x);
    case K::kCelu: return x < 0 ? alpha * std::expm1(x / alpha) : x;
    case K::kCos: return std::cos(x);
    case K::kCosh: return std::cosh(x);
    case K::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case K::kErf: return std::erf(x);
    case K::kExp: return std::exp(x);
    case K::kFloor: return std::floor(x);
    case K::kGelu: return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
    case K::kGeluTanh: return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case K::kHardSigmoid: return std::fmax(0.0, std::fmin(1.0, alpha * x + beta));
    case K::kHardSwish: return x * std::fmax(0.0, std::fmin(1.0, x / 6 + 0.5));
    case K::kLeakyRelu: return x < 0 ? alpha * x : x;
    case K::kLog: return std::log(x);
    case K::kMish: return x * std::tanh(softplus(x));
    case K::kNeg: return -x;
    case K::kReciprocal: return 1 / x;
    case K::kRelu: return x > 0 ? x : 0;
    case K::kRound: return std::nearbyint(x);
    case K::kSelu: return beta * (x > 0 ? x : alpha * std::expm1(x));
    case K::kShrink: return x < -alpha ? x + beta : x > alpha ? x - beta : 0;
    case K::kSigmoid: return sigmoid(x);
    case K::kSign: return x > 0 ? 1 : x < 0 ? -1 : x;
    case K::kSin: return std::sin(x);
    case K::kSinh: return std::sinh(x);
    case K::kSoftplus: return softplus(x);
    case K::kSoftsign: return x / (1 + std::fabs(x));
    case K::kSqrt: return std::sqrt(x);
    case K::kSwish: return x * sigmoid(alpha * x);
    case K::kTan: return std::tan(x);
    case K::kTanh: return std::tanh(x);
    case K::kThresholdedRelu: return x > alpha ? x : 0;
    default: return x;
  }
}

template <class T>
bool is_nan(T x) {
  return x != x;
}
bool is_nan(Float8E4M3FN x) { return std::isnan(static_cast<float>(x)); }
bool is_nan(Float8E4M3FNUZ x) { return std::isnan(static_cast<float>(x)); }
bool is_nan(Float8E5M2 x) { return std::isnan(static_cast<float>(x)); }
bool is_nan(Float8E5M2FNUZ x) { return std::isnan(static_cast<float>(x)); }
bool is_nan(Float16 x) { return (x.bits & 0x7fff) > 0x7c00; }
bool is_nan(BFloat16 x) { return (x.bits & 0x7fff) > 0x7f80; }

template <class T>
double number(T x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(x);
  } else {
    return static_cast<float>(x);
  }
}

template <class T>
void integers(const UnaryParams& p, const T* src, T* dst, int64_t n) {
  using U = std::make_unsigned_t<T>;
  switch (p.kind) {
    case UnaryKind::kAbs:
      for (int64_t i = 0; i < n; ++i) dst[i] = src[i] < T(0) ? static_cast<T>(U(0) - static_cast<U>(src[i])) : src[i];
      return;
    case UnaryKind::kNeg:
      for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<T>(U(0) - static_cast<U>(src[i]));
      return;
    case UnaryKind::kSign:
      for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<T>((src[i] > T(0)) - (src[i] < T(0)));
      return;
    case UnaryKind::kRelu:
      for (int64_t i = 0; i < n; ++i) dst[i] = src[i] > T(0) ? src[i] : T(0);
      return;
    case UnaryKind::kBitwiseNot:
      for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<T>(~src[i]);
      return;
    default:
      for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<T>(compute(p.kind, p.alpha, p.beta, static_cast<double>(src[i])));
  }
}

void UnaryPlain(const UnaryParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  const int64_t n = end - begin;
  if (n <= 0) return;
  if (p.kind == UnaryKind::kIsNaN || p.kind == UnaryKind::kIsInf) {
    bool* dst = call.out<bool>(0) + begin;
    dispatch<float, double, Float16, BFloat16, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ>(p.dtype, [&](auto t) {
      const auto* src = call.in<decltype(t)>(0) + begin;
      if (p.kind == UnaryKind::kIsNaN) {
        for (int64_t i = 0; i < n; ++i) dst[i] = is_nan(src[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) {
          const double x = number(src[i]);
          dst[i] = std::isinf(x) && (x > 0 ? p.beta != 0 : p.alpha != 0);
        }
      }
    });
    return;
  }
  if (p.dtype == DType::kBool) {
    const auto* src = call.in<uint8_t>(0) + begin;
    auto* dst = call.out<uint8_t>(0) + begin;
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i] == 0;
    return;
  }
  if (dispatch<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
          p.dtype, [&](auto t) { integers(p, call.in<decltype(t)>(0) + begin, call.out<decltype(t)>(0) + begin, n); }))
    return;
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T* src = call.in<T>(0) + begin;
    T* dst = call.out<T>(0) + begin;
    for (int64_t i = 0; i < n; ++i) {
      const double y = compute(p.kind, p.alpha, p.beta, number(src[i]));
      if constexpr (std::is_same_v<T, double>) dst[i] = y;
      else dst[i] = T(static_cast<float>(y));
    }
  });
}

}  // namespace

Kernel<UnaryParams> UnaryPlainPointer() { return UnaryPlain; }

}  // namespace tenon::kernels
