#include "kernels/elementwise/binary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "kernels/elementwise/broadcast.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

using K = BinaryKind;
using Shape = std::vector<int64_t>;

int64_t count(const Shape& s) {
  int64_t n = 1;
  for (const int64_t d : s) n *= d;
  return n;
}
Shape broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 1; i <= out.size(); ++i) {
    const int64_t x = i <= a.size() ? a[a.size() - i] : 1, y = i <= b.size() ? b[b.size() - i] : 1;
    out[out.size() - i] = x == 1 ? y : x;
  }
  return out;
}
/// The operand's element for flat output element `i`: the definition of broadcasting.
int64_t source(const Shape& out, const Shape& s, int64_t i) {
  int64_t at = 0, step = 1;
  for (size_t back = 1; back <= out.size(); ++back) {
    const int64_t dim = out[out.size() - back], own = back <= s.size() ? s[s.size() - back] : 1;
    if (own != 1) at += i % dim * step;
    step *= own;
    i /= dim;
  }
  return at;
}

int32_t run(K kind, DType dtype, DType exponent, const Shape& sa, const Shape& sb, const void* a, const void* b, void* dst,
            int64_t chunk = 0) {
  const Shape out = broadcast(sa, sb);
  BinaryParams p;
  p.kind = kind, p.dtype = dtype, p.exponent_dtype = exponent, p.count = count(out);
  // Small parts for small shapes, so that parts begin in the middle of rows.
  p.chunk = chunk = chunk ? chunk : p.count < 500 ? 7 : 599;
  EXPECT_TRUE(make_broadcast_shape<2>(out, {std::span<const int64_t>(sa), std::span<const int64_t>(sb)}, p.shape));
  const void* src[] = {a, b};
  Fault fault;
  Call call;
  call.src = src;
  call.dst = &dst;
  call.fault = &fault;
  for (const auto& row : binary) {
    if (row.refuse(p)) continue;
    for (int64_t i = 0; i * chunk < p.count; ++i) row.pointer()(p, call, {i, i + 1});
    return fault.kind;
  }
  ADD_FAILURE() << "no row";
  return -1;
}

const std::pair<Shape, Shape> kShapes[] = {
    // clang-format off
    {{}, {}}, {{5}, {5}}, {{5}, {1}}, {{1}, {37}}, {{}, {3, 4}}, {{3, 17}, {17}}, {{3, 17}, {3, 1}}, {{2, 3, 1, 1}, {2, 3, 4, 5}},
    {{2, 3, 4, 5}, {1, 3, 1, 1}}, {{4, 1}, {1, 19}}, {{2, 1, 3, 1, 2}, {1, 4, 1, 5, 1}}, {{0, 3}, {3}}, {{2, 0}, {1, 1}},
    {{2, 1, 2, 1, 2, 1, 2, 1}, {1, 2, 1, 2, 1, 2, 1, 2}}, {{1, 1, 1}, {4}}, {{64, 3}, {3}}, {{2, 33}, {2, 33}}, {{700, 3}, {700, 1}},
    {{5}, {2, 90, 5}}, {{2, 90, 1}, {2, 90, 5}}, {{2, 90, 5}, {2, 1, 5}}, {{9, 1}, {3, 9, 4}},
    // clang-format on
};

