#include "ops/top_k.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

template <class T>
double number(T v) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(v);
  } else {
    return static_cast<float>(v);
  }
}

/// Checks values and indices of every line against a stable sort of it.
template <class T>
void check(const Dims& dims, int64_t axis, int64_t k, bool largest, const std::vector<T>& data) {
  const auto out = run(ops::TopK{axis, largest}, {Tensor::of(dims, data), Tensor::of<int64_t>({1}, {k})}, 2);
  const int64_t at = axis < 0 ? axis + static_cast<int64_t>(dims.size()) : axis;
  Dims expected = dims;
  expected[at] = k;
  ASSERT_EQ(out[0].dims(), expected);
  ASSERT_EQ(out[1].dims(), expected);
  int64_t outer = 1, inner = 1;
  const int64_t n = dims[at];
  for (int64_t d = 0; d < static_cast<int64_t>(dims.size()); ++d) {
    if (d < at) outer *= dims[d];
    if (d > at) inner *= dims[d];
  }
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<int64_t> order(n);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        const double x = number(data[(o * n + a) * inner + i]), y = number(data[(o * n + b) * inner + i]);
        if (std::isnan(x) || std::isnan(y)) return largest ? std::isnan(x) && !std::isnan(y) : !std::isnan(x) && std::isnan(y);
        return largest ? x > y : x < y;
      });
      for (int64_t j = 0; j < k; ++j) {
        const int64_t to = (o * k + j) * inner + i;
        ASSERT_EQ(out[1].template as<int64_t>()[to], order[j]) << name_of(dtype_of<T>) << " n " << n << " k " << k << " j " << j;
        const double v = number(out[0].template as<T>()[to]), w = number(data[(o * n + order[j]) * inner + i]);
        ASSERT_TRUE(v == w || (std::isnan(v) && std::isnan(w)));
      }
    }
  }
}

template <class T>
std::vector<T> noise(int64_t n, int spread) {
  std::mt19937 random(11);
  std::vector<T> v(n);
  for (T& x : v)
    x = static_cast<T>(static_cast<float>(static_cast<int>(random() % spread)) -
                       (std::is_unsigned_v<T> ? 0.f : static_cast<float>(spread / 2)));
  return v;
}

template <class T>
void check_type() {
  for (bool largest : {true, false}) {
    for (int64_t k : {0, 1, 2, 5, 40, 77}) check<T>({77}, 0, k, largest, noise<T>(77, 100));
    check<T>({3, 20, 4}, 1, 6, largest, noise<T>(240, 9));  // many ties
    check<T>({3, 20, 4}, 0, 2, largest, noise<T>(240, 120));
    check<T>({3, 20, 4}, -1, 3, largest, noise<T>(240, 120));
  }
}

TEST(TopK, EveryTypeAgreesWithAStableSort) {
  check_type<float>();
  check_type<double>();
  check_type<Float16>();
  check_type<BFloat16>();
  check_type<int8_t>();
  check_type<uint8_t>();
  check_type<int16_t>();
  check_type<uint16_t>();
  check_type<int32_t>();
  check_type<uint32_t>();
  check_type<int64_t>();
  check_type<uint64_t>();
}

TEST(TopK, ExtremesAndNan) {
  for (bool largest : {true, false}) {
    for (int64_t k : {1, 3, 9}) {
      check<float>({9}, 0, k, largest, {1, NAN, -INFINITY, -0.f, 0.f, INFINITY, -NAN, 1, -3});
      check<double>({9}, 0, k, largest, {1, NAN, -INFINITY, -0.0, 0.0, INFINITY, -NAN, 1, -3});
    }
    check<int64_t>({4}, 0, 4, largest, {INT64_MIN, INT64_MAX, 0, -1});
    check<uint64_t>({3}, 0, 3, largest, {UINT64_MAX, 0, uint64_t{1} << 63});
    check<int8_t>({3}, 0, 2, largest, {-128, 127, 0});
  }
}

TEST(TopK, FewOfMany) { check<float>({2, 50000}, 1, 40, true, noise<float>(100000, 30000)); }
TEST(TopK, ManyOfMany) { check<float>({1, 20000}, 1, 15000, false, noise<float>(20000, 9000)); }

TEST(TopK, OnlyTheIndicesWanted) {
  const Tensor x = Tensor::of<float>({4}, {1, 4, 2, 3}), k = Tensor::of<int64_t>({1}, {2});
  EXPECT_EQ(values<float>(run(ops::TopK{}, {x, k}, 1)[0]), (std::vector<float>{4, 3}));
}

TEST(TopK, Errors) {
  const Tensor x = Tensor::of<float>({2, 3}, std::vector<float>(6));
  expect_failure(failure(ops::TopK{}, {x, Tensor::of<int64_t>({1}, {9})}, 2), Code::kShape, {"9", "3"});
  expect_failure(failure(ops::TopK{}, {x, Tensor::of<int64_t>({1}, {-1})}, 2), Code::kShape, {"-1"});
  expect_failure(failure(ops::TopK{}, {x, Tensor::of<int64_t>({2}, {1, 1})}, 2), Code::kShape, {"one element"});
  expect_failure(failure(ops::TopK{3}, {x, Tensor::of<int64_t>({1}, {1})}, 2), Code::kShape, {"axis 3"});
  expect_failure(failure(ops::TopK{}, {Tensor::scalar(1.f), Tensor::of<int64_t>({1}, {1})}, 2), Code::kShape, {"rank"});
}

TEST(TopK, SymbolicK) {
  Type k = test::symbolic(DType::kInt64, {1});
  k.contents = {Dim::symbol("k")};
  const auto out = ops::infer(ops::TopK{0}, {test::symbolic(DType::kFloat32, {Dim::symbol("n"), 3}), k});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].str(), "float32[k, 3]");
  EXPECT_EQ((*out)[1].str(), "int64[k, 3]");
}

}  // namespace
}  // namespace tenon
