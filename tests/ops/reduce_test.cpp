#include "ops/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "ops/arg_reduce.h"
#include "ops/cumulative.h"
#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using test::refusal;
using test::run1;
using test::values;
using K = ops::Reduce::Kind;
constexpr double kInf = std::numeric_limits<double>::infinity();

/// The definition, in double, over the input's flat indices.
std::vector<double> reference(K kind, const Dims& dims, const std::vector<double>& x, const std::vector<bool>& reduced, Dims& out_dims) {
  out_dims.clear();
  int64_t outputs = 1;
  for (size_t i = 0; i < dims.size(); ++i) out_dims.push_back(reduced[i] ? 1 : dims[i]), outputs *= out_dims.back();
  std::vector<std::vector<double>> groups(static_cast<size_t>(outputs));
  for (size_t flat = 0; flat < x.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), at = 0, step = 1;
    for (size_t d = dims.size(); d-- > 0;) {
      const int64_t index = rest % dims[d];
      rest /= dims[d];
      if (!reduced[d]) at += index * step, step *= dims[d];
    }
    groups[at].push_back(x[flat]);
  }
  std::vector<double> y;
  for (const auto& g : groups) {
    double sum = 0, l1 = 0, square = 0, product = 1, max = -kInf, min = kInf, exps = 0;
    for (const double v : g)
      sum += v, l1 += std::fabs(v), square += v * v, product *= v, max = std::fmax(max, v), min = std::fmin(min, v), exps += std::exp(v);
    switch (kind) {
      case K::kL1: y.push_back(l1); break;
      case K::kL2: y.push_back(std::sqrt(square)); break;
      case K::kLogSum: y.push_back(std::log(sum)); break;
      case K::kLogSumExp: y.push_back(std::log(exps)); break;
      case K::kMax: y.push_back(max); break;
      case K::kMean: y.push_back(sum / static_cast<double>(g.size())); break;
      case K::kMin: y.push_back(min); break;
      case K::kProd: y.push_back(product); break;
      case K::kSum: y.push_back(sum); break;
      case K::kSumSquare: y.push_back(square); break;
    }
  }
  return y;
}

TEST(Reduce, EveryKindAxesAndTarget) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> numbers(0.2f, 1.7f);
  const std::pair<Dims, std::vector<int64_t>> cases[] = {
      // clang-format off
      {{7}, {0}},           {{3, 50}, {1}},          {{50, 3}, {0}},       {{40, 37}, {0}},        {{2, 3, 4, 5}, {1, 3}},
      {{2, 3, 4, 5}, {0, 2}}, {{2, 3, 4, 70}, {1, 2}}, {{2, 3, 4, 5}, {-1}}, {{2, 3, 4, 5}, {0, 1, 2, 3}}, {{1, 1}, {0}},
      {{3, 1, 4, 1}, {1, 3}}, {{600, 9}, {0}},       {{2, 2, 2, 2, 2, 2, 2, 2}, {0, 2, 4, 6}}, {{5, 8, 16, 3}, {2}}, {{2, 3000}, {1}},
      {{37, 2}, {1}}, {{37, 4}, {1}}, {{37, 5}, {1}}, {{37, 8}, {1}}, {{37, 16}, {1}}, {{37, 32}, {1}},
      // clang-format on
  };
  for (const auto& [dims, axes] : cases) {
    int64_t n = 1;
    for (const int64_t d : dims) n *= d;
    std::vector<float> x(n);
    for (float& v : x) v = numbers(random);
    const std::vector<double> xd(x.begin(), x.end());
    std::vector<bool> reduced(dims.size());
    for (const int64_t a : axes) reduced[a < 0 ? a + dims.size() : a] = true;
    test::for_each_target([&, dims = dims, axes = axes] {
      for (int k = 0; k < kernels::kReduceKinds; ++k) {
        const K kind = static_cast<K>(k);
        Dims out_dims;
        const auto expected = reference(kind, dims, xd, reduced, out_dims);
        const Tensor axes_tensor = Tensor::of<int64_t>({int64_t(axes.size())}, axes);
        const Tensor y = run1(ops::Reduce{kind}, {Tensor::of(dims, x), axes_tensor});
        EXPECT_EQ(y.dims(), out_dims);
        const Tensor yd = run1(ops::Reduce{kind}, {Tensor::of(dims, xd), axes_tensor});
        ASSERT_EQ(y.count(), int64_t(expected.size()));
        for (size_t i = 0; i < expected.size(); ++i) {
          EXPECT_NEAR(y.as<float>()[i], expected[i], std::fabs(expected[i]) * 2e-6 + 2e-6)
              << ops::name_of(kind) << " of " << str(dims) << " at " << i;
          EXPECT_NEAR(yd.as<double>()[i], expected[i], std::fabs(expected[i]) * 1e-12 + 1e-12) << ops::name_of(kind);
        }
        const Tensor flat = run1(ops::Reduce{kind, false}, {Tensor::of(dims, x), axes_tensor});
        EXPECT_EQ(flat.rank(), int(dims.size() - axes.size()));
        EXPECT_EQ(values<float>(flat), values<float>(y));
      }
    });
  }
}

