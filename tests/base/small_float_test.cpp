// Every code of every narrow format is decoded by a formula written here from the format's definition, and encoding is compared with a
// search for the nearest code among all of them.
#include "base/small_float.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace tenon {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

/// A format as its specification says it.
struct Spec {
  const char* name;
  int exponent_bits, mantissa_bits, bias;
  enum Special { kIeee, kFN, kFNUZ, kFinite } special;
  int bits() const { return 1 + exponent_bits + mantissa_bits; }
};

double decode(const Spec& s, uint32_t code) {
  const uint32_t sign = code >> (s.exponent_bits + s.mantissa_bits);
  const int exponent = (code >> s.mantissa_bits) & ((1 << s.exponent_bits) - 1);
  const int mantissa = code & ((1 << s.mantissa_bits) - 1);
  const int top = (1 << s.exponent_bits) - 1, all_ones = (1 << s.mantissa_bits) - 1;
  if (s.special == Spec::kIeee && exponent == top) return mantissa != 0 ? NAN : sign ? -INFINITY : INFINITY;
  if (s.special == Spec::kFN && exponent == top && mantissa == all_ones) return NAN;
  if (s.special == Spec::kFNUZ && sign && exponent == 0 && mantissa == 0) return NAN;
  const double v = exponent == 0 ? std::ldexp(mantissa, 1 - s.bias - s.mantissa_bits)
                                 : std::ldexp(mantissa + (1 << s.mantissa_bits), exponent - s.bias - s.mantissa_bits);
  return sign ? -v : v;
}

/// The non-negative finite values, ascending; index = code.
std::vector<double> finite(const Spec& s) {
  std::vector<double> values;
  for (uint32_t code = 0; code < 1u << (s.bits() - 1); ++code) {
    const double v = decode(s, code);
    if (!std::isfinite(v)) break;
    values.push_back(v);
  }
  return values;
}

/// Code of the value nearest to x >= 0 (ties to the even code), by looking at all of them; size() when x rounds past the largest.
size_t nearest(const std::vector<double>& values, double x) {
  const size_t n = values.size();
  const double next = values[n - 1] + (values[n - 1] - values[n - 2]);
  size_t best = 0;
  double best_distance = INFINITY;
  for (size_t i = 0; i <= n; ++i) {
    const double distance = std::abs((i < n ? values[i] : next) - x);
    if (distance < best_distance || (distance == best_distance && i % 2 == 0)) {
      best = i;
      best_distance = distance;
    }
  }
  return x > next ? n : best;
}

/// Values, both neighbours of each, midpoints and both neighbours of those: where rounding can go wrong.
std::vector<float> probes(const Spec& s) {
  std::vector<float> result;
  const auto values = finite(s);
  auto around = [&](double v) {
    const auto f = static_cast<float>(v);
    for (float p : {std::nextafter(f, -kInf), f, std::nextafter(f, kInf)}) {
      result.push_back(p);
      result.push_back(-p);
    }
  };
  for (size_t i = 0; i < values.size(); ++i) {
    around(values[i]);
    if (i > 0) around((values[i - 1] + values[i]) / 2);
  }
  const double gap = values.back() - values[values.size() - 2];
  around(values.back() + gap / 2);
  around(values.back() + gap);
  around(values.back() * 3);
  around(values[1] / 4);
  result.push_back(1e-40f);
  result.push_back(std::numeric_limits<float>::max());
  return result;
}

const Spec kHalf{"float16", 5, 10, 15, Spec::kIeee};
const Spec kBrain{"bfloat16", 8, 7, 127, Spec::kIeee};
const Spec kE4M3FN{"e4m3fn", 4, 3, 7, Spec::kFN};
const Spec kE4M3FNUZ{"e4m3fnuz", 4, 3, 8, Spec::kFNUZ};
const Spec kE5M2{"e5m2", 5, 2, 15, Spec::kIeee};
const Spec kE5M2FNUZ{"e5m2fnuz", 5, 2, 16, Spec::kFNUZ};
const Spec kE2M1{"e2m1", 2, 1, 1, Spec::kFinite};

