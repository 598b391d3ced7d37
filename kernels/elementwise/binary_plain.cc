// Binary functions for every dtype but the vector ones. Where signedness does not matter the unsigned type of the size is used.
#include <cmath>
#include <type_traits>

#include "kernels/elementwise/binary.h"

namespace tenon::kernels {
namespace {

/// f over the rows of one range; a and b swapped when `swap`.
template <class T, class R, class F>
void rows(const BinaryParams& p, const Call& call, Range range, F f, bool swap = false) {
  const int ia = swap ? 1 : 0, ib = swap ? 0 : 1;
  const T *a0 = call.in<T>(ia), *b0 = call.in<T>(ib);
  R* out = call.out<R>(0);
  const int64_t sa = p.shape.strides[ia][p.shape.rank - 1], sb = p.shape.strides[ib][p.shape.rank - 1];
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
    const T *a = a0 + offset[ia], *b = b0 + offset[ib];
    R* dst = out + at;
    if (sa && sb) {
      for (int64_t i = 0; i < n; ++i) dst[i] = f(a[i], b[i]);
    } else if (sa) {
      const T y = b[0];
      for (int64_t i = 0; i < n; ++i) dst[i] = f(a[i], y);
    } else {
      const T x = a[0];
      for (int64_t i = 0; i < n; ++i) dst[i] = f(x, sb ? b[i] : b[0]);
    }
  });
}

template <class U>
using Wide = std::conditional_t<(sizeof(U) < 4), uint32_t, U>;

/// Arithmetic modulo 2^bits: the same for signed and unsigned.
template <class U>
bool wrapping(const BinaryParams& p, const Call& c, Range r) {
  using W = Wide<U>;
  switch (p.kind) {
    case BinaryKind::kAdd: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(W(a) + W(b)); }); return true;
    case BinaryKind::kSub: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(W(a) - W(b)); }); return true;
    case BinaryKind::kMul: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(W(a) * W(b)); }); return true;
    case BinaryKind::kAnd:
    case BinaryKind::kBitwiseAnd: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(a & b); }); return true;
    case BinaryKind::kOr:
    case BinaryKind::kBitwiseOr: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(a | b); }); return true;
    case BinaryKind::kXor:
    case BinaryKind::kBitwiseXor: rows<U, U>(p, c, r, [](U a, U b) { return static_cast<U>(a ^ b); }); return true;
    case BinaryKind::kShiftLeft:
      rows<U, U>(p, c, r, [](U a, U b) { return b < sizeof(U) * 8 ? static_cast<U>(W(a) << b) : U(0); });
      return true;
    case BinaryKind::kEqual: rows<U, bool>(p, c, r, [](U a, U b) { return a == b; }); return true;
    default: return false;
  }
}

template <class T>
void integers(const BinaryParams& p, const Call& c, Range r) {
  using U = std::make_unsigned_t<T>;
  Fault* fault = c.fault;
  const auto divide = [fault](T a, T b) -> T {
    if (b == 0) return fault->report(Fault::kDivisionByZero, 0, 0, 1), T(0);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return static_cast<T>(U(0) - static_cast<U>(a));
    }
    return static_cast<T>(a / b);
  };
  const auto remainder = [fault](T a, T b) -> T {
    if (b == 0) return fault->report(Fault::kDivisionByZero, 0, 0, 1), T(0);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return T(0);
    }
    return static_cast<T>(a % b);
  };
  switch (p.kind) {
    case BinaryKind::kDiv: return rows<T, T>(p, c, r, divide);
    case BinaryKind::kFmod: return rows<T, T>(p, c, r, remainder);
    case BinaryKind::kMod:
      return rows<T, T>(p, c, r, [remainder](T a, T b) -> T {
        const T m = remainder(a, b);
        return m != 0 && (m < T(0)) != (b < T(0)) ? static_cast<T>(m + b) : m;
      });
    case BinaryKind::kMax: return rows<T, T>(p, c, r, [](T a, T b) { return a > b ? a : b; });
    case BinaryKind::kMin: return rows<T, T>(p, c, r, [](T a, T b) { return a < b ? a : b; });
    case BinaryKind::kPRelu:
      return rows<T, T>(p, c, r, [](T a, T b) { return a < T(0) ? static_cast<T>(Wide<U>(U(a)) * Wide<U>(U(b))) : a; });
    case BinaryKind::kShiftRight:
      return rows<T, T>(p, c, r, [](T a, T b) -> T {
        const auto by = static_cast<U>(b);
        if (by < sizeof(T) * 8) return static_cast<T>(a >> by);
        return a < T(0) ? static_cast<T>(-1) : T(0);
      });
    case BinaryKind::kGreater: return rows<T, bool>(p, c, r, [](T a, T b) { return a > b; });
    case BinaryKind::kLess:
      return rows<T, bool>(
          p, c, r, [](T a, T b) { return a > b; }, true);
    case BinaryKind::kGreaterOrEqual: return rows<T, bool>(p, c, r, [](T a, T b) { return a >= b; });
    case BinaryKind::kLessOrEqual:
      return rows<T, bool>(
          p, c, r, [](T a, T b) { return a >= b; }, true);
    default: return;
  }
}