TEST(Reduce, NoAxesMeansAllUnlessNoop) {
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(values<float>(run1(ops::Reduce{K::kSum}, {x})), (std::vector<float>{10}));
  EXPECT_EQ(run1(ops::Reduce{K::kSum, false}, {x}).dims(), Dims{});
  const Tensor none = Tensor::of<int64_t>({0}, {});
  EXPECT_EQ(values<float>(run1(ops::Reduce{K::kSum, true, false}, {x, none})), (std::vector<float>{10}));
  EXPECT_EQ(values<float>(run1(ops::Reduce{K::kSumSquare, true, true}, {x, none})), (std::vector<float>{1, 4, 9, 16}));
  EXPECT_EQ(values<float>(run1(ops::Reduce{K::kSum, true, true}, {x})), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Reduce, EmptySets) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Dims& dims : {Dims{2, 0}, Dims{0, 2}}) {
    const Tensor x = Tensor::of<float>(dims, {});
    const Tensor axis = Tensor::of<int64_t>({1}, {dims[0] == 2 ? 1 : 0});
    const auto all = [&](K kind) { return values<float>(run1(ops::Reduce{kind, false}, {x, axis})); };
    EXPECT_EQ(all(K::kSum), (std::vector<float>{0, 0}));
    EXPECT_EQ(all(K::kL1), (std::vector<float>{0, 0}));
    EXPECT_EQ(all(K::kL2), (std::vector<float>{0, 0}));
    EXPECT_EQ(all(K::kProd), (std::vector<float>{1, 1}));
    EXPECT_EQ(all(K::kMax), (std::vector<float>{-inf, -inf}));
    EXPECT_EQ(all(K::kMin), (std::vector<float>{inf, inf}));
    EXPECT_EQ(all(K::kLogSum), (std::vector<float>{-inf, -inf}));
    EXPECT_EQ(all(K::kLogSumExp), (std::vector<float>{-inf, -inf}));
    EXPECT_TRUE(std::isnan(all(K::kMean)[0]));
  }
  const Tensor integers = Tensor::of<int32_t>({2, 0}, {});
  const Tensor axis = Tensor::of<int64_t>({1}, {1});
  EXPECT_EQ(values<int32_t>(run1(ops::Reduce{K::kMax}, {integers, axis})), (std::vector<int32_t>{INT32_MIN, INT32_MIN}));
  EXPECT_EQ(values<int32_t>(run1(ops::Reduce{K::kMin}, {integers, axis})), (std::vector<int32_t>{INT32_MAX, INT32_MAX}));
  // Nothing to give: an empty result.
  EXPECT_EQ(run1(ops::Reduce{K::kSum, false}, {Tensor::of<float>({2, 0}, {}), Tensor::of<int64_t>({1}, {0})}).dims(), Dims{0});
}