template <class T>
void check_decoding(const Spec& s) {
  for (uint32_t code = 0; code < 1u << s.bits(); ++code) {
    T t;
    t.bits = static_cast<decltype(t.bits)>(code);
    const double expected = decode(s, code);
    const float got = static_cast<float>(t);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got)) << s.name << " " << code;
    } else {
      EXPECT_EQ(got, expected) << s.name << " " << code;
      EXPECT_EQ(std::signbit(got), std::signbit(expected)) << s.name << " " << code;
    }
  }
}

template <class T>
void check_round_trip(const Spec& s) {
  for (uint32_t code = 0; code < 1u << s.bits(); ++code) {
    T t;
    t.bits = static_cast<decltype(t.bits)>(code);
    const float value = static_cast<float>(t);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(T(value)))) << s.name << " " << code;
    } else if (std::isfinite(value)) {
      EXPECT_EQ(T(value).bits, code) << s.name;
    }
  }
}

template <class Encode>
void check_nearest(const Spec& s, Encode encode) {
  const auto values = finite(s);
  const uint32_t sign = 1u << (s.bits() - 1);
  for (float x : probes(s)) {
    const size_t n = nearest(values, std::abs(static_cast<double>(x)));
    if (n == values.size()) continue;  // overflow: checked apart
    uint32_t expected = static_cast<uint32_t>(n);
    if (std::signbit(x) && !(s.special == Spec::kFNUZ && n == 0)) expected |= sign;
    EXPECT_EQ(encode(x), expected) << s.name << " " << x;
  }
}

TEST(SmallFloat, DecodingFollowsTheFormat) {
  check_decoding<Float16>(kHalf);
  check_decoding<BFloat16>(kBrain);
  check_decoding<Float8E4M3FN>(kE4M3FN);
  check_decoding<Float8E4M3FNUZ>(kE4M3FNUZ);
  check_decoding<Float8E5M2>(kE5M2);
  check_decoding<Float8E5M2FNUZ>(kE5M2FNUZ);
  check_decoding<Float4E2M1>(kE2M1);
}

TEST(SmallFloat, EveryCodeSurvivesTheWayThroughFloat32) {
  check_round_trip<Float16>(kHalf);
  check_round_trip<BFloat16>(kBrain);
  check_round_trip<Float8E4M3FN>(kE4M3FN);
  check_round_trip<Float8E4M3FNUZ>(kE4M3FNUZ);
  check_round_trip<Float8E5M2>(kE5M2);
  check_round_trip<Float8E5M2FNUZ>(kE5M2FNUZ);
  check_round_trip<Float4E2M1>(kE2M1);
}

TEST(SmallFloat, TinyFormatsRoundToTheNearestCodeTiesToEven) {
  for (bool saturate : {true, false}) {
    check_nearest(kE4M3FN, [&](float x) { return Float8E4M3FN::from_float(x, saturate).bits; });
    check_nearest(kE4M3FNUZ, [&](float x) { return Float8E4M3FNUZ::from_float(x, saturate).bits; });
    check_nearest(kE5M2, [&](float x) { return Float8E5M2::from_float(x, saturate).bits; });
    check_nearest(kE5M2FNUZ, [&](float x) { return Float8E5M2FNUZ::from_float(x, saturate).bits; });
    check_nearest(kE2M1, [&](float x) { return Float4E2M1::from_float(x, saturate).bits; });
  }
}

// The wide formats have too many codes for a search each; the two neighbouring codes are found by bisection instead.
template <class T>
void check_wide(const Spec& s) {
  const auto values = finite(s);
  const uint32_t sign = 1u << (s.bits() - 1);
  for (float x : probes(s)) {
    const double a = std::abs(static_cast<double>(x));
    const size_t above = std::lower_bound(values.begin(), values.end(), a) - values.begin();
    if (above == values.size()) continue;
    size_t n = above;
    if (above > 0) {
      const double down = a - values[above - 1], up = values[above] - a;
      if (down < up || (down == up && above % 2 == 1)) n = above - 1;
    }
    EXPECT_EQ(T(x).bits, n | (std::signbit(x) ? sign : 0)) << s.name << " " << x;
  }
}

