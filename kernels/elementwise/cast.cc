#include "kernels/elementwise/cast.h"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/elementwise/half.h"
#include "kernels/lines.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kTile = 512;

/// Floats out of an integer's range have no defined result in ONNX; these never trap and match what x86 conversions give.
int64_t to_int64(double x) { return x >= -9.2233720368547758e18 && x < 9.2233720368547758e18 ? static_cast<int64_t>(x) : INT64_MIN; }
int32_t to_int32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? static_cast<int32_t>(x) : INT32_MIN; }

template <class T, class S>
T convert(S x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != S(0);
  } else if constexpr (std::is_floating_point_v<T> || std::is_integral_v<S>) {
    return static_cast<T>(x);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    const double v = x;
    return v >= 9.2233720368547758e18 && v < 1.8446744073709552e19 ? static_cast<uint64_t>(v) : static_cast<uint64_t>(to_int64(v));
  } else if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, uint32_t>) {
    return static_cast<T>(to_int64(x));
  } else {
    return static_cast<T>(to_int32(x));
  }
}

/// double to float such that a further rounding to a narrower format gives what one rounding would: towards zero, with the last bit
/// set when inexact.
float round_to_odd(double x) {
  auto f = static_cast<float>(x);
  if (std::isnan(x) || static_cast<double>(f) == x) return f;
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  if (std::fabs(static_cast<double>(f)) > std::fabs(x)) --bits;  // the next float towards zero
  bits |= 1;
  std::memcpy(&f, &bits, 4);
  return f;
}

template <class I>
float to_float(I x) {
  if constexpr (std::is_same_v<I, float>) return x;
  else return round_to_odd(static_cast<double>(x));
}

template <class D, class I>
D narrow(const CastParams& p, I x) {
  if constexpr (std::is_arithmetic_v<D>) {
    return convert<D>(x);
  } else if constexpr (std::is_same_v<D, Float16> || std::is_same_v<D, BFloat16>) {
    return D(to_float(x));
  } else if constexpr (std::is_same_v<D, Float8E8M0>) {
    return Float8E8M0::from_float(to_float(x), p.saturate, p.round);
  } else if constexpr (std::is_same_v<D, Uint4>) {
    return Uint4{static_cast<uint8_t>(convert<int32_t>(x) & 15)};
  } else if constexpr (std::is_same_v<D, Int4>) {
    return Int4{static_cast<int8_t>(static_cast<int8_t>(convert<int32_t>(x) << 4) >> 4)};
  } else if constexpr (std::is_same_v<D, Uint2>) {
    return Uint2{static_cast<uint8_t>(convert<int32_t>(x) & 3)};
  } else if constexpr (std::is_same_v<D, Int2>) {
    return Int2{static_cast<int8_t>(static_cast<int8_t>(convert<int32_t>(x) << 6) >> 6)};
  } else {
    return D::from_float(to_float(x), p.saturate);
  }
}

/// Tiles go through one of four intermediate types that hold every value of the source exactly.
template <class I>
void write(const CastParams& p, const I* src, void* dst, int64_t n) {
  dispatch<float, double, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, bool, Float16, BFloat16, Float8E4M3FN,
           Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ, Float8E8M0, Float4E2M1, Uint4, Int4, Uint2, Int2>(p.to, [&](auto t) {
    using D = decltype(t);
    for (int64_t i = 0; i < n; ++i) static_cast<D*>(dst)[i] = narrow<D>(p, src[i]);
  });
}

template <class I, class... Sources>
bool through(const CastParams& p, const void* src, void* dst, int64_t n) {
  return dispatch<Sources...>(p.from, [&](auto t) {
    using S = decltype(t);
    const size_t width = size_of(p.to);
    I tile[kTile];
    for (int64_t i = 0; i < n; i += kTile) {
      const int64_t m = n - i < kTile ? n - i : kTile;
      for (int64_t k = 0; k < m; ++k) {
        const S& x = static_cast<const S*>(src)[i + k];
        if constexpr (std::is_arithmetic_v<S>) tile[k] = static_cast<I>(x);
        else if constexpr (std::is_same_v<I, float>) tile[k] = static_cast<float>(x);
        else tile[k] = static_cast<int32_t>(x);
      }
      write(p, tile, static_cast<char*>(dst) + static_cast<size_t>(i) * width, m);
    }
  });
}

template <class F>
void parts(const CastParams& p, const Call& call, Range range, F f) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  if (begin < end)
    f(call.in<char>(0) + static_cast<size_t>(begin) * size_of(p.from), call.out<char>(0) + static_cast<size_t>(begin) * size_of(p.to),
      end - begin);
}

void CastPlain(const CastParams& p, const Call& call, Range range) {
  parts(p, call, range, [&](const void* src, void* dst, int64_t n) { cast_elements(p, src, dst, n); });
}

void CastHalf(const CastParams& p, const Call& call, Range range) {
  parts(p, call, range, [&](const void* src, void* dst, int64_t n) {
    const auto* halves = static_cast<const uint16_t*>(p.to == DType::kFloat32 ? src : dst);
    if (p.to == DType::kFloat32) {
      auto* floats = static_cast<float*>(dst);
      by_lines(floats, n, [&](int64_t i, int64_t m) { widen_half(p.from)(halves + i, floats + i, m); });
    } else {
      const auto* floats = static_cast<const float*>(src);
      by_lines(halves, n, [&](int64_t i, int64_t m) { narrow_half(p.to)(floats + i, static_cast<uint16_t*>(dst) + i, m); });
    }
  });
}

void CastCommon(const CastParams& p, const Call& call, Range range) {
  parts(p, call, range, [&](const void* src, void* dst, int64_t n) {
    dispatch<float, double, int32_t, int64_t, uint8_t, bool>(p.from, [&](auto s) {
      dispatch<float, double, int32_t, int64_t, uint8_t, bool>(p.to, [&](auto t) {
        using S = decltype(s);
        using D = decltype(t);
        const S* from = static_cast<const S*>(src);
        D* to = static_cast<D*>(dst);
        for (int64_t i = 0; i < n; ++i) to[i] = convert<D>(from[i]);
      });
    });
  });
}

bool cast_is_common(DType d) {
  return d == DType::kFloat32 || d == DType::kFloat64 || d == DType::kInt32 || d == DType::kInt64 || d == DType::kUint8 ||
         d == DType::kBool;
}

}  // namespace

void cast_elements(const CastParams& p, const void* src, void* dst, int64_t n) {
  through<float, float, Float16, BFloat16, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ, Float8E8M0, Float4E2M1>(p, src, dst,
                                                                                                                             n) ||
      through<double, double>(p, src, dst, n) || through<uint64_t, uint64_t>(p, src, dst, n) ||
      through<int64_t, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, bool, Uint4, Int4, Uint2, Int2>(p, src, dst, n);
}

Kernel<CastParams> CastPlainPointer() { return CastPlain; }
Kernel<CastParams> CastHalfPointer() { return CastHalf; }
Kernel<CastParams> CastCommonPointer() { return CastCommon; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(CastParams, Name, when, why)
static const Row<CastParams> kRows[] = {
#include "kernels/elementwise/cast.inc"
};
#undef KERNEL
const Table<CastParams> cast{"cast", kRows, sizeof(kRows) / sizeof(kRows[0])};

}  // namespace tenon::kernels