TEST(Reduce, OtherDtypes) {
  const Tensor axis = Tensor::of<int64_t>({1}, {0});
  EXPECT_EQ(values<int64_t>(run1(ops::Reduce{K::kProd}, {Tensor::of<int64_t>({3}, {3037000500, 3037000500, 7}), axis}))[0],
            static_cast<int64_t>(3037000500ull * 3037000500ull * 7ull));
  EXPECT_EQ(values<int32_t>(run1(ops::Reduce{K::kMean}, {Tensor::of<int32_t>({2}, {-1, -2}), axis}))[0], -1);
  EXPECT_EQ(values<uint8_t>(run1(ops::Reduce{K::kMax}, {Tensor::of<uint8_t>({3}, {3, 250, 9}), axis}))[0], 250);
  EXPECT_EQ(values<int8_t>(run1(ops::Reduce{K::kMin}, {Tensor::of<int8_t>({3}, {3, -120, 9}), axis}))[0], -120);
  EXPECT_EQ(values<uint64_t>(run1(ops::Reduce{K::kSum}, {Tensor::of<uint64_t>({2}, {UINT64_MAX, 2}), axis}))[0], 1u);
  const Tensor wide = Tensor::of<int32_t>({2, 3}, {1, -5, 7, 4, -9, 2}), longs = Tensor::of<int64_t>({2, 2}, {INT64_MAX, -1, 1, -4});
  const auto down = [&](K kind) { return values<int32_t>(run1(ops::Reduce{kind, false}, {wide, axis})); };
  EXPECT_EQ(down(K::kMax), (std::vector<int32_t>{4, -5, 7}));
  EXPECT_EQ(down(K::kMin), (std::vector<int32_t>{1, -9, 2}));
  EXPECT_EQ(down(K::kSum), (std::vector<int32_t>{5, -14, 9}));
  EXPECT_EQ(down(K::kMean), (std::vector<int32_t>{2, -7, 4}));
  EXPECT_EQ(values<int64_t>(run1(ops::Reduce{K::kSum, false}, {longs, axis})), (std::vector<int64_t>{INT64_MIN, -5}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto extremes = values<double>(run1(ops::Reduce{K::kMin, false}, {Tensor::of<double>({3, 2}, {1, nan, -2, 5, 3, 4}), axis}));
  EXPECT_TRUE(extremes[0] == -2 && std::isnan(extremes[1]));
  auto bools = Tensor::allocate(DType::kBool, {2, 2});
  const bool b[] = {true, false, false, false};
  for (int i = 0; i < 4; ++i) (*bools).as<bool>()[i] = b[i];
  const Tensor any = run1(ops::Reduce{K::kMax, false}, {*bools, axis});
  EXPECT_TRUE(any.as<bool>()[0] && !any.as<bool>()[1]);
  const Tensor half = Tensor::of<Float16>({3}, {Float16(1.5f), Float16(2.5f), Float16(-1)});
  EXPECT_EQ(float(run1(ops::Reduce{K::kSum}, {half, axis}).as<Float16>()[0]), 3.0f);
  EXPECT_EQ(float(run1(ops::Reduce{K::kMin}, {half, axis}).as<Float16>()[0]), -1.0f);
}

TEST(Reduce, NanAndInfinity) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  test::for_each_target([&] {
    // The second row is without NaN.
    for (const auto& [n, place] : std::vector<std::pair<int64_t, int64_t>>{
             {19, 0}, {19, 5}, {19, 18}, {301, 0}, {301, 40}, {301, 77}, {301, 200}, {301, 260}, {301, 299}, {301, 300}, {9000, 4500}}) {
      std::vector<float> x(static_cast<size_t>(2 * n), 1.0f);
      x[static_cast<size_t>(place)] = nan;
      const Tensor rows = Tensor::of({2, n}, x), columns = Tensor::of({n, 1}, std::vector<float>(x.begin(), x.begin() + n));
      for (const K kind : {K::kMax, K::kMin, K::kSum, K::kMean, K::kLogSumExp}) {
        const Tensor y = run1(ops::Reduce{kind}, {rows, Tensor::of<int64_t>({1}, {1})});
        EXPECT_TRUE(std::isnan(y.as<float>()[0])) << ops::name_of(kind) << n << " " << place;
        EXPECT_FALSE(std::isnan(y.as<float>()[1])) << ops::name_of(kind) << n << " " << place;
        EXPECT_TRUE(std::isnan(run1(ops::Reduce{kind}, {columns, Tensor::of<int64_t>({1}, {0})}).as<float>()[0])) << ops::name_of(kind);
      }
    }
    // Among many short runs.
    for (const int64_t n : {2, 4, 5, 8, 16}) {
      std::vector<float> x(static_cast<size_t>(50 * n), 1.0f);
      for (int64_t r = 0; r < 50; r += 3) x[static_cast<size_t>(r * n + r % n)] = nan;
      for (const K kind : {K::kMax, K::kMin, K::kSum, K::kProd, K::kL2}) {
        const Tensor y = run1(ops::Reduce{kind}, {Tensor::of({50, n}, x), Tensor::of<int64_t>({1}, {1})});
        for (int64_t r = 0; r < 50; ++r) EXPECT_EQ(std::isnan(y.as<float>()[r]), r % 3 == 0) << ops::name_of(kind) << " " << n << " " << r;
      }
    }
    EXPECT_EQ(run1(ops::Reduce{K::kLogSumExp}, {Tensor::of<float>({2}, {-inf, -inf})}).as<float>()[0], -inf);
    EXPECT_EQ(run1(ops::Reduce{K::kLogSumExp}, {Tensor::of<float>({2}, {inf, 1})}).as<float>()[0], inf);
    EXPECT_NEAR(run1(ops::Reduce{K::kLogSumExp}, {Tensor::of<float>({2}, {1000, 1000})}).as<float>()[0], 1000.6931f, 1e-3);
  });
}

TEST(Reduce, LogSumExpOfManyShortRuns) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  constexpr int64_t kRuns = 37, kN = 8;
  std::vector<float> x(kRuns * kN), turned(x.size());
  for (int64_t r = 0; r < kRuns; ++r) {
    for (int64_t k = 0; k < kN; ++k) {
      const float plain = static_cast<float>((r * 7 + k * 5) % 23) - 11;
      const float cases[] = {plain, -inf, k == 3 ? inf : plain, k == 6 ? nan : plain, plain + 1000, k == 2 ? plain : -inf};
      x[r * kN + k] = turned[k * kRuns + r] = cases[r % 6];
    }
  }
  test::for_each_target([&] {
    const auto rows = values<float>(run1(ops::Reduce{K::kLogSumExp, false}, {Tensor::of({kRuns, kN}, x), Tensor::of<int64_t>({1}, {1})}));
    const auto columns =
        values<float>(run1(ops::Reduce{K::kLogSumExp, false}, {Tensor::of({kN, kRuns}, turned), Tensor::of<int64_t>({1}, {0})}));
    for (int64_t r = 0; r < kRuns; ++r) {
      const float* run = x.data() + r * kN;
      const double largest = *std::max_element(run, run + kN);
      double sum = 0;
      for (int64_t k = 0; k < kN; ++k) sum += std::exp(run[k] - largest);
      const double want = std::isinf(largest) ? largest : largest + std::log(sum);
      for (const float got : {rows[r], columns[r]}) {
        if (r % 6 == 3) EXPECT_TRUE(std::isnan(got)) << r;
        else if (std::isinf(want)) EXPECT_EQ(got, want) << r;
        else EXPECT_NEAR(got, want, 1e-6 * (1 + std::fabs(want))) << r;
      }
    }
  });
}