TEST(Binary, Float32BroadcastsOnEveryTarget) {
  const std::pair<K, double (*)(double, double)> kinds[] = {{K::kAdd, [](double a, double b) { return a + b; }},
                                                            {K::kSub, [](double a, double b) { return a - b; }},
                                                            {K::kMul, [](double a, double b) { return a * b; }},
                                                            {K::kDiv, [](double a, double b) { return a / b; }},
                                                            {K::kMax, [](double a, double b) { return std::fmax(a, b); }},
                                                            {K::kMin, [](double a, double b) { return std::fmin(a, b); }},
                                                            {K::kFmod, [](double a, double b) { return std::fmod(a, b); }},
                                                            {K::kMod, [](double a, double b) { return a - b * std::floor(a / b); }},
                                                            {K::kPRelu, [](double a, double b) { return a < 0 ? a * b : a; }},
                                                            {K::kPow, [](double a, double b) { return std::pow(a, b); }}};
  std::mt19937 random(1);
  std::uniform_real_distribution<float> values(-4, 4);
  for (const auto& [kind, f] : kinds) {
    for (const auto& [sa, sb] : kShapes) {
      const Shape out = broadcast(sa, sb);
      std::vector<float> a(count(sa) + 1), b(count(sb) + 1), y(count(out) + 1, 55.0f);
      for (float& v : a) v = kind == K::kPow ? std::fabs(values(random)) : values(random);
      for (float& v : b) v = values(random);
      test::for_each_target([&, kind = kind, f = f, sa = sa, sb = sb] {
        EXPECT_EQ(run(kind, DType::kFloat32, DType::kFloat32, sa, sb, a.data(), b.data(), y.data()), Fault::kNone);
        for (int64_t i = 0; i < count(out); ++i) {
          const double expected = f(a[source(out, sa, i)], b[source(out, sb, i)]);
          EXPECT_NEAR(y[i], expected, std::fabs(expected) * 3e-7 + (kind == K::kMod ? 1e-6 : 0))
              << "kind " << int(kind) << " element " << i;
        }
        EXPECT_EQ(y[count(out)], 55.0f);
      });
    }
  }
}

TEST(Binary, PowExponentsWithShortcuts) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{-inf, -8, -1.5f, -0.0f, 0, 0.3f, 2, 100, inf};
  std::vector<float> y(x.size());
  test::for_each_target([&] {
    for (const float e : {2.0f, 3.0f, 0.5f, -1.0f, 1.0f, 0.0f, 2.5f, -2.0f}) {
      run(K::kPow, DType::kFloat32, DType::kFloat32, {9}, {}, x.data(), &e, y.data(), 64);
      for (size_t i = 0; i < x.size(); ++i) {
        const float expected = std::pow(x[i], e);
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(y[i])) << x[i] << "^" << e;
        } else {
          EXPECT_FLOAT_EQ(y[i], expected) << x[i] << "^" << e;
        }
      }
    }
  });
}

TEST(Binary, PowOfAllMagnitudes) {
  const float inf = std::numeric_limits<float>::infinity();
  std::mt19937 random(4);
  std::uniform_real_distribution<double> unit(0, 1);
  constexpr int64_t kCount = 4096;
  std::vector<float> a(kCount), b(kCount), y(kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    const double u = unit(random), v = unit(random) - 0.5;
    switch (i % 4) {
      case 0: a[i] = static_cast<float>(std::exp2(277 * u - 149)), b[i] = static_cast<float>(v * 2); break;  // any base, subnormal too
      case 1: a[i] = static_cast<float>(1 + (u - 0.5) / 1000), b[i] = static_cast<float>(v * 1e5); break;    // logarithms near 0
      case 2: a[i] = static_cast<float>(std::exp2(8 * u - 4)), b[i] = static_cast<float>(v * 120); break;    // overflow, subnormal powers
      default: a[i] = static_cast<float>(std::floor(1 + 20 * u)), b[i] = static_cast<float>(std::floor(v * 9)); break;
    }
  }
  test::for_each_target([&] {
    run(K::kPow, DType::kFloat32, DType::kFloat32, {kCount}, {kCount}, a.data(), b.data(), y.data(), 500);
    for (int64_t i = 0; i < kCount; ++i) {
      const double expected = std::pow(static_cast<double>(a[i]), static_cast<double>(b[i]));
      const auto rounded = static_cast<float>(expected);
      if (y[i] == rounded) continue;
      const double step = static_cast<double>(std::nextafter(rounded, inf)) - rounded;
      EXPECT_LE(std::fabs(y[i] - expected), 0.51 * step) << a[i] << "^" << b[i] << " is " << y[i];
    }
  });
}

float from_bits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
uint32_t to_bits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
bool same_bits(float a, float b) { return std::isnan(a) ? std::isnan(b) : to_bits(a) == to_bits(b); }

