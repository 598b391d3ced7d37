// The vector functions of float64 against the C library's in long double, in units of the last place.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/unary.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

using K = UnaryKind;
using Wide = long double;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Case {
  K kind;
  Wide (*f)(Wide x, Wide a, Wide b);
  double low, high;
  double ulp;
  float alpha = 0, beta = 0;
  double absolute = 0;  // also accepted: an error this small (results of cancelling sums)
};

Wide softplus(Wide x) { return x > 60 ? x : std::log1p(std::exp(x)); }
Wide sigmoid(Wide x) { return 1 / (1 + std::exp(-x)); }
Wide gelu(Wide x, Wide, Wide) { return x / 2 * std::erfc(-x / std::sqrt(Wide(2))); }
// x/2 (1 + tanh(u)) without what 1 + tanh(u) loses.
Wide tanh_gelu(Wide x, Wide, Wide) { return x * sigmoid(2 * std::sqrt(2 / std::acos(Wide(-1))) * (x + Wide(0.044715) * x * x * x)); }

const Case kCases[] = {
    {K::kAbs, [](Wide x, Wide, Wide) { return std::fabs(x); }, -1e3, 1e3, 0},
    {K::kCeil, [](Wide x, Wide, Wide) { return std::ceil(x); }, -9, 9, 0},
    {K::kCelu, [](Wide x, Wide a, Wide) { return x > 0 ? x : a * std::expm1(x / a); }, -50, 20, 4, 1.5f},
    {K::kElu, [](Wide x, Wide a, Wide) { return x > 0 ? x : a * std::expm1(x); }, -50, 20, 4, 0.7f},
    {K::kElu, [](Wide x, Wide a, Wide) { return x > 0 ? x : a * std::expm1(x); }, -1e-3, 1e-3, 3, 1},
    {K::kErf, [](Wide x, Wide, Wide) { return std::erf(x); }, -7, 7, 2},
    {K::kErf, [](Wide x, Wide, Wide) { return std::erf(x); }, -1e-5, 1e-5, 2},
    {K::kExp, [](Wide x, Wide, Wide) { return std::exp(x); }, -1, 1, 2},
    {K::kExp, [](Wide x, Wide, Wide) { return std::exp(x); }, -745, 709.7, 2},
    {K::kFloor, [](Wide x, Wide, Wide) { return std::floor(x); }, -9, 9, 0},
    {K::kGelu, gelu, -36, 8, 10},
    {K::kGelu, gelu, -2, 2, 10},
    {K::kGeluTanh, tanh_gelu, -2, 8, 10},
    {K::kGeluTanh, tanh_gelu, -8, -2, 10 + 2 * 49},  // of exponents up to 49, which are rounded
    {K::kHardSigmoid, [](Wide x, Wide a, Wide b) { return std::fmin(Wide(1), std::fmax(Wide(0), a * x + b)); }, -5, 5, 1, 0.2f, 0.5f,
     2e-16},
    {K::kHardSwish, [](Wide x, Wide, Wide) { return x * std::fmin(Wide(1), std::fmax(Wide(0), x / 6 + Wide(0.5))); }, -5, 5, 3, 0, 0,
     1e-15},
    {K::kLeakyRelu, [](Wide x, Wide a, Wide) { return x < 0 ? a * x : x; }, -5, 5, 1, 0.01f},
    {K::kLog, [](Wide x, Wide, Wide) { return std::log(x); }, 0.5, 2, 1},
    {K::kLog, [](Wide x, Wide, Wide) { return std::log(x); }, 0.999, 1.001, 1},
    {K::kLog, [](Wide x, Wide, Wide) { return std::log(x); }, 1e-300, 1e300, 1},
    {K::kLog, [](Wide x, Wide, Wide) { return std::log(x); }, 5e-324, 1e-308, 1},
    {K::kMish, [](Wide x, Wide, Wide) { return x * std::tanh(softplus(x)); }, -50, 50, 8},
    {K::kNeg, [](Wide x, Wide, Wide) { return -x; }, -5, 5, 0},
    {K::kReciprocal, [](Wide x, Wide, Wide) { return 1 / x; }, -5, 5, 1},
    {K::kRelu, [](Wide x, Wide, Wide) { return x > 0 ? x : 0; }, -5, 5, 0},
    {K::kRound, [](Wide x, Wide, Wide) { return std::nearbyint(x); }, -5, 5, 0},
    {K::kSelu, [](Wide x, Wide a, Wide b) { return b * (x > 0 ? x : a * std::expm1(x)); }, -50, 20, 5, 1.6732632f, 1.050701f},
    {K::kShrink, [](Wide x, Wide a, Wide b) { return x < -a  ? x + b
                                                     : x > a ? x - b
                                                             : 0; }, -5, 5, 1, 1.5f, 0.25f},
    {K::kSigmoid, [](Wide x, Wide, Wide) { return sigmoid(x); }, -700, 700, 4},
    {K::kSigmoid, [](Wide x, Wide, Wide) { return sigmoid(x); }, -5, 5, 4},
    {K::kSign, [](Wide x, Wide, Wide) { return Wide((x > 0) - (x < 0)); }, -5, 5, 0},
    {K::kSoftplus, [](Wide x, Wide, Wide) { return softplus(x); }, -700, 700, 4},
    {K::kSoftplus, [](Wide x, Wide, Wide) { return softplus(x); }, -5, 5, 4},
    {K::kSoftsign, [](Wide x, Wide, Wide) { return x / (1 + std::fabs(x)); }, -5, 5, 2},
    {K::kSqrt, [](Wide x, Wide, Wide) { return std::sqrt(x); }, 0, 5, 1},
    {K::kSwish, [](Wide x, Wide a, Wide) { return x * sigmoid(a * x); }, -1, 40, 5, 1.7f},
    {K::kSwish, [](Wide x, Wide a, Wide) { return x * sigmoid(a * x); }, -40, -1, 5 + 68,
     1.7f},  // of exponents up to 68, which are rounded
    {K::kTanh, [](Wide x, Wide, Wide) { return std::tanh(x); }, -25, 25, 4},
    {K::kTanh, [](Wide x, Wide, Wide) { return std::tanh(x); }, -0.01, 0.01, 4},
    {K::kThresholdedRelu, [](Wide x, Wide a, Wide) { return x > a ? x : 0; }, -5, 5, 0, 0.6f},
};