TEST(Reduce, LongSumsStayAccurate) {
  std::vector<float> x(1000003, 0.1f);
  test::for_each_target([&] {
    EXPECT_NEAR(run1(ops::Reduce{K::kSum}, {Tensor::of({1000003}, x)}).as<float>()[0], 100000.3f, 0.1);
    EXPECT_NEAR(run1(ops::Reduce{K::kMean}, {Tensor::of({1000003, 1}, x), Tensor::of<int64_t>({1}, {0})}).as<float>()[0], 0.1f, 1e-6);
  });
}

TEST(Reduce, Inference) {
  const Types unranked{Type::unranked(DType::kFloat32)};
  EXPECT_FALSE((*infer(ops::Reduce{}, unranked))[0].ranked());
  Types x{Type::of(DType::kFloat32, Shape({Dim::symbol("batch"), 3, 4})), Type::of(DType::kInt64, Shape({1}))};
  const Tensor axes = Tensor::of<int64_t>({1}, {-1});
  EXPECT_EQ((*infer(ops::Reduce{}, x))[0].shape.rank(), 3);
  x[1].constant = &axes;
  EXPECT_EQ((*infer(ops::Reduce{}, x))[0].shape, Shape({Dim::symbol("batch"), 3, 1}));
  EXPECT_EQ((*infer(ops::Reduce{K::kSum, false}, x))[0].shape, Shape({Dim::symbol("batch"), 3}));
  const Tensor bad = Tensor::of<int64_t>({1}, {3});
  x[1].constant = &bad;
  EXPECT_EQ(infer(ops::Reduce{}, x).status().code(), Code::kShape);
  EXPECT_EQ(infer(ops::Reduce{}, Types{Type::of(DType::kString, Shape({2}))}).status().code(), Code::kShape);
}