float floor_mod(float a, float b) {
  const float r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/// Pairs that a remainder can go wrong on: quotients of every size, just below and above whole numbers, and what is not a number.
std::pair<std::vector<float>, std::vector<float>> remainder_pairs() {
  std::vector<float> a, b;
  const auto add = [&](float x, float y) { a.push_back(x), b.push_back(y); };
  std::vector<float> special;
  for (const uint32_t bits : {0u, 1u, 0x7fffffu, 0x800000u, 0x0c800000u, 0x0cffffffu, 0x33333333u, 0x3f7fffffu, 0x3f800000u, 0x3f800001u,
                              0x40490fdbu, 0x4b800000u, 0x4b800001u, 0x7f7fffffu, 0x7f800000u, 0x7fc00000u}) {
    special.push_back(from_bits(bits));
    special.push_back(from_bits(bits | 0x80000000u));
  }
  for (const float x : special)
    for (const float y : special) add(x, y);
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) add(from_bits(random()), from_bits(random()));
  for (int i = 0; i < 20000; ++i) {  // quotients below 2^40
    const float y = std::ldexp(1.0f + static_cast<float>(random() & 0x7fffff) * 0x1p-23f, static_cast<int>(random() % 60) - 30);
    const float x = std::ldexp(y, static_cast<int>(random() % 41)) * (1.0f + static_cast<float>(random() & 0x7fffff) * 0x1p-23f);
    add(random() & 1 ? x : -x, random() & 1 ? y : -y);
  }
  for (int i = 0; i < 20000; ++i) {  // about a whole number, and half way between two
    const float y = 0.1f + static_cast<float>(random() % 1000) * 0.37f;
    const float x = y * (static_cast<float>(random() >> (8 + random() % 20)) + (random() & 1 ? 0.5f : 0.0f));
    add(x, y), add(std::nextafter(x, 0.0f), -y), add(std::nextafter(-x, -1e30f), y);
  }
  return {a, b};
}

TEST(Binary, RemaindersAreExact) {
  const auto [a, b] = remainder_pairs();
  const int64_t n = static_cast<int64_t>(a.size());
  std::vector<float> y(a.size());
  test::for_each_target([&, &a = a, &b = b] {
    for (const K kind : {K::kFmod, K::kMod}) {
      run(kind, DType::kFloat32, DType::kFloat32, {n}, {n}, a.data(), b.data(), y.data(), 4096);
      for (int64_t i = 0; i < n; ++i) {
        const float expected = kind == K::kFmod ? std::fmod(a[i], b[i]) : floor_mod(a[i], b[i]);
        ASSERT_TRUE(same_bits(y[i], expected)) << a[i] << " mod " << b[i] << " kind " << int(kind) << ": " << y[i] << ", not " << expected;
      }
    }
  });
}

/// Runs flush subnormal numbers. There, too, a remainder is what the C library makes of it.
TEST(Binary, RemaindersAreExactWhereSubnormalsAreFlushed) {
  const auto [a, b] = remainder_pairs();
  const int64_t n = static_cast<int64_t>(a.size());
  std::vector<float> y(a.size());
  test::for_each_target([&, &a = a, &b = b] {
    const DenormalGuard guard;
    run(K::kFmod, DType::kFloat32, DType::kFloat32, {n}, {n}, a.data(), b.data(), y.data(), 4096);
    for (int64_t i = 0; i < n; ++i) ASSERT_TRUE(same_bits(y[i], std::fmod(a[i], b[i]))) << a[i] << " mod " << b[i] << ": " << y[i];
  });
}

TEST(Binary, RemainderOfRepeatedOperands) {
  std::vector<float> many(1003), y(1003);
  for (int i = 0; i < 1003; ++i) many[i] = static_cast<float>(i - 500) * 0.7f;
  const float one = 6.5f;
  test::for_each_target([&] {
    for (const int64_t chunk : {int64_t{7}, int64_t{1003}}) {
      run(K::kFmod, DType::kFloat32, DType::kFloat32, {1003}, {}, many.data(), &one, y.data(), chunk);
      for (int i = 0; i < 1003; ++i) ASSERT_TRUE(same_bits(y[i], std::fmod(many[i], one))) << i;
      run(K::kMod, DType::kFloat32, DType::kFloat32, {}, {1003}, &one, many.data(), y.data(), chunk);
      for (int i = 0; i < 1003; ++i) ASSERT_TRUE(same_bits(y[i], floor_mod(one, many[i]))) << i;
    }
  });
}

