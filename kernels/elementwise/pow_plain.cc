// Pow where base and exponent differ in dtype, or are not float32.
#include <cmath>
#include <type_traits>

#include "kernels/elementwise/binary.h"

namespace tenon::kernels {
namespace {

template <class T>
double as_double(T x) {
  if constexpr (std::is_arithmetic_v<T>) return static_cast<double>(x);
  else return static_cast<float>(x);
}

double double_at(DType dtype, const void* data, int64_t i) {
  double value = 0;
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      dtype, [&](auto t) { value = as_double(static_cast<const decltype(t)*>(data)[i]); });
  return value;
}
int64_t int_at(DType dtype, const void* data, int64_t i) {
  int64_t value = 0;
  dispatch<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      dtype, [&](auto t) { value = static_cast<int64_t>(static_cast<const decltype(t)*>(data)[i]); });
  return value;
}

/// base^exponent modulo 2^64; a negative exponent gives the integer part of the reciprocal (0 for base 0).
int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, square = static_cast<uint64_t>(base);
  for (uint64_t e = static_cast<uint64_t>(exponent); e; e >>= 1, square *= square)
    if (e & 1) result *= square;
  return static_cast<int64_t>(result);
}

template <class T>
T from_double(double x) {
  if constexpr (std::is_integral_v<T>) {
    if (!(x > -9.2233720368547758e18 && x < 9.2233720368547758e18)) return static_cast<T>(INT64_MIN);
    return static_cast<T>(static_cast<int64_t>(x));
  } else {
    return T(static_cast<float>(x));
  }
}

void PowPlain(const BinaryParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  const int64_t sa = p.shape.strides[0][p.shape.rank - 1], sb = p.shape.strides[1][p.shape.rank - 1];
  const void* exponents = call.src[1];
  if (p.dtype == DType::kFloat32 && sb == 0) {
    const BinaryTile tile = binary_tile(BinaryKind::kPow);
    for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
      const auto e = static_cast<float>(double_at(p.exponent_dtype, exponents, offset[1]));
      tile(call.in<float>(0) + offset[0], sa, &e, 0, call.out<float>(0) + at, n);
    });
    return;
  }
  if (p.dtype == DType::kFloat64) {
    const BinaryTile64 tile = pow_tile64();
    for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
      constexpr int64_t kPiece = 256;
      double piece[kPiece];
      // A repeated exponent is a piece of one.
      for (int64_t i = 0, m = 0; i < n; i += m) {
        m = sb == 0 ? n : n - i < kPiece ? n - i : kPiece;
        const int64_t from = offset[1] + i * sb;
        const bool as_is = p.exponent_dtype == DType::kFloat64;
        for (int64_t j = 0; !as_is && j < (sb == 0 ? 1 : m); ++j) piece[j] = double_at(p.exponent_dtype, exponents, from + j);
        tile(call.in<double>(0) + offset[0] + i * sa, sa, as_is ? static_cast<const double*>(exponents) + from : piece, sb,
             call.out<double>(0) + at + i, m);
      }
    });
    return;
  }
  dispatch<float, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T* bases = call.in<T>(0);
    T* dst = call.out<T>(0);
    for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const T base = bases[offset[0] + i * sa];
        const int64_t e = offset[1] + i * sb;
        if constexpr (std::is_integral_v<T>) {
          if (is_integer(p.exponent_dtype)) {
            dst[at + i] = static_cast<T>(integer_power(static_cast<int64_t>(base), int_at(p.exponent_dtype, exponents, e)));
            continue;
          }
        }
        dst[at + i] = from_double<T>(std::pow(as_double(base), double_at(p.exponent_dtype, exponents, e)));
      }
    });
  });
}

}  // namespace

Kernel<BinaryParams> PowPlainPointer() { return PowPlain; }

}  // namespace tenon::kernels
