#include "ops/pad.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;
using Mode = ops::Pad::Mode;

/// Where element i of a padded axis comes from, walked one step at a time; -1 for the constant.
int64_t source(Mode mode, int64_t i, int64_t n) {
  int64_t at = 0, direction = 1;
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case Mode::kConstant: return -1;
    case Mode::kEdge: return i < 0 ? 0 : n - 1;
    case Mode::kWrap:
      for (at = i; at < 0;) at += n;
      for (; at >= n;) at -= n;
      return at;
    case Mode::kReflect: {
      if (n == 1) return 0;
      const int64_t steps = i < 0 ? -i : i - (n - 1);
      at = i < 0 ? 0 : n - 1;
      direction = i < 0 ? 1 : -1;
      for (int64_t s = 0; s < steps; ++s) {
        if (at + direction < 0 || at + direction >= n) direction = -direction;
        at += direction;
      }
      return at;
    }
  }
  return -1;
}

void check(DType dtype, const Dims& dims, Mode mode, const std::vector<int64_t>& pads) {
  const Tensor x = counting(dtype, dims), p = ints(pads);
  Dims out = dims;
  for (size_t d = 0; d < dims.size(); ++d) out[d] += pads[d] + pads[d + dims.size()];
  expect_moved(run(ops::Pad{mode}, {&x, &p}), out, x, [&](const Dims& i) {
    Dims from;
    for (size_t d = 0; d < dims.size(); ++d) {
      const int64_t at = source(mode, i[d] - pads[d], dims[d]);
      if (at < 0) return Dims{-1};
      from.push_back(at);
    }
    if (from.empty()) return from;
    return from;
  });
}

TEST(Pad, EveryMode) {
  for (const DType dtype : kSizes) {
    for (const Mode mode : {Mode::kConstant, Mode::kReflect, Mode::kEdge, Mode::kWrap}) {
      check(dtype, {4, 5}, mode, {1, 2, 3, 4});
      check(dtype, {4, 5}, mode, {0, 2, 0, 4});
      check(dtype, {4, 5}, mode, {2, 0, 1, 0});
      check(dtype, {2, 4, 5, 3}, mode, {0, 1, 2, 0, 0, 0, 1, 0});
      check(dtype, {2, 4, 5, 3}, mode, {1, 0, 0, 2, 0, 0, 0, 1});
      check(dtype, {4, 5}, mode, {-1, 2, 1, -3});
      check(dtype, {4, 5}, mode, {-1, -2, 0, 0});
      check(dtype, {4, 5}, mode, {0, 0, 0, 0});
      check(dtype, {4, 5}, mode, {0, 0, -4, 2});
      check(dtype, {300, 301}, mode, {7, 3, 3, 9});
    }
    check(dtype, {3}, Mode::kWrap, {10, 8});
    check(dtype, {3, 1}, Mode::kEdge, {5, 6, 7, 8});
    check(dtype, {0, 2}, Mode::kConstant, {2, 1, 1, 0});
    check(dtype, {2, 0}, Mode::kConstant, {2, 1, 1, 3});
  }
}

TEST(Pad, ValueAndAxes) {
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4}), pads = ints({1, 0}), axes = int32s({-1}), value = Tensor::scalar(9.5f);
  const auto y = run(ops::Pad{}, {&x, &pads, &value, &axes});
  ASSERT_TRUE(y.ok()) << y.status().message();
  const auto got = (*y).values<float>();
  EXPECT_EQ(std::vector<float>(got.begin(), got.end()), (std::vector<float>{9.5f, 1, 2, 9.5f, 3, 4}));
}

TEST(Pad, Errors) {
  const Type x = Type::of(DType::kFloat32, {2, 3});
  const auto pad = [&](Mode mode, const std::vector<int64_t>& pads) {
    const Tensor p = ints(pads);
    return infer(Op(ops::Pad{mode}), {x, type_of(p)});
  };
  expect_error(pad(Mode::kReflect, {0, 9, 0, 9}), Code::kShape, {"reflect", "9", "3"});
  expect_error(pad(Mode::kConstant, {0, 1, 0}), Code::kShape, {"pads", "3", "4"});
  expect_error(pad(Mode::kConstant, {0, -2, 0, -2}), Code::kShape, {"pads", "-1"});
  expect_error(pad(Mode::kConstant, {INT64_MAX, 0, INT64_MAX, 0}), Code::kShape, {"pads", "overflow"});
  const Tensor p = ints({1, 1});
  expect_error(infer(Op(ops::Pad{Mode::kEdge}), {Type::of(DType::kFloat32, {0}), type_of(p)}), Code::kShape, {"edge", "0"});
  Type symbolic = Type::of(DType::kFloat32, {Dim::symbol("n")});
  EXPECT_EQ((*infer(Op(ops::Pad{}), {symbolic, type_of(p)}))[0].shape.str(), "[n + 2]");
}

}  // namespace
}  // namespace tenon
