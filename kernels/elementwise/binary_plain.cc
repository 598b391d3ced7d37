// Binary functions for every dtype but the vector ones. Where signedness does not matter the unsigned type of the size is used.
#include <bit>
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
      if constexpr (requires { f.by(y); }) {
        if (n >= F::kMany) {
          const auto known = f.by(y);
          for (int64_t i = 0; i < n; ++i) dst[i] = known(a[i]);
          return;
        }
      }
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

/// n / d by a multiplication, as T. Granlund and Montgomery, Division by Invariant Integers using Multiplication, figure 4.1: the factor is
/// that of 2^N (2^l - d) / d rounded up with the least l for which 2^l >= d, and its bit N is added apart.
template <class U>
struct Inverse {
  using W = std::conditional_t<sizeof(U) == 8, unsigned __int128, uint64_t>;
  static constexpr int kBits = sizeof(U) * 8;
  U factor = 0;
  int first = 0, second = 0;
  explicit Inverse(U d) {  // of d > 0
    const int l = std::bit_width(static_cast<U>(d - 1));
    factor = static_cast<U>((((W(1) << l) - d) << kBits) / d + 1);
    first = l > 0 ? 1 : 0, second = l > 0 ? l - 1 : 0;
  }
  U operator()(U n) const {
    const U high = static_cast<U>((W(factor) * n) >> kBits);
    return static_cast<U>(high + static_cast<U>(static_cast<U>(n - high) >> first)) >> second;
  }
};

enum class Part : uint8_t { kQuotient, kRemainder, kFloorRemainder };  // towards zero; the last with the divisor's sign

/// Division of integers. The quotient by 0 is reported and 0, that by -1 wraps.
template <class T, Part kPart>
struct Division {
  using U = std::make_unsigned_t<T>;
  using C = std::conditional_t<(sizeof(T) > 4), uint64_t, uint32_t>;  // what is computed in
  static constexpr int64_t kMany = 16;                                // quotients by one divisor that are worth finding its inverse
  Fault* fault;

  static T Rest(T m, T b) {
    if constexpr (kPart == Part::kFloorRemainder && std::is_signed_v<T>) {
      const T other_side = static_cast<T>(-static_cast<T>((m != 0) & ((m ^ b) < 0)));  // all bits, or none: no branch could be foreseen
      return static_cast<T>(m + (b & other_side));
    }
    return m;
  }
  T operator()(T a, T b) const {
    if (b == 0) return fault->report(Fault::kDivisionByZero, 0, 0, 1), T(0);
    if constexpr (std::is_signed_v<T>) {
      if (b == T(-1)) return kPart == Part::kQuotient ? static_cast<T>(U(0) - static_cast<U>(a)) : T(0);
    }
    if constexpr (kPart == Part::kQuotient) return static_cast<T>(a / b);
    else return Rest(static_cast<T>(a % b), b);
  }
  /// The division by b alone.
  auto by(T b) const {
    if (b == 0) fault->report(Fault::kDivisionByZero, 0, 0, 1);
    const auto magnitude = [](T x) { return x < T(0) ? C(0) - static_cast<C>(x) : static_cast<C>(x); };
    return [b, size = magnitude(b), inverse = Inverse<C>(b == 0 ? C(1) : magnitude(b)), magnitude](T a) -> T {
      const C n = magnitude(a), q = inverse(n);
      if constexpr (kPart == Part::kQuotient) {
        return b == 0 ? T(0) : static_cast<T>((a < T(0)) != (b < T(0)) ? C(0) - q : q);
      } else {
        const C m = n - q * size;
        return b == 0 ? T(0) : Rest(static_cast<T>(a < T(0) ? C(0) - m : m), b);
      }
    };
  }
};

template <class T>
void integers(const BinaryParams& p, const Call& c, Range r) {
  using U = std::make_unsigned_t<T>;
  switch (p.kind) {
    case BinaryKind::kDiv: return rows<T, T>(p, c, r, Division<T, Part::kQuotient>{c.fault});
    case BinaryKind::kFmod: return rows<T, T>(p, c, r, Division<T, Part::kRemainder>{c.fault});
    case BinaryKind::kMod: return rows<T, T>(p, c, r, Division<T, Part::kFloorRemainder>{c.fault});
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
