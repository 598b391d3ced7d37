#include "kernels/elementwise/unary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "support/targets.h"

namespace tenon::kernels {
namespace {

using K = UnaryKind;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Case {
  K kind;
  double (*f)(double x, double a, double b);
  float low, high;
  double ulp;
  float alpha = 0, beta = 0;
  double absolute = 0;  ///< also accepted: an error this small (results of cancelling sums)
};

double erf_gelu(double x, double, double) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double tanh_gelu(double x, double, double) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double logistic(double x, double = 0, double = 0) { return 1 / (1 + std::exp(-x)); }
double softplus(double x, double = 0, double = 0) { return x > 40 ? x : std::log1p(std::exp(x)); }

const Case kCases[] = {
    {K::kAbs, [](double x, double, double) { return std::fabs(x); }, -1e3, 1e3, 0},
    {K::kAcos, [](double x, double, double) { return std::acos(x); }, -1, 1, 3},
    {K::kAcosh, [](double x, double, double) { return std::acosh(x); }, 1, 1e4, 3},
    {K::kAsin, [](double x, double, double) { return std::asin(x); }, -1, 1, 3},
    {K::kAsinh, [](double x, double, double) { return std::asinh(x); }, -1e4, 1e4, 3},
    {K::kAtan, [](double x, double, double) { return std::atan(x); }, -1e4, 1e4, 3},
    {K::kAtanh, [](double x, double, double) { return std::atanh(x); }, -0.99f, 0.99f, 3},
    {K::kCeil, [](double x, double, double) { return std::ceil(x); }, -9, 9, 0},
    {K::kCelu, [](double x, double a, double) { return x > 0 ? x : a * std::expm1(x / a); }, -20, 20, 5, 1.5f},
    {K::kCos, [](double x, double, double) { return std::cos(x); }, -100, 100, 4, 0, 0, 1e-7},
    {K::kCos, [](double x, double, double) { return std::cos(x); }, -1e6, 1e6, 4, 0, 0, 1e-7},
    {K::kCosh, [](double x, double, double) { return std::cosh(x); }, -20, 20, 3},
    {K::kElu, [](double x, double a, double) { return x > 0 ? x : a * std::expm1(x); }, -20, 20, 5, 0.7f},
    {K::kErf, [](double x, double, double) { return std::erf(x); }, -5, 5, 8},
    {K::kExp, [](double x, double, double) { return std::exp(x); }, -86, 88, 2},
    {K::kFloor, [](double x, double, double) { return std::floor(x); }, -9, 9, 0},
    {K::kGelu, erf_gelu, -8, 8, 8, 0, 0, 1e-6},
    {K::kGeluTanh, tanh_gelu, -8, 8, 8, 0, 0, 1e-6},
    {K::kHardSigmoid, [](double x, double a, double b) { return std::fmin(1, std::fmax(0, a * x + b)); }, -5, 5, 1, 0.2f, 0.5f, 6e-8},
    {K::kHardSwish, [](double x, double, double) { return x * std::fmin(1, std::fmax(0, x / 6 + 0.5)); }, -5, 5, 3, 0, 0, 2e-7},
    {K::kLeakyRelu, [](double x, double a, double) { return x < 0 ? a * x : x; }, -5, 5, 1, 0.01f},
    {K::kLog, [](double x, double, double) { return std::log(x); }, 1e-37f, 1e4f, 5},
    {K::kLog, [](double x, double, double) { return std::log(x); }, 1e-44f, 1e-38f, 5},
    {K::kMish, [](double x, double, double) { return x * std::tanh(softplus(x)); }, -20, 30, 6},
    {K::kNeg, [](double x, double, double) { return -x; }, -5, 5, 0},
    {K::kReciprocal, [](double x, double, double) { return 1 / x; }, -5, 5, 1},
    {K::kRelu, [](double x, double, double) { return x > 0 ? x : 0; }, -5, 5, 0},
    {K::kRound, [](double x, double, double) { return std::nearbyint(x); }, -5, 5, 0},
    {K::kSelu, [](double x, double a, double b) { return b * (x > 0 ? x : a * std::expm1(x)); }, -20, 20, 6, 1.6732632f, 1.050701f},
    {K::kShrink, [](double x, double a, double b) { return x < -a  ? x + b
                                                           : x > a ? x - b
                                                                   : 0; }, -5, 5, 1, 1.5f, 0.25f},
    {K::kSigmoid, logistic, -80, 80, 4},
    {K::kSign, [](double x, double, double) { return double((x > 0) - (x < 0)); }, -5, 5, 0},
    {K::kSin, [](double x, double, double) { return std::sin(x); }, -100, 100, 4, 0, 0, 1e-7},
    {K::kSin, [](double x, double, double) { return std::sin(x); }, -1e6, 1e6, 4, 0, 0, 1e-7},
    {K::kSinh, [](double x, double, double) { return std::sinh(x); }, -20, 20, 3},
    {K::kSoftplus, softplus, -80, 80, 6},
    {K::kSoftsign, [](double x, double, double) { return x / (1 + std::fabs(x)); }, -5, 5, 2},
    {K::kSqrt, [](double x, double, double) { return std::sqrt(x); }, 0, 5, 1},
    {K::kSwish, [](double x, double a, double) { return x * logistic(a * x); }, -40, 40, 30, 1.7f, 0, 1e-12},
    {K::kTan, [](double x, double, double) { return std::tan(x); }, -1, 1, 3},
    {K::kTanh, [](double x, double, double) { return std::tanh(x); }, -12, 12, 7},
    {K::kTanh, [](double x, double, double) { return std::tanh(x); }, -0.01f, 0.01f, 4},
    {K::kThresholdedRelu, [](double x, double a, double) { return x > a ? x : 0; }, -5, 5, 0, 0.6f},
};

void run(const UnaryParams& p, const void* src, void* dst) {
  const Kernel<UnaryParams>* chosen = nullptr;
  Kernel<UnaryParams> kernel = nullptr;
  for (const auto& row : unary) {
    if (!row.refuse(p)) {
      kernel = row.pointer();
      chosen = &kernel;
      break;
    }
  }
  ASSERT_NE(chosen, nullptr);
  Fault fault;
  Call call;
  call.src = &src;
  call.dst = &dst;
  call.fault = &fault;
  const int64_t parts = (p.count + p.chunk - 1) / p.chunk;
  for (int64_t i = 0; i < parts; ++i) kernel(p, call, {i, i + 1});
}

double ulps(float got, double expected, double absolute) {
  if (std::isnan(expected)) return std::isnan(got) ? 0 : INFINITY;
  const auto want = static_cast<float>(expected);
  if (got == want) return 0;
  if (std::isinf(want) || std::isinf(got)) return INFINITY;
  if (std::fabs(got - expected) <= absolute) return 0;
  const double step = std::fmax(std::nextafter(std::fabs(want), kInf) - std::fabs(want), 1e-45);
  return std::fabs(got - expected) / step;
}

TEST(Unary, MatchesDoubleReferenceOnEveryTarget) {
  std::mt19937 random(7);
  for (const Case& c : kCases) {
    SCOPED_TRACE(static_cast<int>(c.kind));
    std::vector<float> x(20003), y(x.size());
    std::uniform_real_distribution<float> values(c.low, c.high);
    for (float& v : x) v = values(random);
    test::for_each_target([&] {
      UnaryParams p{c.kind, DType::kFloat32, c.alpha, c.beta, static_cast<int64_t>(x.size()), 1024};
      run(p, x.data(), y.data());
      double worst = 0;
      float at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double e = ulps(y[i], c.f(x[i], c.alpha, c.beta), c.absolute);
        if (!(e <= worst)) worst = e, at = x[i];
      }
      EXPECT_LE(worst, c.ulp) << "at " << at;
      std::vector<float> in_place = x;
      run(p, in_place.data(), in_place.data());
      EXPECT_EQ(std::memcmp(in_place.data(), y.data(), y.size() * 4), 0);
    });
  }
}

TEST(Unary, EveryLengthAndNoWritePastTheEnd) {
  for (int64_t n = 0; n <= 40; ++n) {
    test::for_each_target([&] {
      std::vector<float> x(static_cast<size_t>(n)), y(static_cast<size_t>(n) + 8, 77.0f);
      for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(i) - 20;
      run({K::kTanh, DType::kFloat32, 0, 0, n, 64}, x.data(), y.data());
      for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y[i], std::tanh(x[i]), 1e-6);
      for (size_t i = n; i < y.size(); ++i) EXPECT_EQ(y[i], 77.0f);
    });
  }
}

