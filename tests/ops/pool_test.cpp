// Pooling and normalisation against loops written out here.
#include "ops/pool.h"

#include <cmath>
#include <limits>
#include <random>

#include "ops/batch_normalization.h"
#include "ops/conv.h"
#include "ops/lrn.h"
#include "ops/reorder.h"
#include "tests/support/evaluate.h"

namespace tenon {
namespace {

using namespace test;
using Kind = ops::Pool::Kind;

std::vector<float> random(int64_t n) {
  std::mt19937 gen(7);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = (static_cast<int>(gen() % 129) - 64) / 8.0f;
  return v;
}

/// One plane of h x w.
std::vector<double> reference(const ops::Pool& op, const std::vector<float>& x, int64_t planes, int64_t h, int64_t w, int64_t oh,
                              int64_t ow) {
  std::vector<double> y;
  const auto& k = op.window.kernel_shape;
  const auto pad = [&](int i) { return op.window.pads.empty() ? 0 : op.window.pads[i]; };
  for (int64_t n = 0; n < planes; ++n) {
    for (int64_t oy = 0; oy < oh; ++oy) {
      for (int64_t ox = 0; ox < ow; ++ox) {
        double best = -std::numeric_limits<double>::infinity(), sum = 0, power = 0;
        int real = 0, padded = 0;
        for (int64_t ky = 0; ky < k[0]; ++ky) {
          for (int64_t kx = 0; kx < k[1]; ++kx) {
            const int64_t iy = oy * op.window.stride(0) - pad(0) + ky * op.window.dilation(0);
            const int64_t ix = ox * op.window.stride(1) - pad(1) + kx * op.window.dilation(1);
            if (iy < h + pad(2) && ix < w + pad(3)) ++padded;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            const double v = x[static_cast<size_t>((n * h + iy) * w + ix)];
            ++real;
            best = std::max(best, v);
            sum += v;
            power += std::pow(std::abs(v), static_cast<double>(op.p));
          }
        }
        y.push_back(op.kind == Kind::kMax       ? best
                    : op.kind == Kind::kAverage ? sum / (op.count_include_pad ? padded : real)
                                                : std::pow(power, 1.0 / static_cast<double>(op.p)));
      }
    }
  }
  return y;
}

void check(ops::Pool op, int64_t h, int64_t w, int64_t oh, int64_t ow) {
  const int64_t n = 2, c = 11;
  const auto x = random(n * c * h * w);
  const auto want = reference(op, x, n * c, h, w, oh, ow);
  const Tensor input = Tensor::of<float>({n, c, h, w}, x);
  const auto y = run(op, {input});
  ASSERT_EQ(y[0].dims(), (Dims{n, c, oh, ow}));
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(y[0].as<float>()[i], want[i], 1e-4 * (1 + std::abs(want[i]))) << i;
  // float64
  const auto wide = run(op, {Tensor::of<double>({n, c, h, w}, std::vector<double>(x.begin(), x.end()))});
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(wide[0].as<double>()[i], want[i], 1e-10 * (1 + std::abs(want[i]))) << i;
}

TEST(Pool, WindowsOfEveryKind) {
  for (const Kind kind : {Kind::kMax, Kind::kAverage, Kind::kLp}) {
    for (const bool include : {false, true}) {
      ops::Pool op;
      op.kind = kind;
      op.count_include_pad = include;
      op.window.kernel_shape = {3, 2};
      check(op, 6, 7, 4, 6);
      op.window.strides = {2, 3};
      check(op, 6, 7, 2, 2);
      op.window.pads = {1, 0, 1, 1};
      check(op, 6, 7, 3, 3);
      op.window.ceil_mode = true;
      check(op, 6, 7, 4, 3);
      op.window.dilations = {2, 3};
      op.window.ceil_mode = false;
      check(op, 6, 7, 2, 2);
      op.p = 3;
      check(op, 6, 7, 2, 2);
    }
  }
}
TEST(Pool, CeilModeDropsWindowsBeyondTheInput) {
  ops::Pool op;
  op.kind = ops::Pool::Kind::kMax;
  op.window.kernel_shape = {1, 1};
  op.window.strides = {2, 2};
  op.window.ceil_mode = true;
  check(op, 2, 4, 1, 2);
}
TEST(Pool, IndicesInBothOrders) {
  const Tensor x = Tensor::of<float>({1, 2, 2, 3}, {1, 5, 2, 7, 3, 5, 0, 0, 0, 0, 0, 4});
  ops::Pool op;
  op.kind = ops::Pool::Kind::kMax;
  op.window.kernel_shape = {2, 2};
  auto y = run(op, {x}, 2);
  EXPECT_EQ(values<float>(y[0]), (std::vector<float>{7, 5, 0, 4}));
  EXPECT_EQ(values<int64_t>(y[1]), (std::vector<int64_t>{3, 1, 6, 11}));
  op.column_major = true;
  y = run(op, {x}, 2);
  EXPECT_EQ(values<int64_t>(y[1]), (std::vector<int64_t>{1, 2, 6, 11}));
}
TEST(Pool, SmallIntegersAndNan) {
  ops::Pool op;
  op.kind = ops::Pool::Kind::kMax;
  op.window.kernel_shape = {2};
  EXPECT_EQ(values<int8_t>(run(op, {Tensor::of<int8_t>({1, 1, 4}, {-128, -127, 5, -1})})[0]), (std::vector<int8_t>{-127, 5, 5}));
  EXPECT_EQ(values<uint8_t>(run(op, {Tensor::of<uint8_t>({1, 1, 3}, {255, 0, 1})})[0]), (std::vector<uint8_t>{255, 1}));
  const float nan = std::nanf("");
  const auto y = values<float>(run(op, {Tensor::of<float>({1, 1, 4}, {1, nan, 2, 3})})[0]);
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  EXPECT_EQ(y[2], 3);
}
TEST(Pool, RefusesWhatCannotBe) {
  const Tensor x = Tensor::of<float>({1, 1, 4, 4}, std::vector<float>(16));
  ops::Pool op;
  op.kind = ops::Pool::Kind::kMax;
  op.window.kernel_shape = {0, 0};
  expect_failure(failure(op, {x}), Code::kShape, {"kernel_shape", "0"});
  op.window.kernel_shape = {5, 5};
  expect_failure(failure(op, {x}), Code::kShape, {"kernel_shape", "5"});
  op.window.kernel_shape = {};
  expect_failure(failure(op, {x}), Code::kShape, {"kernel_shape"});
  op.window.kernel_shape = {2};
  expect_failure(failure(op, {x}), Code::kShape, {"kernel_shape"});
  op.window.kernel_shape = {2, 2};
  op.window.strides = {0, 1};
  expect_failure(failure(op, {x}), Code::kShape, {"strides"});
}

TEST(GlobalPool, EveryKind) {
  const int64_t pixels = 15;
  const auto x = random(2 * 3 * pixels);
  const Tensor input = Tensor::of<float>({2, 3, 3, 5}, x);
  for (const Kind kind : {Kind::kMax, Kind::kAverage, Kind::kLp}) {
    const auto y = run(ops::GlobalPool{kind, 3}, {input});
    ASSERT_EQ(y[0].dims(), (Dims{2, 3, 1, 1}));
    for (int64_t i = 0; i < 6; ++i) {
      double best = -1e30, sum = 0, power = 0;
      for (int64_t k = 0; k < pixels; ++k) {
        const double v = x[static_cast<size_t>(i * pixels + k)];
        best = std::max(best, v);
        sum += v;
        power += std::pow(std::abs(v), 3.0);
      }
      EXPECT_NEAR(y[0].as<float>()[i], kind == Kind::kMax ? best : kind == Kind::kAverage ? sum / pixels : std::cbrt(power), 1e-4);
    }
  }
}

TEST(Lrn, MatchesItsDefinition) {
  const int64_t channels = 6;
  const auto x = random(channels * 2);
  for (const int64_t size : {1, 2, 3, 5}) {
    for (const float beta : {0.75f, 0.5f}) {
      const auto y = run(ops::Lrn{size, 0.1f, beta, 2.0f}, {Tensor::of<float>({1, channels, 2}, x)});
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t i = 0; i < 2; ++i) {
          double sum = 0;
          for (int64_t k = std::max<int64_t>(0, c - (size - 1) / 2); k <= std::min(channels - 1, c + (size - 1) - (size - 1) / 2); ++k) {
            sum += std::pow(x[static_cast<size_t>(k * 2 + i)], 2.0);
          }
          EXPECT_NEAR(y[0].as<float>()[c * 2 + i],
                      x[static_cast<size_t>(c * 2 + i)] / std::pow(2.0 + 0.1 / static_cast<double>(size) * sum, beta), 1e-5);
        }
      }
    }
  }
}