double ulps(double got, Wide expected, double absolute = 0) {
  if (std::isnan(expected)) return std::isnan(got) ? 0 : kInf;
  const auto want = static_cast<double>(expected);
  if (got == want) return 0;
  if (std::isinf(want) || std::isinf(got) || std::isnan(got)) return kInf;
  const Wide error = std::fabs(static_cast<Wide>(got) - expected);
  if (error <= absolute) return 0;
  return static_cast<double>(error / (std::nextafter(std::fabs(want), kInf) - static_cast<Wide>(std::fabs(want))));
}

void run(const UnaryParams& p, const double* x, double* y) {
  const void* src[] = {x};
  void* dst[] = {y};
  Fault fault;
  Call call{.src = src, .dst = dst, .fault = &fault};
  ASSERT_EQ(unary.begin()[2].refuse(p), nullptr);
  for (int64_t i = 0; i * p.chunk < p.count; ++i) unary.begin()[2].pointer()(p, call, {i, i + 1});
}

TEST(Float64, UnaryIsAccurateOnEveryTarget) {
  if (std::numeric_limits<Wide>::digits <= std::numeric_limits<double>::digits) GTEST_SKIP() << "long double is no wider here";
  std::mt19937 random(7);
  for (const Case& c : kCases) {
    SCOPED_TRACE(static_cast<int>(c.kind));
    std::vector<double> x(20003), y(x.size() + 8);
    std::uniform_real_distribution<double> values(c.low, c.high);
    for (double& v : x) v = values(random);
    if (c.low > 0) {  // over all powers of two
      std::uniform_real_distribution<double> exponents(std::log2(c.low), std::log2(c.high));
      for (double& v : x) v = std::exp2(exponents(random));
    }
    test::for_each_target([&] {
      std::fill(y.begin(), y.end(), 77.0);
      const UnaryParams p{c.kind, DType::kFloat64, c.alpha, c.beta, static_cast<int64_t>(x.size()), 1021};
      run(p, x.data(), y.data());
      double worst = 0, at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double e = ulps(y[i], c.f(x[i], c.alpha, c.beta), c.absolute);
        if (!(e <= worst)) worst = e, at = x[i];
      }
      EXPECT_LE(worst, c.ulp) << "at " << at;
      for (size_t i = x.size(); i < y.size(); ++i) EXPECT_EQ(y[i], 77.0) << "written past the end";
      std::vector<double> in_place = x;
      run(p, in_place.data(), in_place.data());
      EXPECT_EQ(std::memcmp(in_place.data(), y.data(), x.size() * sizeof(double)), 0);
    });
  }
}

