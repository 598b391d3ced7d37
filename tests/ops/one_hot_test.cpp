#include "ops/one_hot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

TEST(OneHot, AddsAnAxis) {
  const Tensor indices = Tensor::of<int64_t>({2, 2}, {0, 2, -1, 3}), depth = Tensor::of<int64_t>({}, {3}),
               off_on = Tensor::of<float>({2}, {5, 9});
  // -1 is the last position, 3 is beyond it and selects nothing.
  const Tensor last = run(ops::OneHot{}, {indices, depth, off_on})[0];
  EXPECT_EQ(last.dims(), (Dims{2, 2, 3}));
  EXPECT_EQ(values<float>(last), (std::vector<float>{9, 5, 5, 5, 5, 9, 5, 5, 9, 5, 5, 5}));
  const Tensor first = run(ops::OneHot{0}, {indices, depth, off_on})[0];
  EXPECT_EQ(first.dims(), (Dims{3, 2, 2}));
  EXPECT_EQ(values<float>(first), (std::vector<float>{9, 5, 5, 5, 5, 5, 5, 5, 5, 9, 9, 5}));
  const Tensor middle = run(ops::OneHot{-2}, {indices, depth, off_on})[0];
  EXPECT_EQ(middle.dims(), (Dims{2, 3, 2}));
  EXPECT_EQ(values<float>(middle), (std::vector<float>{9, 5, 5, 5, 5, 9, 5, 5, 5, 5, 9, 5}));
}

template <class I, class D, class V>
void check() {
  const Tensor out =
      run(ops::OneHot{}, {Tensor::of<I>({3}, {I(1), I(0), I(7)}), Tensor::of<D>({1}, {D(2)}), Tensor::of<V>({2}, {V(0), V(1)})})[0];
  EXPECT_EQ(out.dims(), (Dims{3, 2}));
  const auto v = out.values<V>();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(v[i], (i == 1 || i == 2) ? V(1) : V(0)) << i;
}

TEST(OneHot, EveryCombinationOfTypes) {
  check<int64_t, int64_t, float>();
  check<int32_t, float, int64_t>();
  check<uint8_t, int32_t, bool>();
  check<int8_t, uint64_t, double>();
  check<float, double, uint8_t>();
  check<double, int16_t, int32_t>();
  check<uint64_t, uint32_t, int16_t>();
  check<uint16_t, int8_t, uint64_t>();
  const Tensor half = run(ops::OneHot{}, {Tensor::of<Float16>({1}, {Float16(1.f)}), Tensor::of<Float16>({}, {Float16(3.f)}),
                                          Tensor::of<int8_t>({2}, {0, 1})})[0];
  EXPECT_EQ(values<int8_t>(half), (std::vector<int8_t>{0, 1, 0}));
  const std::vector<std::string> words = {"off", "on"};
  const Tensor text = run(ops::OneHot{}, {Tensor::of<int64_t>({1}, {1}), Tensor::of<int64_t>({}, {2}), *Tensor::strings({2}, words)})[0];
  EXPECT_EQ(text.as<StringRef>()[0].view(), "off");
  EXPECT_EQ(text.as<StringRef>()[1].view(), "on");
}

TEST(OneHot, IndicesThatAreNoPositions) {
  const Tensor out = run(ops::OneHot{}, {Tensor::of<float>({5}, {NAN, INFINITY, -INFINITY, 1e30f, 1.9f}), Tensor::of<int64_t>({}, {2}),
                                         Tensor::of<float>({2}, {0, 1})})[0];
  EXPECT_EQ(values<float>(out), (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));  // 1.9 is truncated
  const Tensor far = run(ops::OneHot{}, {Tensor::of<int64_t>({3}, {INT64_MIN, INT64_MAX, -3}), Tensor::of<int64_t>({}, {2}),
                                         Tensor::of<float>({2}, {0, 1})})[0];
  EXPECT_EQ(values<float>(far), std::vector<float>(6, 0));
  const Tensor huge =
      run(ops::OneHot{}, {Tensor::of<uint64_t>({1}, {UINT64_MAX}), Tensor::of<int64_t>({}, {2}), Tensor::of<float>({2}, {0, 1})})[0];
  EXPECT_EQ(values<float>(huge), (std::vector<float>{0, 0}));
}

TEST(OneHot, Errors) {
  const Tensor i = Tensor::of<int64_t>({1}, {0}), v = Tensor::of<float>({2}, {0, 1});
  expect_failure(failure(ops::OneHot{}, {i, Tensor::of<int64_t>({}, {-5}), v}), Code::kShape, {"depth", "-5"});
  expect_failure(failure(ops::OneHot{}, {i, Tensor::of<float>({}, {NAN}), v}), Code::kShape, {"depth"});
  expect_failure(failure(ops::OneHot{}, {i, Tensor::of<int64_t>({2}, {1, 2}), v}), Code::kShape, {"one element"});
  expect_failure(failure(ops::OneHot{}, {i, Tensor::of<int64_t>({}, {2}), Tensor::of<float>({3}, {0, 1, 2})}), Code::kShape, {"[2]"});
  expect_failure(failure(ops::OneHot{2}, {i, Tensor::of<int64_t>({}, {2}), v}), Code::kShape, {"axis 2"});
}

TEST(OneHot, SymbolicDepth) {
  Type depth = test::symbolic(DType::kInt64, {});
  depth.contents = {Dim::symbol("classes")};
  const auto out =
      ops::infer(ops::OneHot{}, {test::symbolic(DType::kInt64, {Dim::symbol("n")}), depth, test::symbolic(DType::kFloat32, {2})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].str(), "float32[n, classes]");
}

}  // namespace
}  // namespace tenon