/// An element's bits depend on itself alone: not on its neighbours, on how work is cut, or on where buffers begin.
TEST(Binary, ElementsDoNotDependOnTheirNeighbours) {
  const float inf = std::numeric_limits<float>::infinity();
  std::mt19937 random(9);
  std::uniform_real_distribution<float> values(0.01f, 30);
  constexpr int64_t kCount = 1500, kMost = 17;
  std::vector<float> a(kCount + kMost), b(kCount + kMost), y(kCount + kMost);
  test::for_each_target([&] {
    for (const K kind : {K::kPow, K::kFmod, K::kMod, K::kAdd, K::kMax}) {
      for (int64_t i = 0; i < kCount; ++i) {
        a[i] = i % 37 == 5 ? -values(random) : i % 91 == 7 ? inf : values(random);
        b[i] = values(random) / 10;
      }
      std::vector<float> alone(kCount);
      run(kind, DType::kFloat32, DType::kFloat32, {kCount}, {kCount}, a.data(), b.data(), alone.data(), 1);
      for (const int64_t shift : {0, 1, 4, 15, 17}) {
        std::vector<float> sa(kCount + shift), sb(kCount + shift);
        std::copy_n(a.data(), kCount, sa.data() + shift);
        std::copy_n(b.data(), kCount, sb.data() + shift);
        run(kind, DType::kFloat32, DType::kFloat32, {kCount}, {kCount}, sa.data() + shift, sb.data() + shift, y.data() + shift, kCount);
        for (int64_t i = 0; i < kCount; ++i) ASSERT_TRUE(same_bits(y[i + shift], alone[i])) << "kind " << int(kind) << " element " << i;
        // In place, in either operand's memory.
        run(kind, DType::kFloat32, DType::kFloat32, {kCount}, {kCount}, sa.data() + shift, sb.data() + shift, sb.data() + shift, kCount);
        for (int64_t i = 0; i < kCount; ++i) ASSERT_TRUE(same_bits(sb[i + shift], alone[i])) << "kind " << int(kind) << " element " << i;
        std::copy_n(b.data(), kCount, sb.data() + shift);
        run(kind, DType::kFloat32, DType::kFloat32, {kCount}, {kCount}, sa.data() + shift, sb.data() + shift, sa.data() + shift, kCount);
        for (int64_t i = 0; i < kCount; ++i) ASSERT_TRUE(same_bits(sa[i + shift], alone[i])) << "kind " << int(kind) << " element " << i;
      }
    }
  });
}

TEST(Binary, NanWinsMaxAndMin) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> a{nan, 1, 2}, b{1, nan, 3};
  std::vector<float> y(3);
  test::for_each_target([&] {
    for (const K kind : {K::kMax, K::kMin}) {
      run(kind, DType::kFloat32, DType::kFloat32, {3}, {3}, a.data(), b.data(), y.data());
      EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
      EXPECT_EQ(y[2], kind == K::kMax ? 3 : 2);
    }
  });
}

TEST(Binary, HalfMatchesFloat) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> values(0.5f, 4);
  const Shape sa{3, 700}, sb{700};
  std::vector<Float16> a(2100), b(700), y(2100);
  std::vector<BFloat16> ba(2100), bb(700), by(2100);
  for (size_t i = 0; i < a.size(); ++i) ba[i] = BFloat16(float(a[i] = Float16(values(random))));
  for (size_t i = 0; i < b.size(); ++i) bb[i] = BFloat16(float(b[i] = Float16(values(random))));
  test::for_each_target([&] {
    run(K::kDiv, DType::kFloat16, DType::kFloat16, sa, sb, a.data(), b.data(), y.data(), 600);
    run(K::kDiv, DType::kBFloat16, DType::kBFloat16, sa, sb, ba.data(), bb.data(), by.data(), 600);
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(y[i].bits, Float16(float(a[i]) / float(b[i % 700])).bits);
      EXPECT_EQ(by[i].bits, BFloat16(float(ba[i]) / float(bb[i % 700])).bits);
    }
  });
}

