// All conversions are integer arithmetic on the bits, so they do not depend on the rounding mode or on denormals being flushed
// (a run flushes them, and every subnormal float16 is a normal float32 that must survive).
#include "base/small_float.h"

#include <array>

namespace tenon {

namespace {

constexpr uint32_t kInf32 = 0x7f800000u;

uint32_t bits_of(float value) { return std::bit_cast<uint32_t>(value); }

/// m / 2^shift rounded to nearest, ties to even. m < 2^24.
uint32_t shift_rounding(uint32_t m, int shift) {
  if (shift > 25) return 0;
  const uint32_t odd = (m >> shift) & 1;
  return (m + (1u << (shift - 1)) - 1 + odd) >> shift;
}

/// The magnitude of a finite float32 as exponent and mantissa fields of a narrower format, carries included. May exceed
/// the largest finite code of the format: the caller decides what overflow means.
template <int kMantissa, int kBias>
uint32_t narrow_magnitude(uint32_t magnitude) {
  const int exponent = static_cast<int>(magnitude >> 23) - 127 + kBias;
  if (magnitude < 0x00800000u) return 0;  // a float32 subnormal is below half the smallest value of every format here
  const uint32_t mantissa = (magnitude & 0x007fffffu) | 0x00800000u;
  if (exponent >= 1) return (static_cast<uint32_t>(exponent - 1) << kMantissa) + shift_rounding(mantissa, 23 - kMantissa);
  return shift_rounding(mantissa, 23 - kMantissa + 1 - exponent);
}

/// mantissa * 2^exponent, exact.
constexpr float scaled(int mantissa, int exponent) {
  double v = mantissa;
  for (; exponent > 0; --exponent) v *= 2;
  for (; exponent < 0; ++exponent) v /= 2;
  return static_cast<float>(v);
}

/// What the four 8-bit formats and the 4-bit one differ in.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  uint32_t max;        ///< code of the largest finite value
  uint32_t nan;        ///< code of NaN
  uint32_t infinity;   ///< code of infinity, or of NaN where there is none
  bool negative_zero;  ///< false in the FNUZ formats, where that code is NaN
};

constexpr Format kE4M3FN{4, 3, 7, 0x7e, 0x7f, 0x7f, true};
constexpr Format kE4M3FNUZ{4, 3, 8, 0x7f, 0x80, 0x80, false};
constexpr Format kE5M2{5, 2, 15, 0x7b, 0x7e, 0x7c, true};
constexpr Format kE5M2FNUZ{5, 2, 16, 0x7f, 0x80, 0x80, false};
constexpr Format kE2M1{2, 1, 1, 0x7, 0x8, 0x7, true};

template <const Format& F>
uint8_t encode(float value, bool saturate) {
  constexpr int kWidth = 1 + F.exponent_bits + F.mantissa_bits;
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 31) << (kWidth - 1);
  const uint32_t magnitude = bits & 0x7fffffffu;
  uint32_t code;
  if (magnitude > kInf32) {
    if (!F.negative_zero) return F.nan;
    code = F.nan;
  } else {
    code = magnitude == kInf32 ? F.max + 1 : narrow_magnitude<F.mantissa_bits, F.bias>(magnitude);
    if (code > F.max) {
      if (!saturate && !F.negative_zero) return F.nan;
      code = saturate ? F.max : F.infinity;
    }
  }
  if (code == 0 && !F.negative_zero) return 0;
  return static_cast<uint8_t>(code ^ sign);
}

template <const Format& F>
constexpr std::array<float, 256> make_table() {
  std::array<float, 256> table{};
  constexpr int kWidth = 1 + F.exponent_bits + F.mantissa_bits;
  constexpr float kNan = std::bit_cast<float>(0x7fc00000u);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t code = i & ((1u << kWidth) - 1);
    const bool negative = code >> (kWidth - 1);
    const uint32_t magnitude = code & ((1u << (kWidth - 1)) - 1);
    const int exponent = static_cast<int>(magnitude >> F.mantissa_bits);
    const int mantissa = static_cast<int>(magnitude & ((1u << F.mantissa_bits) - 1));
    float v;
    if (!F.negative_zero && code == F.nan) {
      v = kNan;
    } else if (magnitude > F.max) {
      v = magnitude == F.infinity && F.infinity != F.nan ? std::bit_cast<float>(kInf32) : kNan;
    } else if (exponent == 0) {
      v = scaled(mantissa, 1 - F.bias - F.mantissa_bits);
    } else {
      v = scaled(mantissa + (1 << F.mantissa_bits), exponent - F.bias - F.mantissa_bits);
    }
    table[i] = negative && v == v ? -v : v;
  }
  return table;
}