double floor_mod(double a, double b) {
  const double m = std::fmod(a, b);
  return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

void doubles(const BinaryParams& p, const Call& c, Range r) {
  using T = double;
  switch (p.kind) {
    case BinaryKind::kAdd: return rows<T, T>(p, c, r, [](T a, T b) { return a + b; });
    case BinaryKind::kSub: return rows<T, T>(p, c, r, [](T a, T b) { return a - b; });
    case BinaryKind::kMul: return rows<T, T>(p, c, r, [](T a, T b) { return a * b; });
    case BinaryKind::kDiv: return rows<T, T>(p, c, r, [](T a, T b) { return a / b; });
    case BinaryKind::kMod: return rows<T, T>(p, c, r, floor_mod);
    case BinaryKind::kFmod: return rows<T, T>(p, c, r, [](T a, T b) { return std::fmod(a, b); });
    case BinaryKind::kMax: return rows<T, T>(p, c, r, [](T a, T b) { return a > b || std::isnan(a) ? a : b; });
    case BinaryKind::kMin: return rows<T, T>(p, c, r, [](T a, T b) { return a < b || std::isnan(a) ? a : b; });
    case BinaryKind::kPRelu: return rows<T, T>(p, c, r, [](T a, T b) { return a < 0 ? a * b : a; });
    default: return;
  }
}

/// V is what T is compared as.
template <class T, class V>
void comparisons(const BinaryParams& p, const Call& c, Range r) {
  const bool swap = p.kind == BinaryKind::kLess || p.kind == BinaryKind::kLessOrEqual;
  switch (p.kind) {
    case BinaryKind::kEqual: return rows<T, bool>(p, c, r, [](T a, T b) { return V(a) == V(b); });
    case BinaryKind::kGreater:
    case BinaryKind::kLess:
      return rows<T, bool>(
          p, c, r, [](T a, T b) { return V(a) > V(b); }, swap);
    case BinaryKind::kGreaterOrEqual:
    case BinaryKind::kLessOrEqual:
      return rows<T, bool>(
          p, c, r, [](T a, T b) { return V(a) >= V(b); }, swap);
    default: return;
  }
}

void BinaryPlain(const BinaryParams& p, const Call& c, Range r) {
  switch (p.dtype) {
    case DType::kFloat32: return comparisons<float, float>(p, c, r);
    case DType::kFloat16: return comparisons<Float16, float>(p, c, r);
    case DType::kBFloat16: return comparisons<BFloat16, float>(p, c, r);
    case DType::kFloat64: return is_comparison(p.kind) ? comparisons<double, double>(p, c, r) : doubles(p, c, r);
    case DType::kString: return rows<StringRef, bool>(p, c, r, [](const StringRef& a, const StringRef& b) { return a == b; });
    default: break;
  }
  switch (size_of(p.dtype)) {
    case 1:
      if (wrapping<uint8_t>(p, c, r)) return;
      break;
    case 2:
      if (wrapping<uint16_t>(p, c, r)) return;
      break;
    case 4:
      if (wrapping<uint32_t>(p, c, r)) return;
      break;
    default:
      if (wrapping<uint64_t>(p, c, r)) return;
  }
  dispatch<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(p.dtype,
                                                                                     [&](auto t) { integers<decltype(t)>(p, c, r); });
}

}  // namespace

Kernel<BinaryParams> BinaryPlainPointer() { return BinaryPlain; }

}  // namespace tenon::kernels