/// An element's bits depend on itself alone: not on its neighbours, on how work is cut, or on where buffers begin.
TEST(Unary, ElementsDoNotDependOnTheirNeighbours) {
  constexpr int64_t kCount = 1500;
  std::vector<float> x(kCount), alone(kCount);
  for (int64_t i = 0; i < kCount; ++i) x[i] = (i % 53 == 3 ? 1e5f : 0.01f) * static_cast<float>(i - 700);
  test::for_each_target([&] {
    for (const K kind : {K::kSin, K::kCos, K::kTanh, K::kLog, K::kAbs, K::kExp, K::kSigmoid}) {
      run({kind, DType::kFloat32, 0, 0, kCount, 1}, x.data(), alone.data());
      for (const int64_t shift : {0, 1, 4, 15}) {
        std::vector<float> moved(kCount + shift + 1, 77.0f);
        std::copy_n(x.data(), kCount, moved.data() + shift);
        run({kind, DType::kFloat32, 0, 0, kCount, kCount}, moved.data() + shift, moved.data() + shift);
        EXPECT_EQ(std::memcmp(moved.data() + shift, alone.data(), kCount * sizeof(float)), 0) << "kind " << int(kind) << " shift " << shift;
        EXPECT_EQ(moved[kCount + shift], 77.0f);
      }
    }
  });
}