template <const Format& F>
constexpr std::array<float, 256> kTable = make_table<F>();

}  // namespace

Float16::Float16(float value) {
  const uint32_t b = bits_of(value);
  const uint32_t sign = (b >> 16) & 0x8000u;
  const uint32_t magnitude = b & 0x7fffffffu;
  uint32_t code;
  if (magnitude > kInf32) {
    code = 0x7e00u | ((magnitude >> 13) & 0x03ffu);  // quiet, top of the payload kept: what F16C does
  } else if (magnitude >= 0x47800000u) {             // 65536 and above
    code = 0x7c00u;
  } else {
    code = narrow_magnitude<10, 15>(magnitude);
  }
  bits = static_cast<uint16_t>(sign | code);
}

Float16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 31u;
  const uint32_t mantissa = bits & 0x03ffu;
  if (exponent == 0) {
    // mantissa * 2^-24: zero or a normal float32, so no subnormal is ever handled.
    const float v = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | bits_of(v));
  }
  if (exponent == 31) return std::bit_cast<float>(sign | kInf32 | (mantissa << 13) | (mantissa ? 0x00400000u : 0u));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

BFloat16::BFloat16(float value) {
  const uint32_t b = bits_of(value);
  if ((b & 0x7fffffffu) > kInf32) {
    bits = static_cast<uint16_t>((b >> 16) | 0x0040u);  // stays NaN, quiet
  } else {
    bits = static_cast<uint16_t>((b + 0x7fffu + ((b >> 16) & 1)) >> 16);
  }
}

#define TENON_TINY(Name, Format)                                \
  Name::operator float() const { return kTable<Format>[bits]; } \
  Name Name::from_float(float value, bool saturate) {           \
    Name result;                                                \
    result.bits = encode<Format>(value, saturate);              \
    return result;                                              \
  }
TENON_TINY(Float8E4M3FN, kE4M3FN)
TENON_TINY(Float8E4M3FNUZ, kE4M3FNUZ)
TENON_TINY(Float8E5M2, kE5M2)
TENON_TINY(Float8E5M2FNUZ, kE5M2FNUZ)
#undef TENON_TINY

// Neither NaN nor infinity exists: infinity and overflow give 6 whatever `saturate` says; NaN, which ONNX leaves open, gives the zero
// of the opposite sign, as in ml_dtypes (0x8 ^ sign).
Float4E2M1::operator float() const { return kTable<kE2M1>[bits & 15]; }
Float4E2M1 Float4E2M1::from_float(float value, bool) {
  Float4E2M1 result;
  result.bits = encode<kE2M1>(value, true);
  return result;
}

Float8E8M0::operator float() const {
  if (bits == 0xff) return std::bit_cast<float>(0x7fc00000u);
  if (bits == 0) return std::bit_cast<float>(0x00400000u);  // 2^-127, a float32 subnormal
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 23);
}

Float8E8M0 Float8E8M0::from_float(float value, bool saturate, Round round) {
  Float8E8M0 result;
  const uint32_t b = bits_of(value);
  const uint32_t magnitude = b & 0x7fffffffu;
  const bool negative = (b >> 31) && magnitude != 0;
  constexpr uint32_t kMin = 0x00400000u, kMax = 0x7f000000u;  // 2^-127 and 2^127
  if (negative || magnitude > kInf32) {
    result.bits = 0xff;  // ONNX leaves negative values open; NaN hides nothing
  } else if (magnitude < kMin) {
    result.bits = saturate ? 0 : 0xff;
  } else if (magnitude > kMax) {
    result.bits = saturate ? 0xfe : 0xff;
  } else {
    const uint32_t exponent = magnitude >> 23;
    // The fraction above the power of two below, in 2^-23 units of that power.
    const uint32_t fraction = exponent == 0 ? (magnitude - kMin) << 1 : magnitude & 0x007fffffu;
    const bool up = round == Round::kUp ? fraction != 0 : round == Round::kNearest && fraction >= 0x00400000u;
    result.bits = static_cast<uint8_t>(exponent + up);
  }
  return result;
}

}  // namespace tenon