TEST(Float64, UnarySpecialValues) {
  struct Special {
    K kind;
    double x, y;
    float alpha = 0, beta = 0;
  };
  const Special specials[] = {
      // clang-format off
      {K::kExp, kInf, kInf}, {K::kExp, -kInf, 0}, {K::kExp, 710, kInf}, {K::kExp, -746, 0}, {K::kExp, 0, 1}, {K::kExp, -1e300, 0},
      {K::kExp, 709.5, std::exp(709.5)}, {K::kExp, -740, std::exp(-740.0)}, {K::kLog, 0, -kInf}, {K::kLog, -1, kNaN}, {K::kLog, kInf, kInf},
      {K::kLog, -0.0, -kInf}, {K::kLog, 1, 0}, {K::kLog, -kInf, kNaN}, {K::kTanh, kInf, 1}, {K::kTanh, -kInf, -1}, {K::kTanh, 0, 0},
      {K::kErf, kInf, 1}, {K::kErf, -kInf, -1}, {K::kErf, 0, 0}, {K::kSigmoid, kInf, 1}, {K::kSigmoid, -kInf, 0}, {K::kSigmoid, 0, 0.5},
      {K::kRelu, -kInf, 0}, {K::kRelu, kInf, kInf}, {K::kSoftplus, kInf, kInf}, {K::kSoftplus, -kInf, 0}, {K::kSqrt, -1, kNaN},
      {K::kReciprocal, 0, kInf}, {K::kRound, 2.5, 2}, {K::kRound, 3.5, 4}, {K::kRound, -0.5, 0}, {K::kGelu, kInf, kInf},
      {K::kGeluTanh, kInf, kInf}, {K::kElu, -kInf, -1, 1}, {K::kElu, kInf, kInf, 1}, {K::kMish, kInf, kInf},
      {K::kHardSigmoid, kInf, 1, 0.2f, 0.5f}, {K::kAbs, -0.0, 0}, {K::kSign, 0, 0}, {K::kSwish, kInf, kInf, 1},
      // clang-format on
  };
  test::for_each_target([&] {
    for (const Special& s : specials) {
      const std::vector<double> x(11, s.x);  // in every lane of a vector, and in a tail
      std::vector<double> y(x.size());
      run({s.kind, DType::kFloat64, s.alpha, s.beta, 11, 64}, x.data(), y.data());
      for (const double v : y) EXPECT_LE(ulps(v, s.y), 4) << int(s.kind) << " of " << s.x << " is " << v << ", expected " << s.y;
    }
    for (int k = 0; k < kUnaryKinds; ++k) {
      const K kind = static_cast<K>(k);
      if (!has_float64_vectors(kind) || kind == K::kShrink || kind == K::kThresholdedRelu) continue;
      const std::vector<double> x(11, kNaN);
      std::vector<double> y(x.size());
      run({kind, DType::kFloat64, 1, 1, 11, 64}, x.data(), y.data());
      for (const double v : y) EXPECT_TRUE(std::isnan(v)) << "kind " << k;
    }
  });
}

void expect_powers(const std::vector<double>& a, const std::vector<double>& b, double most) {
  test::for_each_target([&] {
    std::vector<double> y(a.size() + 8, 77.0);
    pow_tile64()(a.data(), 1, b.data(), 1, y.data(), static_cast<int64_t>(a.size()));
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const double e = ulps(y[i], std::pow(static_cast<Wide>(a[i]), static_cast<Wide>(b[i])));
      if (!(e <= worst)) worst = e, at = i;
    }
    EXPECT_LE(worst, most) << a[at] << " to the power of " << b[at] << " is " << y[at];
    for (size_t i = a.size(); i < y.size(); ++i) EXPECT_EQ(y[i], 77.0);
  });
}

TEST(Float64, PowersAreAccurateOnEveryTarget) {
  if (std::numeric_limits<Wide>::digits <= std::numeric_limits<double>::digits) GTEST_SKIP() << "long double is no wider here";
  std::mt19937 random(5);
  const auto uniform = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  const size_t n = 20003;
  std::vector<double> a(n), b(n);
  const auto fill = [&](auto base, auto exponent) {
    for (size_t i = 0; i < n; ++i) a[i] = base(), b[i] = exponent(a[i]);
  };
  fill([&] { return uniform(0.01, 10); }, [&](double) { return uniform(-5, 5); });
  expect_powers(a, b, 2);
  // Results over the whole range, subnormal and infinite ones included.
  fill([&] { return std::exp2(uniform(-1000, 1000)); }, [&](double x) { return uniform(-760, 720) / std::log(x); });
  expect_powers(a, b, 2);
  fill([&] { return uniform(0.7, 1.5); }, [&](double x) { return uniform(-740, 709) / std::log(x); });
  expect_powers(a, b, 2);
  fill([&] { return 1 + uniform(-1e-6, 1e-6); }, [&](double) { return uniform(-1e8, 1e8); });
  expect_powers(a, b, 2);
  // Negative bases: only whole exponents have a result, of either sign.
  fill([&] { return uniform(-3, 3); }, [&](double) { return std::round(uniform(-20, 20)) / (random() % 4 == 0 ? 2 : 1); });
  expect_powers(a, b, 2);
}

