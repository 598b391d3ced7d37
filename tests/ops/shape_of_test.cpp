#include "ops/shape_of.h"

#include "ops/eye_like.h"
#include "ops/range.h"
#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

template <class T>
std::vector<T> values(const Result<Tensor>& t) {
  EXPECT_TRUE(t.ok()) << t.status().message();
  if (!t.ok()) return {};
  const auto v = (*t).template values<T>();
  return {v.begin(), v.end()};
}

TEST(ShapeOf, StartAndEnd) {
  const Tensor x = counting(DType::kFloat32, {2, 0, 5}), scalar = counting(DType::kString, {});
  using V = std::vector<int64_t>;
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{}, {&x})), (V{2, 0, 5}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{1}, {&x})), (V{0, 5}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{-1}, {&x})), (V{5}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{0, -1}, {&x})), (V{2, 0}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{2, 1}, {&x})), (V{}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{INT64_MIN, INT64_MAX}, {&x})), (V{2, 0, 5}));
  EXPECT_EQ(values<int64_t>(run(ops::ShapeOf{}, {&scalar})), (V{}));
  EXPECT_EQ(values<int64_t>(run(ops::Size{}, {&x})), (V{0}));
  EXPECT_EQ(values<int64_t>(run(ops::Size{}, {&scalar})), (V{1}));
}

TEST(Range, EveryDtype) {
  const auto range = [](auto a, auto b, auto c) {
    using T = decltype(a);
    const Tensor s = Tensor::scalar(a), l = Tensor::scalar(static_cast<T>(b)), d = Tensor::scalar(static_cast<T>(c));
    return run(ops::Range{}, {&s, &l, &d});
  };
  EXPECT_EQ(values<int64_t>(range(int64_t{3}, 10, 3)), (std::vector<int64_t>{3, 6, 9}));
  EXPECT_EQ(values<int32_t>(range(int32_t{10}, 4, -2)), (std::vector<int32_t>{10, 8, 6}));
  EXPECT_EQ(values<int16_t>(range(int16_t{5}, 5, 1)), (std::vector<int16_t>{}));
  EXPECT_EQ(values<int64_t>(range(int64_t{5}, 9, -1)), (std::vector<int64_t>{}));
  EXPECT_EQ(values<int64_t>(range(INT64_MIN, INT64_MAX, INT64_MAX)), (std::vector<int64_t>{INT64_MIN, -1, INT64_MAX - 1}));
  EXPECT_EQ(values<double>(range(1.0, 2.0, 0.25)), (std::vector<double>{1, 1.25, 1.5, 1.75}));
  const auto f = values<float>(range(0.0f, 1000.0f, 0.1f));
  ASSERT_EQ(f.size(), 10000u);
  for (size_t i = 0; i < f.size(); i += 97) EXPECT_FLOAT_EQ(f[i], static_cast<float>(static_cast<double>(0.1f) * static_cast<double>(i)));
  const auto long_range = values<int64_t>(range(int64_t{-5}, 100000, 3));
  ASSERT_EQ(long_range.size(), 33335u);
  EXPECT_EQ(long_range.back(), -5 + 3 * 33334);
}

TEST(Range, Errors) {
  const Tensor zero = Tensor::scalar(int64_t{0}), five = Tensor::scalar(int64_t{5}), one = Tensor::scalar(1.0f),
               none = Tensor::scalar(0.0f);
  const Tensor nan = Tensor::scalar(std::numeric_limits<float>::quiet_NaN()), inf = Tensor::scalar(std::numeric_limits<float>::infinity());
  const Tensor low = Tensor::scalar(INT64_MIN), high = Tensor::scalar(INT64_MAX), step = Tensor::scalar(int64_t{1});
  expect_error(run(ops::Range{}, {&zero, &five, &zero}), Code::kShape, {"delta"});
  expect_error(run(ops::Range{}, {&none, &one, &none}), Code::kShape, {"delta"});
  expect_error(run(ops::Range{}, {&none, &one, &nan}), Code::kShape, {"delta"});
  expect_error(run(ops::Range{}, {&none, &inf, &one}), Code::kLimit, {"range"});
  expect_error(run(ops::Range{}, {&low, &high, &step}), Code::kLimit, {"range"});
  expect_error(run(ops::Range{}, {&zero, &one, &zero}), Code::kShape, {"int64", "float32"});
}

TEST(EyeLike, DiagonalsAndDtypes) {
  const Tensor x = counting(DType::kFloat32, {3, 4}), vector = counting(DType::kFloat32, {3});
  EXPECT_EQ(values<float>(run(ops::EyeLike{}, {&x})), (std::vector<float>{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(values<int64_t>(run(ops::EyeLike{DType::kInt64, 2}, {&x})), (std::vector<int64_t>{0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(values<double>(run(ops::EyeLike{DType::kFloat64, -2}, {&x})), (std::vector<double>{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(values<uint8_t>(run(ops::EyeLike{DType::kUint8, INT64_MIN}, {&x})), (std::vector<uint8_t>(12, 0)));
  EXPECT_EQ(values<uint16_t>(run(ops::EyeLike{DType::kFloat16, 3}, {&x}))[3], 0x3c00);
  EXPECT_EQ(values<uint16_t>(run(ops::EyeLike{DType::kBFloat16, 0}, {&x}))[0], 0x3f80);
  EXPECT_EQ(values<bool>(run(ops::EyeLike{DType::kBool, 0}, {&x}))[5], true);
  expect_error(run(ops::EyeLike{}, {&vector}), Code::kShape, {"rank"});
  expect_error(run(ops::EyeLike{DType::kString}, {&x}), Code::kShape, {"string"});
}

}  // namespace
}  // namespace tenon