TEST(SmallFloat, WideFormatsRoundToTheNearestCodeTiesToEven) {
  check_wide<Float16>(kHalf);
  check_wide<BFloat16>(kBrain);
}

TEST(SmallFloat, WideFormatsOverflowToInfinityHalfAStepPastTheLargest) {
  EXPECT_EQ(static_cast<float>(Float16(65519.996f)), 65504.f);
  EXPECT_EQ(static_cast<float>(Float16(65520.f)), kInf);
  EXPECT_EQ(static_cast<float>(Float16(-1e30f)), -kInf);
  EXPECT_EQ(static_cast<float>(Float16(kInf)), kInf);
  EXPECT_EQ(static_cast<float>(BFloat16(std::numeric_limits<float>::max())), kInf);
  EXPECT_TRUE(std::isfinite(static_cast<float>(BFloat16(3.38e38f))));
  EXPECT_EQ(static_cast<float>(BFloat16(-kInf)), -kInf);
}

TEST(SmallFloat, EncodingIsMonotonic) {
  float last16 = -kInf, last_b = -kInf, last8 = -kInf;
  for (int64_t i = 0x7f7fffff; i > 0; i -= 9973) {  // negative values, descending magnitude
    const float x = -std::bit_cast<float>(static_cast<uint32_t>(i));
    const auto h = static_cast<float>(Float16(x)), b = static_cast<float>(BFloat16(x)), e = static_cast<float>(Float8E5M2(x));
    ASSERT_LE(last16, h) << x;
    ASSERT_LE(last_b, b) << x;
    ASSERT_LE(last8, e) << x;
    last16 = h;
    last_b = b;
    last8 = e;
  }
}

TEST(SmallFloat, NanStaysNan) {
  for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xff800001u, 0x7fffffffu, 0x7f802000u}) {
    const auto x = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(static_cast<float>(Float16(x))));
    EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(x))));
    for (bool saturate : {true, false}) {
      EXPECT_TRUE(std::isnan(static_cast<float>(Float8E4M3FN::from_float(x, saturate))));
      EXPECT_TRUE(std::isnan(static_cast<float>(Float8E4M3FNUZ::from_float(x, saturate))));
      EXPECT_TRUE(std::isnan(static_cast<float>(Float8E5M2::from_float(x, saturate))));
      EXPECT_TRUE(std::isnan(static_cast<float>(Float8E5M2FNUZ::from_float(x, saturate))));
      EXPECT_TRUE(std::isnan(static_cast<float>(Float8E8M0::from_float(x, saturate, Float8E8M0::Round::kNearest))));
    }
  }
}

// The two tables of ONNX's Cast.
TEST(SmallFloat, SaturatingOverflowGivesTheLargestFinite) {
  for (float x : {kInf, 1e9f}) {
    EXPECT_EQ(Float8E4M3FN::from_float(x, true).bits, 0x7e);
    EXPECT_EQ(Float8E4M3FN::from_float(-x, true).bits, 0xfe);
    EXPECT_EQ(Float8E4M3FNUZ::from_float(x, true).bits, 0x7f);
    EXPECT_EQ(Float8E4M3FNUZ::from_float(-x, true).bits, 0xff);
    EXPECT_EQ(Float8E5M2::from_float(x, true).bits, 0x7b);
    EXPECT_EQ(Float8E5M2::from_float(-x, true).bits, 0xfb);
    EXPECT_EQ(Float8E5M2FNUZ::from_float(x, true).bits, 0x7f);
    EXPECT_EQ(Float8E5M2FNUZ::from_float(-x, true).bits, 0xff);
    EXPECT_EQ(static_cast<float>(Float4E2M1(x)), 6.f);
    EXPECT_EQ(static_cast<float>(Float4E2M1(-x)), -6.f);
  }
}