TEST(ArgReduce, FirstLastAndNan) {
  using A = ops::ArgReduce;
  const Tensor x = Tensor::of<float>({2, 3}, {1, 5, 5, 7, 2, 2});
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMax, 1}, {x})), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMax, 1, true, true}, {x})), (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMin, -1, false}, {x})), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMin, 0}, {x})), (std::vector<int64_t>{0, 1, 1}));
  EXPECT_EQ(run1(A{A::Kind::kMin, -1, false}, {x}).dims(), Dims{2});
  const float nan = std::nanf("");
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMax, 0}, {Tensor::of<float>({4}, {1, nan, 3, nan})})), (std::vector<int64_t>{1}));
  EXPECT_EQ(values<int64_t>(run1(A{A::Kind::kMax, 0}, {Tensor::of<uint8_t>({3}, {1, 200, 3})})), (std::vector<int64_t>{1}));
  EXPECT_EQ(refusal(A{A::Kind::kMax, 2}, {x}).code(), Code::kShape);
  EXPECT_EQ(refusal(A{A::Kind::kMax, 1}, {Tensor::of<float>({2, 0}, {})}).code(), Code::kShape);
}

TEST(Cumulative, SumsAndProducts) {
  using C = ops::Cumulative;
  const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}), rows = Tensor::scalar<int32_t>(0),
               columns = Tensor::of<int64_t>({1}, {-1});
  EXPECT_EQ(values<float>(run1(C{}, {x, columns})), (std::vector<float>{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(values<float>(run1(C{}, {x, rows})), (std::vector<float>{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(values<float>(run1(C{C::Kind::kSum, true}, {x, columns})), (std::vector<float>{0, 1, 3, 0, 4, 9}));
  EXPECT_EQ(values<float>(run1(C{C::Kind::kSum, false, true}, {x, columns})), (std::vector<float>{6, 5, 3, 15, 11, 6}));
  EXPECT_EQ(values<float>(run1(C{C::Kind::kSum, true, true}, {x, columns})), (std::vector<float>{5, 3, 0, 11, 6, 0}));
  EXPECT_EQ(values<int64_t>(run1(C{C::Kind::kProd}, {Tensor::of<int64_t>({3}, {2, 3, 4}), rows})), (std::vector<int64_t>{2, 6, 24}));
  EXPECT_EQ(refusal(C{}, {x, Tensor::scalar<int32_t>(2)}).code(), Code::kShape);
}

}  // namespace
}  // namespace tenon
