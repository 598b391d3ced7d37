#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/group_normalization.h"
#include "ops/layer_normalization.h"
#include "ops/lp_normalization.h"
#include "ops/rms_normalization.h"
#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using test::refusal;
using test::run;
using test::run1;

template <class T>
Tensor cast(const Dims& dims, const std::vector<double>& x) {
  std::vector<T> v;
  for (const double a : x) {
    if constexpr (std::is_same_v<T, double>) v.push_back(a);
    else v.push_back(T(static_cast<float>(a)));
  }
  return Tensor::of(dims, v);
}
template <class T>
double get(const Tensor& t, size_t i) {
  if constexpr (std::is_same_v<T, double>) return t.as<double>()[i];
  else return static_cast<float>(t.as<T>()[i]);
}

std::vector<double> numbers(int64_t n, unsigned seed, double low = -2, double high = 3) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> d(low, high);
  std::vector<double> x(n);
  for (double& v : x) v = static_cast<float>(d(random));
  return x;
}

struct Row {
  double mean, inverse;
};
Row statistics(const std::vector<double>& x, int64_t first, int64_t n, bool rms, double epsilon) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < n && !rms; ++i) mean += x[first + i] / double(n);
  for (int64_t i = 0; i < n; ++i) square += (x[first + i] - mean) * (x[first + i] - mean) / double(n);
  return {mean, 1 / std::sqrt(square + epsilon)};
}

template <class T>
void check_layer(int64_t rows, int64_t n, double tolerance) {
  const auto x = numbers(rows * n, 1), scale = numbers(n, 2), bias = numbers(n, 3);
  test::for_each_target([&] {
    const auto out = run(ops::LayerNormalization{-1, 1e-3f}, {cast<T>({rows, n}, x), cast<T>({n}, scale), cast<T>({n}, bias)}, 3);
    const Tensor no_bias = run1(ops::LayerNormalization{-1, 1e-3f}, {cast<T>({rows, n}, x), cast<T>({n}, scale)});
    const Tensor rms = run1(ops::RMSNormalization{-1, 1e-3f}, {cast<T>({rows, n}, x), cast<T>({n}, scale)});
    const Tensor alone = run1(ops::LayerNormalization{-1, 1e-3f}, {cast<T>({rows, n}, x), cast<T>({n}, scale), cast<T>({n}, bias)});
    ASSERT_EQ(out[1].dims(), (Dims{rows, 1}));
    for (int64_t r = 0; r < rows; ++r) {
      const Row s = statistics(x, r * n, n, false, 1e-3), q = statistics(x, r * n, n, true, 1e-3);
      EXPECT_NEAR(out[1].template as<float>()[r], s.mean, 1e-2 * tolerance + 1e-6);
      EXPECT_NEAR(out[2].template as<float>()[r], s.inverse, s.inverse * 1e-2 * tolerance + 1e-6);
      for (int64_t i = 0; i < n; ++i) {
        const double centred = (x[r * n + i] - s.mean) * s.inverse * scale[i];
        EXPECT_NEAR(get<T>(out[0], r * n + i), centred + bias[i], tolerance);
        EXPECT_NEAR(get<T>(alone, r * n + i), centred + bias[i], tolerance);
        EXPECT_NEAR(get<T>(no_bias, r * n + i), centred, tolerance);
        EXPECT_NEAR(get<T>(rms, r * n + i), x[r * n + i] * q.inverse * scale[i], tolerance);
      }
    }
  });
}

TEST(LayerNormalization, MatchesReferenceOnEveryTarget) {
  for (const int64_t n : {1, 3, 16, 31, 768, 1031}) check_layer<float>(5, n, 4e-6);
  check_layer<double>(3, 31, 1e-6);
  check_layer<Float16>(3, 100, 3e-2);
  check_layer<BFloat16>(3, 100, 2e-1);
}

TEST(LayerNormalization, ScaleBroadcastsAndAxisCounts) {
  const auto x = numbers(2 * 3 * 4, 4);
  const Tensor xt = cast<float>({2, 3, 4}, x);
  // A scalar scale, a scale over only the last of two normalised axes, one with a 1 inside.
  const std::vector<std::pair<Dims, std::vector<double>>> scales = {
      {{}, {2}}, {{4}, numbers(4, 5)}, {{3, 1}, numbers(3, 6)}, {{3, 4}, numbers(12, 7)}};
  for (const auto& [dims, s] : scales) {
    const Tensor y = run1(ops::LayerNormalization{1, 1e-5f}, {xt, cast<float>(dims, s), cast<float>(dims, s)});
    for (int64_t i = 0; i < 24; ++i) {
      const Row r = statistics(x, i / 12 * 12, 12, false, 1e-5);
      const int64_t row = i % 12 / 4, column = i % 4;
      const double k = dims.empty() ? s[0] : dims.size() == 1 ? s[column] : dims[1] == 1 ? s[row] : s[row * 4 + column];
      EXPECT_NEAR(y.as<float>()[i], (x[i] - r.mean) * r.inverse * k + k, 4e-6);
    }
  }
  EXPECT_EQ(refusal(ops::LayerNormalization{}, {xt, cast<float>({5}, numbers(5, 1))}).code(), Code::kShape);
  EXPECT_EQ(refusal(ops::LayerNormalization{3}, {xt, cast<float>({4}, numbers(4, 1))}).code(), Code::kShape);
  EXPECT_EQ(run1(ops::LayerNormalization{}, {Tensor::of<float>({0, 4}, {}), cast<float>({4}, numbers(4, 1))}).dims(), (Dims{0, 4}));
}