TEST(SmallFloat, UnsaturatedOverflowGivesInfinityOrNan) {
  for (float x : {kInf, 1e9f}) {
    EXPECT_EQ(Float8E4M3FN::from_float(x, false).bits, 0x7f);
    EXPECT_EQ(Float8E4M3FN::from_float(-x, false).bits, 0xff);
    EXPECT_EQ(Float8E4M3FNUZ::from_float(x, false).bits, 0x80);
    EXPECT_EQ(Float8E4M3FNUZ::from_float(-x, false).bits, 0x80);
    EXPECT_EQ(Float8E5M2::from_float(x, false).bits, 0x7c);
    EXPECT_EQ(Float8E5M2::from_float(-x, false).bits, 0xfc);
    EXPECT_EQ(Float8E5M2FNUZ::from_float(x, false).bits, 0x80);
  }
  // What overflows is the rounded value: 464 is halfway between 448 and the 480 that does not exist, and 448 is even.
  EXPECT_EQ(Float8E4M3FN::from_float(464.f, false).bits, 0x7e);
  EXPECT_EQ(Float8E4M3FN::from_float(464.1f, false).bits, 0x7f);
}

TEST(SmallFloat, NegativeZero) {
  EXPECT_EQ(Float16(-0.f).bits, 0x8000);
  EXPECT_EQ(BFloat16(-0.f).bits, 0x8000);
  EXPECT_EQ(Float8E4M3FN(-0.f).bits, 0x80);
  EXPECT_EQ(Float8E5M2(-1e-20f).bits, 0x80);
  EXPECT_EQ(Float8E4M3FNUZ(-0.f).bits, 0);
  EXPECT_EQ(Float8E5M2FNUZ(-1e-20f).bits, 0);
}

TEST(SmallFloat, E8M0IsAPowerOfTwo) {
  for (int code = 0; code < 255; ++code) {
    Float8E8M0 t;
    t.bits = static_cast<uint8_t>(code);
    const double value = std::ldexp(1.0, code - 127);
    EXPECT_EQ(static_cast<float>(t), value);
    for (auto round : {Float8E8M0::Round::kUp, Float8E8M0::Round::kDown, Float8E8M0::Round::kNearest}) {
      EXPECT_EQ(Float8E8M0::from_float(static_cast<float>(value), false, round).bits, code);
    }
    if (code == 254) break;
    auto rounded = [&](double factor, Float8E8M0::Round round) {
      return Float8E8M0::from_float(static_cast<float>(value * factor), true, round).bits;
    };
    EXPECT_EQ(rounded(1.25, Float8E8M0::Round::kUp), code + 1);
    EXPECT_EQ(rounded(1.75, Float8E8M0::Round::kDown), code);
    EXPECT_EQ(rounded(1.25, Float8E8M0::Round::kNearest), code);
    EXPECT_EQ(rounded(1.5, Float8E8M0::Round::kNearest), code + 1);
  }
  Float8E8M0 nan;
  nan.bits = 0xff;
  EXPECT_TRUE(std::isnan(static_cast<float>(nan)));
}

TEST(SmallFloat, E8M0OutOfRange) {
  using R = Float8E8M0::Round;
  EXPECT_EQ(Float8E8M0::from_float(0.f, true, R::kUp).bits, 0);
  EXPECT_EQ(Float8E8M0::from_float(0.f, false, R::kNearest).bits, 0xff);
  EXPECT_EQ(Float8E8M0::from_float(kInf, true, R::kUp).bits, 0xfe);
  EXPECT_EQ(Float8E8M0::from_float(kInf, false, R::kNearest).bits, 0xff);
  EXPECT_EQ(Float8E8M0::from_float(3e38f, true, R::kUp).bits, 0xfe);
  EXPECT_EQ(Float8E8M0::from_float(3e38f, false, R::kNearest).bits, 0xff);
  EXPECT_EQ(Float8E8M0::from_float(1e-40f, true, R::kUp).bits, 0);
  EXPECT_EQ(Float8E8M0::from_float(1e-40f, false, R::kNearest).bits, 0xff);
  EXPECT_EQ(Float8E8M0::from_float(kNan, true, R::kUp).bits, 0xff);
}

}  // namespace
}  // namespace tenon