TEST(Binary, HalfRepeatsEitherOperand) {
  std::vector<Float16> one{Float16(2.5f)}, many(40), y(40);
  for (int i = 0; i < 40; ++i) many[i] = Float16(0.25f + 0.125f * static_cast<float>(i));
  test::for_each_target([&] {
    for (const K kind : {K::kPow, K::kFmod, K::kSub}) {
      const auto f = [&](float a, float b) { return kind == K::kPow ? std::pow(a, b) : kind == K::kFmod ? std::fmod(a, b) : a - b; };
      run(kind, DType::kFloat16, DType::kFloat16, {1}, {40}, one.data(), many.data(), y.data(), 64);
      for (int i = 0; i < 40; ++i) EXPECT_EQ(y[i].bits, Float16(f(2.5f, float(many[i]))).bits) << i;
      run(kind, DType::kFloat16, DType::kFloat16, {40}, {1}, many.data(), one.data(), y.data(), 64);
      for (int i = 0; i < 40; ++i) EXPECT_EQ(y[i].bits, Float16(f(float(many[i]), 2.5f)).bits) << i;
    }
  });
}

template <class T>
std::vector<T> integers(K kind, std::vector<T> a, std::vector<T> b, int32_t fault = Fault::kNone) {
  std::vector<T> y(a.size());
  EXPECT_EQ(run(kind, dtype_of<T>, dtype_of<T>, {int64_t(a.size())}, {int64_t(b.size())}, a.data(), b.data(), y.data()), fault);
  return y;
}
template <class T>
using V = std::vector<T>;

TEST(Binary, IntegersWrapAndDivideAsNumpyDoes) {
  EXPECT_EQ(integers<int64_t>(K::kDiv, {INT64_MIN, 7, -7}, {-1, 2, 2}), (V<int64_t>{INT64_MIN, 3, -3}));
  EXPECT_EQ(integers<int8_t>(K::kDiv, {-128, 7}, {-1, -2}), (V<int8_t>{-128, -3}));
  EXPECT_EQ(integers<int32_t>(K::kMod, {-7, 7, -7, 7, INT32_MIN}, {3, -3, -3, 3, -1}), (V<int32_t>{2, -2, -1, 1, 0}));
  EXPECT_EQ(integers<int32_t>(K::kFmod, {-7, 7, -7}, {3, -3, -3}), (V<int32_t>{-1, 1, -1}));
  EXPECT_EQ(integers<uint8_t>(K::kAdd, {250, 1}, {10, 1}), (V<uint8_t>{4, 2}));
  EXPECT_EQ(integers<uint16_t>(K::kMul, {65535, 3}, {65535, 3}), (V<uint16_t>{1, 9}));
  EXPECT_EQ(integers<int64_t>(K::kSub, {INT64_MIN}, {1}), (V<int64_t>{INT64_MAX}));
  EXPECT_EQ(integers<int16_t>(K::kMax, {-3, 4}, {2, 1}), (V<int16_t>{2, 4}));
  EXPECT_EQ(integers<uint32_t>(K::kMin, {3, UINT32_MAX}, {2, 7}), (V<uint32_t>{2, 7}));
  EXPECT_EQ(integers<int32_t>(K::kPRelu, {-3, 4}, {5, 5}), (V<int32_t>{-15, 4}));
  EXPECT_EQ(integers<uint8_t>(K::kShiftLeft, {1, 255, 1}, {3, 1, 8}), (V<uint8_t>{8, 254, 0}));
  EXPECT_EQ(integers<int32_t>(K::kShiftRight, {-8, 8, -8}, {1, 1, 40}), (V<int32_t>{-4, 4, -1}));
  EXPECT_EQ(integers<uint64_t>(K::kBitwiseXor, {12, 1}, {10, 1}), (V<uint64_t>{6, 0}));
  EXPECT_EQ(integers<int64_t>(K::kPow, {2, -3, 10}, {10, 3, 0}), (V<int64_t>{1024, -27, 1}));
}

TEST(Binary, IntegerDivisionByZeroIsReported) {
  integers<int32_t>(K::kDiv, {1, 2}, {1, 0}, Fault::kDivisionByZero);
  integers<uint64_t>(K::kMod, {1}, {0}, Fault::kDivisionByZero);
  integers<int8_t>(K::kFmod, {1}, {0}, Fault::kDivisionByZero);
}