TEST(BatchNormalization, Inference) {
  const auto x = random(2 * 3 * 4);
  const std::vector<float> scale{1, 2, -0.5f}, bias{0, 1, 2}, mean{0.5f, -1, 3}, var{1, 4, 0.25f};
  const auto t = [](const std::vector<float>& v) { return Tensor::of<float>({3}, v); };
  const auto y = run(ops::BatchNormalization{}, {Tensor::of<float>({2, 3, 4}, x), t(scale), t(bias), t(mean), t(var)});
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i / 4 % 3;
    EXPECT_NEAR(y[0].as<float>()[i], (x[i] - mean[c]) / std::sqrt(var[c] + 1e-5) * scale[c] + bias[c], 1e-4);
  }
}
TEST(BatchNormalization, Training) {
  const auto x = random(2 * 1 * 3);
  const auto one = [](float v) { return Tensor::of<float>({1}, {v}); };
  ops::BatchNormalization op;
  op.training = true;
  const auto y = run(op, {Tensor::of<float>({2, 1, 3}, x), one(2), one(1), one(10), one(20)}, 3);
  double mean = 0, var = 0;
  for (const float v : x) mean += v / 6;
  for (const float v : x) var += (v - mean) * (v - mean) / 6;
  EXPECT_NEAR(y[1].as<float>()[0], 10 * 0.9 + mean * 0.1, 1e-4);
  EXPECT_NEAR(y[2].as<float>()[0], 20 * 0.9 + var * 0.1, 1e-4);
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(y[0].as<float>()[i], (x[i] - mean) / std::sqrt(var + 1e-5) * 2 + 1, 1e-4);
}
TEST(BatchNormalization, RefusesScaleOfOtherLength) {
  const auto t = [](int64_t n) { return Tensor::of<float>({n}, std::vector<float>(static_cast<size_t>(n), 1.0f)); };
  const Tensor x = Tensor::of<float>({1, 4, 2, 2}, std::vector<float>(16));
  expect_failure(failure(ops::BatchNormalization{}, {x, t(3), t(4), t(4), t(4)}), Code::kShape, {"3", "4"});
}

}  // namespace
}  // namespace tenon