TEST(Float64, PowersOfSpecialValuesAreThoseOfC) {
  const double values[] = {0,    -0.0,  1,      -1,     2,       -2,     0.5,    -0.5,    3,          -3,   kInf, -kInf,
                           kNaN, 1e300, 1e-300, 5e-324, -5e-324, 0x1p53, 0x1p64, -0x1p64, 0x1p53 + 2, 1e22, -7,   0.1};
  test::for_each_target([&] {
    for (const double a : values) {
      for (const double b : values) {
        const double want = std::pow(a, b);
        // Both steps that a tile may be called with, whole vectors and a tail, and in company of plain numbers.
        std::vector<double> as(11, a), bs(11, b), y(11);
        pow_tile64()(as.data(), 1, bs.data(), 0, y.data(), 11);
        for (const double v : y) EXPECT_LE(ulps(v, want), 1) << a << " " << b << " " << v;
        as[3] = bs[3] = 1.5;
        pow_tile64()(as.data(), 1, bs.data(), 1, y.data(), 11);
        for (size_t i = 0; i < y.size(); ++i) {
          EXPECT_LE(i == 3 ? 0 : ulps(y[i], want), 1) << a << " " << b << " " << y[i];
        }
      }
    }
  });
}

/// Special values beside plain ones, on any tile: an element's bits depend on itself alone.
TEST(Float64, PowersDoNotDependOnTheirNeighbours) {
  constexpr size_t kCount = 203;
  std::mt19937 random(3);
  std::uniform_real_distribution<double> bases(0.01, 10), exponents(-5, 5);
  std::vector<double> a(kCount), b(kCount), alone(kCount);
  for (size_t i = 0; i < kCount; ++i)
    a[i] = i % 7 == 2 ? 0 : i % 11 == 3 ? kInf : bases(random), b[i] = i % 13 == 5 ? kNaN : exponents(random);
  test::for_each_target([&] {
    for (const int64_t step : {0, 1}) {
      for (size_t i = 0; i < kCount; ++i) pow_tile64()(&a[i], 1, &b[step == 0 ? 0 : i], step, &alone[i], 1);
      for (const size_t first : {0, 1, 2, 3, 5, 8}) {
        std::vector<double> y(a.begin() + static_cast<int64_t>(first), a.end());
        pow_tile64()(y.data(), 1, b.data() + (step == 0 ? 0 : first), step, y.data(), static_cast<int64_t>(y.size()));
        EXPECT_EQ(std::memcmp(y.data(), alone.data() + first, y.size() * sizeof(double)), 0) << first << " " << step;
      }
    }
  });
}

TEST(Float64, PowTakesExponentsOfEveryType) {
  BinaryParams p{
      .kind = BinaryKind::kPow, .dtype = DType::kFloat64, .exponent_dtype = DType::kInt64, .count = 1000, .chunk = 600, .shape = {}};
  p.shape.dims[0] = p.count;
  p.shape.strides[0][0] = 1;
  std::vector<double> a(1000), y(1000);
  std::vector<int64_t> b(1000);
  for (size_t i = 0; i < a.size(); ++i) a[i] = 0.01 * static_cast<double>(i) - 5, b[i] = static_cast<int64_t>(i % 7) - 2;
  const void* src[] = {a.data(), b.data()};
  void* dst[] = {y.data()};
  Fault fault;
  Call call{.src = src, .dst = dst, .fault = &fault};
  for (const int64_t step : {0, 1}) {
    p.shape.strides[1][0] = step;
    for (const auto& row : binary) {
      if (row.refuse(p) == nullptr) row.pointer()(p, call, {0, 2});
    }
    for (size_t i = 0; i < y.size(); ++i) {
      const double want = std::pow(a[i], static_cast<double>(b[step == 0 ? 0 : i]));
      EXPECT_LE(ulps(y[i], want), 2) << a[i];
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