/// Many numbers by one, as C++ divides: every pair of bytes, and of larger types numbers near powers of two and others.
template <class T>
void check_division() {
  std::vector<T> numbers;
  if constexpr (sizeof(T) == 1) {
    for (int i = 0; i < 256; ++i) numbers.push_back(static_cast<T>(i));
  } else {
    std::mt19937_64 random(6);
    for (size_t bit = 0; bit < sizeof(T) * 8; ++bit) {
      const auto power = static_cast<T>(uint64_t{1} << bit), any = static_cast<T>(random() >> (63 - bit));
      for (const T x : {power, any}) {
        for (const int off : {-1, 0, 1}) {
          numbers.push_back(static_cast<T>(static_cast<uint64_t>(x) + static_cast<uint64_t>(off)));
          numbers.push_back(static_cast<T>(0 - static_cast<uint64_t>(numbers.back())));
        }
      }
    }
  }
  const auto count = static_cast<int64_t>(numbers.size());
  std::vector<T> y(numbers.size());
  for (const T b : numbers) {
    if (b == 0) continue;
    for (const K kind : {K::kDiv, K::kMod, K::kFmod}) {
      EXPECT_EQ(run(kind, dtype_of<T>, dtype_of<T>, {count}, {1}, numbers.data(), &b, y.data(), count), Fault::kNone);
      for (size_t i = 0; i < numbers.size(); ++i) {
        const T a = numbers[i];
        const bool wraps = std::is_signed_v<T> && b == static_cast<T>(-1);
        const T quotient = wraps ? static_cast<T>(0 - static_cast<uint64_t>(a)) : static_cast<T>(a / b);
        T rest = wraps ? T(0) : static_cast<T>(a % b);
        if (kind == K::kMod && rest != 0 && (rest < 0) != (b < 0)) rest = static_cast<T>(rest + b);
        ASSERT_EQ(y[i], kind == K::kDiv ? quotient : rest) << +a << " by " << +b << ", kind " << int(kind);
      }
    }
  }
  const T zero = 0;
  for (const K kind : {K::kDiv, K::kMod, K::kFmod}) {
    EXPECT_EQ(run(kind, dtype_of<T>, dtype_of<T>, {count}, {1}, numbers.data(), &zero, y.data(), count), Fault::kDivisionByZero);
  }
}
TEST(Binary, ManyIntegersByOne) {
  check_division<int8_t>();
  check_division<uint8_t>();
  check_division<int16_t>();
  check_division<uint16_t>();
  check_division<int32_t>();
  check_division<uint32_t>();
  check_division<int64_t>();
  check_division<uint64_t>();
}

TEST(Binary, PowOfMixedTypes) {
  const int32_t base[] = {4, 9, -2};
  const float exponent[] = {0.5f, 0.5f, 3.0f};
  int32_t y[3];
  run(K::kPow, DType::kInt32, DType::kFloat32, {3}, {3}, base, exponent, y);
  EXPECT_EQ(V<int32_t>(y, y + 3), (V<int32_t>{2, 3, -8}));
  const float x[] = {1.5f, -2};
  const int64_t e = 2;
  float z[2];
  run(K::kPow, DType::kFloat32, DType::kInt64, {2}, {}, x, &e, z);
  EXPECT_EQ(z[0], 2.25f);
  EXPECT_EQ(z[1], 4.0f);
}

TEST(Binary, Comparisons) {
  const double nan = std::nan("");
  const std::vector<double> a{1, 2, 3, nan}, b{3, 2, 1, nan};
  const auto check = [&](K kind, std::vector<int> expected) {
    bool y[4];
    run(kind, DType::kFloat64, DType::kFloat64, {4}, {4}, a.data(), b.data(), y);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(int(y[i]), expected[i]) << "kind " << int(kind) << " element " << i;
  };
  check(K::kEqual, {0, 1, 0, 0});
  check(K::kGreater, {0, 0, 1, 0});
  check(K::kGreaterOrEqual, {0, 1, 1, 0});
  check(K::kLess, {1, 0, 0, 0});
  check(K::kLessOrEqual, {1, 1, 0, 0});
  const StringRef s[] = {{"ab", 2}, {"b", 1}}, t[] = {{"ab", 2}, {"c", 1}};
  bool y[4];
  run(K::kEqual, DType::kString, DType::kString, {2}, {2}, s, t, y);
  EXPECT_TRUE(y[0] && !y[1]);
  const int64_t column[] = {1, 5}, row[] = {1, 5};
  run(K::kLess, DType::kInt64, DType::kInt64, {2, 1}, {2}, column, row, y);
  EXPECT_TRUE(!y[0] && y[1] && !y[2] && !y[3]);
}

}  // namespace
}  // namespace tenon::kernels