TEST(LayerNormalization, LargeMeanKeepsItsAccuracy) {
  std::vector<double> x(512);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 10000 + double(i % 7);
  const Row s = statistics(x, 0, 512, false, 1e-5);
  test::for_each_target([&] {
    const Tensor y = run1(ops::LayerNormalization{}, {cast<float>({1, 512}, x), cast<float>({512}, std::vector<double>(512, 1))});
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y.as<float>()[i], (x[i] - s.mean) * s.inverse, 1e-3);
  });
}

TEST(RMSNormalization, ScaleOfAnotherDtypeDecidesTheResult) {
  const auto x = numbers(8, 8);
  const Tensor y = run1(ops::RMSNormalization{}, {cast<Float16>({2, 4}, x), cast<float>({4}, {1, 1, 1, 1})});
  EXPECT_EQ(y.dtype(), DType::kFloat32);
  const Row r = statistics(x, 0, 4, true, 1e-5);
  EXPECT_NEAR(y.as<float>()[1], x[1] * r.inverse, 1e-2);
}

template <class T>
void check_group(int64_t groups, bool per_group, const Dims& dims, double tolerance) {
  int64_t inner = 1;
  for (size_t i = 2; i < dims.size(); ++i) inner *= dims[i];
  const int64_t members = dims[1] / (groups ? groups : dims[1]), n = members * inner, scales = per_group ? groups : dims[1];
  const auto x = numbers(dims[0] * dims[1] * inner, 21), scale = numbers(scales, 22), bias = numbers(scales, 23);
  test::for_each_target([&] {
    const Tensor y =
        run1(ops::GroupNormalization{groups, 1e-3f, per_group}, {cast<T>(dims, x), cast<T>({scales}, scale), cast<T>({scales}, bias)});
    for (int64_t i = 0; i < int64_t(x.size()); ++i) {
      const Row s = statistics(x, i / n * n, n, false, 1e-3);
      const int64_t channel = i / inner % dims[1], at = per_group ? channel / members : channel;
      EXPECT_NEAR(get<T>(y, i), (x[i] - s.mean) * s.inverse * scale[at] + bias[at], tolerance);
    }
  });
}

TEST(GroupNormalization, GroupsAndInstances) {
  check_group<float>(2, false, {2, 6, 3, 5}, 1e-5);
  check_group<float>(3, true, {2, 6, 17}, 1e-5);
  check_group<float>(0, false, {2, 3, 40}, 1e-5);
  check_group<float>(1, false, {2, 3}, 1e-5);
  check_group<double>(2, false, {1, 4, 9}, 1e-6);
  check_group<BFloat16>(0, false, {1, 4, 9}, 2e-1);
  const Tensor x = cast<float>({1, 4, 2}, numbers(8, 1)), c = cast<float>({4}, numbers(4, 1)), d = cast<float>({3}, numbers(3, 1));
  EXPECT_EQ(refusal(ops::GroupNormalization{3}, {x, c, c}).code(), Code::kShape);
  EXPECT_EQ(refusal(ops::GroupNormalization{2}, {x, d, c}).code(), Code::kShape);
}

TEST(LpNormalization, NormsAndZeros) {
  const Tensor x = Tensor::of<float>({2, 2}, {3, 4, 0, 0});
  EXPECT_EQ(test::values<float>(run1(ops::LpNormalization{-1, 2}, {x})), (std::vector<float>{0.6f, 0.8f, 0, 0}));
  EXPECT_EQ(test::values<float>(run1(ops::LpNormalization{-1, 1}, {Tensor::of<float>({1, 2}, {3, -1})})),
            (std::vector<float>{0.75f, -0.25f}));
  EXPECT_EQ(test::values<float>(run1(ops::LpNormalization{0, 2}, {x})), (std::vector<float>{1, 1, 0, 0}));
  EXPECT_EQ(refusal(ops::LpNormalization{0, 3}, {x}).code(), Code::kShape);
}

}  // namespace
}  // namespace tenon