TEST(Unary, SpecialValues) {
  struct Special {
    K kind;
    float x, y, alpha = 0, beta = 0;
  };
  const Special specials[] = {
      // clang-format off
      {K::kExp, kInf, kInf}, {K::kExp, -kInf, 0}, {K::kExp, 89, kInf}, {K::kExp, -110, 0}, {K::kExp, 0, 1},
      {K::kExp, -100, std::exp(-100.0f)}, {K::kExp, 88.5f, std::exp(88.5f)}, {K::kExp, -87.5f, std::exp(-87.5f)},
      {K::kLog, 0, -kInf}, {K::kLog, -1, kNaN}, {K::kLog, kInf, kInf}, {K::kLog, -0.0f, -kInf},
      {K::kLog, 1, 0}, {K::kLog, -kInf, kNaN}, {K::kTanh, kInf, 1}, {K::kTanh, -kInf, -1}, {K::kTanh, 0, 0}, {K::kErf, kInf, 1},
      {K::kErf, -kInf, -1}, {K::kSigmoid, kInf, 1}, {K::kSigmoid, -kInf, 0}, {K::kSigmoid, 0, 0.5f}, {K::kRelu, -kInf, 0},
      {K::kRelu, kInf, kInf}, {K::kSoftplus, kInf, kInf}, {K::kSoftplus, -kInf, 0}, {K::kSqrt, -1, kNaN}, {K::kReciprocal, 0, kInf},
      {K::kSin, kInf, kNaN}, {K::kRound, 2.5f, 2}, {K::kRound, 3.5f, 4}, {K::kRound, -0.5f, 0}, {K::kGelu, kInf, kInf},
      {K::kGeluTanh, kInf, kInf}, {K::kElu, -kInf, -1, 1}, {K::kElu, kInf, kInf, 1}, {K::kMish, kInf, kInf},
      {K::kHardSigmoid, kInf, 1, 0.2f, 0.5f}, {K::kAbs, -0.0f, 0}, {K::kSign, 0, 0}, {K::kSwish, kInf, kInf, 1},
      // clang-format on
  };
  test::for_each_target([&] {
    for (const Special& s : specials) {
      // In every lane of a vector, and alone in a tail.
      std::vector<float> x(17, s.x), y(17);
      run({s.kind, DType::kFloat32, s.alpha, s.beta, 17, 64}, x.data(), y.data());
      for (const float v : y) {
        if (std::isnan(s.y)) {
          EXPECT_TRUE(std::isnan(v)) << int(s.kind) << " " << s.x;
        } else if (std::isinf(s.y) || s.y == 0) {
          EXPECT_EQ(v, s.y) << int(s.kind) << " " << s.x;
        } else {
          EXPECT_FLOAT_EQ(v, s.y) << int(s.kind) << " " << s.x;
        }
      }
    }
    for (int k = 0; k < kUnaryKinds; ++k) {
      const K kind = static_cast<K>(k);
      if (!unary_tile(kind) || kind == K::kShrink || kind == K::kThresholdedRelu) continue;
      std::vector<float> x(17, kNaN), y(17);
      run({kind, DType::kFloat32, 1, 1, 17, 64}, x.data(), y.data());
      for (const float v : y) EXPECT_TRUE(std::isnan(v)) << "kind " << k;
      // Any NaN, wherever among numbers; of a tile that is done several vectors at a time too.
      x.assign(67, 1), y.assign(67, 0);
      const uint32_t bits[] = {0x7FC00001, 0xFFFFFFFF, 0xFFC00000};
      for (size_t i = 0; i < 3; ++i) std::memcpy(&x[i * 31], &bits[i], sizeof(float));
      run({kind, DType::kFloat32, 1, 1, 67, 128}, x.data(), y.data());
      for (size_t i = 0; i < 67; ++i) EXPECT_EQ(std::isnan(y[i]), i % 31 == 0 && i < 93) << "kind " << k << " at " << i;
    }
  });
}

