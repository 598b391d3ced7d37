#include "ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using test::refusal;
using test::run1;
using test::values;
using K = ops::Softmax::Kind;

std::vector<double> reference(K kind, int64_t outer, int64_t n, int64_t inner, const std::vector<double>& x) {
  std::vector<double> y(x.size());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t c = 0; c < inner; ++c) {
      const auto at = [&](int64_t i) { return (o * n + i) * inner + c; };
      int64_t best = 0;
      double sum = 0;
      for (int64_t i = 0; i < n; ++i)
        if (x[at(i)] > x[at(best)]) best = i;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(x[at(i)] - x[at(best)]);
      for (int64_t i = 0; i < n; ++i) {
        const double shifted = x[at(i)] - x[at(best)];
        y[at(i)] = kind == K::kSoftmax ? std::exp(shifted) / sum : kind == K::kLogSoftmax ? shifted - std::log(sum) : i == best;
      }
    }
  return y;
}

TEST(Softmax, MatchesReferenceOnEveryTarget) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> numbers(-9, 9);
  const Dims shapes[] = {{1, 1, 1},  {3, 5, 1},  {4, 1000, 1}, {2, 7, 3},   {2, 33, 17}, {1, 4, 200}, {5, 16, 64},
                         {70, 2, 1}, {1, 31, 1}, {3, 16, 1},   {3, 17, 1},  {2, 32, 1},  {2, 47, 1},  {2, 50, 1},
                         {3, 64, 1}, {3, 65, 1}, {9, 10, 1},   {2, 127, 1}, {2, 128, 1}, {2, 129, 1}};
  for (const Dims& s : shapes) {
    std::vector<float> x(s[0] * s[1] * s[2]);
    for (float& v : x) v = numbers(random);
    const std::vector<double> xd(x.begin(), x.end());
    std::vector<Float16> xh;
    for (const float v : x) xh.push_back(Float16(v));
    test::for_each_target([&] {
      for (const K kind : {K::kSoftmax, K::kLogSoftmax, K::kHardmax}) {
        const auto expected = reference(kind, s[0], s[1], s[2], xd);
        const Tensor y = run1(ops::Softmax{kind, 1}, {Tensor::of(s, x)});
        const Tensor yd = run1(ops::Softmax{kind, -2}, {Tensor::of(s, xd)});
        const Tensor yh = run1(ops::Softmax{kind, 1}, {Tensor::of(s, xh)});
        for (size_t i = 0; i < x.size(); ++i) {
          EXPECT_NEAR(y.as<float>()[i], expected[i], std::fabs(expected[i]) * 2e-6 + 4e-7);
          EXPECT_NEAR(yd.as<double>()[i], expected[i], std::fabs(expected[i]) * 1e-13 + 1e-14);
          EXPECT_NEAR(float(yh.as<Float16>()[i]), expected[i], std::fabs(expected[i]) * 1e-2 + (kind == K::kHardmax ? 1.1 : 1e-3));
        }
      }
    });
  }
}

TEST(Softmax, FlattenTakesAllAxesFromTheAxisOn) {
  const Tensor x = Tensor::of<float>({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto expected = reference(K::kSoftmax, 2, 4, 1, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto y = values<float>(run1(ops::Softmax{K::kSoftmax, 1, true}, {x}));
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-6);
}

TEST(Softmax, LargeLogitsDoNotOverflow) {
  test::for_each_target([] {
    const auto y = values<float>(run1(ops::Softmax{}, {Tensor::of<float>({3}, {1e4f, 1e4f, -1e4f})}));
    EXPECT_FLOAT_EQ(y[0], 0.5f);
    EXPECT_EQ(y[2], 0);
    const auto z = values<float>(run1(ops::Softmax{K::kLogSoftmax}, {Tensor::of<float>({3}, {1e4f, 1e4f, -1e4f})}));
    EXPECT_FLOAT_EQ(z[2], -20000.693f);
  });
}

template <class T>
void masked_and_nan_rows() {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  test::for_each_target([&] {
    for (const Dims& dims : {Dims{3, 3}, Dims{3, 3, 1}}) {
      const auto y = values<T>(run1(ops::Softmax{K::kSoftmax, 1}, {Tensor::of<T>(dims, {0, -inf, 0, -inf, -inf, -inf, 1, nan, 2})}));
      EXPECT_FLOAT_EQ(y[0], 0.5f);
      EXPECT_EQ(y[1], 0);
      for (int i = 3; i < 9; ++i) EXPECT_TRUE(std::isnan(y[i])) << i;
    }
    const auto column = values<T>(run1(ops::Softmax{K::kSoftmax, 0}, {Tensor::of<T>({3, 2}, {0, nan, -inf, 1, 0, 2})}));
    EXPECT_FLOAT_EQ(column[0], 0.5f);
    EXPECT_TRUE(std::isnan(column[1]) && std::isnan(column[3]) && std::isnan(column[5]));
  });
}
TEST(Softmax, MaskedAndNanRows) {
  masked_and_nan_rows<float>();
  masked_and_nan_rows<double>();
}

template <class T>
void hardmax_takes_the_first() {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  test::for_each_target([&] {
    for (const int64_t n : {1, 3, 16, 37}) {
      for (int64_t first = 0; first < n; ++first) {
        for (const T most : {T(5), inf, nan, T(-1), -inf}) {  // of a row of -2, or of -inf alone
          std::vector<T> x(static_cast<size_t>(2 * n), most == -inf ? most : T(-2));
          for (int64_t i = first; i < n; i += 4) x[static_cast<size_t>(n + i)] = most;
          if (most != most && first > 0) x[static_cast<size_t>(n)] = inf;
          const auto y = values<T>(run1(ops::Softmax{K::kHardmax, 1}, {Tensor::of<T>({2, n}, x)}));
          const int64_t at = most == -inf ? 0 : first;
          for (int64_t i = 0; i < 2 * n; ++i)
            ASSERT_EQ(y[static_cast<size_t>(i)], i == 0 || i == n + at ? 1 : 0) << n << " " << first << " " << most;
        }
      }
    }
  });
}
TEST(Softmax, HardmaxTakesTheFirstOfTheLargest) {
  hardmax_takes_the_first<float>();
  hardmax_takes_the_first<double>();
}

TEST(Softmax, EmptyAndScalar) {
  EXPECT_EQ(run1(ops::Softmax{}, {Tensor::of<float>({2, 0}, {})}).dims(), (Dims{2, 0}));
  EXPECT_EQ(run1(ops::Softmax{K::kSoftmax, 0}, {Tensor::of<float>({0, 2}, {})}).dims(), (Dims{0, 2}));
  EXPECT_EQ(values<float>(run1(ops::Softmax{}, {Tensor::scalar(3.0f)})), (std::vector<float>{1}));
  EXPECT_EQ(refusal(ops::Softmax{K::kSoftmax, 2}, {Tensor::of<float>({1, 1}, {0})}).code(), Code::kShape);
  EXPECT_EQ(refusal(ops::Softmax{}, {Tensor::of<int32_t>({1}, {0})}).code(), Code::kShape);
}

}  // namespace
}  // namespace tenon