TEST(Unary, OtherFloatsAgreeWithFloat32) {
  std::mt19937 random(3);
  test::for_each_target([&] {
    for (const Case& c : kCases) {
      SCOPED_TRACE(static_cast<int>(c.kind));
      std::uniform_real_distribution<float> values(std::fmax(c.low, -1000), std::fmin(c.high, 1000));
      if (c.low > -1e-30f && c.high < 1e-30f && c.high > 0) continue;
      std::vector<Float16> h(1031), hy(h.size());
      std::vector<BFloat16> b(1031), by(b.size());
      std::vector<double> d(1031), dy(d.size());
      for (size_t i = 0; i < h.size(); ++i) {
        const float v = values(random);
        h[i] = Float16(v), b[i] = BFloat16(v), d[i] = v;
      }
      const auto n = static_cast<int64_t>(h.size());
      run({c.kind, DType::kFloat16, c.alpha, c.beta, n, 256}, h.data(), hy.data());
      run({c.kind, DType::kBFloat16, c.alpha, c.beta, n, 256}, b.data(), by.data());
      run({c.kind, DType::kFloat64, c.alpha, c.beta, n, 256}, d.data(), dy.data());
      for (size_t i = 0; i < h.size(); ++i) {
        const double eh = c.f(float(h[i]), c.alpha, c.beta), eb = c.f(float(b[i]), c.alpha, c.beta), ed = c.f(d[i], c.alpha, c.beta);
        const double gh = float(hy[i]), gb = float(by[i]);
        if (std::isfinite(eh) && std::fabs(eh) < 65000) {
          EXPECT_NEAR(gh, eh, std::fabs(eh) * 1e-3 + 1e-6) << float(h[i]);
        }
        if (std::isfinite(eb)) {
          EXPECT_NEAR(gb, eb, std::fabs(eb) * 8e-3 + 1e-6) << float(b[i]);
        }
        EXPECT_NEAR(dy[i], ed, std::fabs(ed) * 1e-12 + 1e-12) << d[i];
      }
    }
  });
}

template <class T>
void check_integers(K kind, const std::vector<T>& x, const std::vector<T>& expected) {
  std::vector<T> y(x.size());
  run({kind, dtype_of<T>, 0, 0, static_cast<int64_t>(x.size()), 2}, x.data(), y.data());
  EXPECT_EQ(y, expected) << "kind " << int(kind);
}

TEST(Unary, Integers) {
  check_integers<int8_t>(K::kAbs, {-128, -5, 0, 7}, {-128, 5, 0, 7});
  check_integers<int64_t>(K::kNeg, {INT64_MIN, 1, 0}, {INT64_MIN, -1, 0});
  check_integers<int32_t>(K::kSign, {INT32_MIN, 0, 9}, {-1, 0, 1});
  check_integers<uint16_t>(K::kSign, {0, 65535}, {0, 1});
  check_integers<int16_t>(K::kRelu, {-3, 0, 3}, {0, 0, 3});
  check_integers<uint8_t>(K::kBitwiseNot, {0, 0xf0}, {255, 0x0f});
  check_integers<uint64_t>(K::kAbs, {UINT64_MAX}, {UINT64_MAX});
}

TEST(Unary, BoolResults) {
  const std::vector<float> x{kInf, -kInf, kNaN, 1};
  bool y[4];
  run({K::kIsNaN, DType::kFloat32, 0, 0, 4, 64}, x.data(), y);
  EXPECT_TRUE(!y[0] && !y[1] && y[2] && !y[3]);
  run({K::kIsInf, DType::kFloat32, 1, 1, 4, 64}, x.data(), y);
  EXPECT_TRUE(y[0] && y[1] && !y[2] && !y[3]);
  run({K::kIsInf, DType::kFloat32, 1, 0, 4, 64}, x.data(), y);
  EXPECT_TRUE(!y[0] && y[1]);
  run({K::kIsInf, DType::kFloat32, 0, 1, 4, 64}, x.data(), y);
  EXPECT_TRUE(y[0] && !y[1]);
  const bool b[2] = {true, false};
  run({K::kNot, DType::kBool, 0, 0, 2, 64}, b, y);
  EXPECT_TRUE(!y[0] && y[1]);
}

}  // namespace
}  // namespace tenon::kernels
