#include "ops/split.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

void check(DType dtype, const Dims& dims, ops::Split op, const std::vector<int64_t>& sizes, bool given) {
  const Tensor x = counting(dtype, dims), s = ints(sizes);
  const size_t axis = static_cast<size_t>(op.axis < 0 ? op.axis + static_cast<int64_t>(dims.size()) : op.axis);
  op.outputs = static_cast<int64_t>(sizes.size());
  const auto out = evaluate(op, {&x, given ? &s : nullptr}, static_cast<int>(sizes.size()));
  ASSERT_TRUE(out.ok()) << out.status().message();
  int64_t at = 0;
  for (size_t k = 0; k < sizes.size(); ++k) {
    Dims piece = dims;
    piece[axis] = sizes[k];
    expect_moved((*out)[k], piece, x, [&](Dims i) {
      i[axis] += at;
      return i;
    });
    at += sizes[k];
  }
}

TEST(Split, EveryAxisAndElementSize) {
  for (const DType dtype : kSizes) {
    check(dtype, {4, 6, 5}, {.axis = 0}, {1, 3}, true);
    check(dtype, {4, 6, 5}, {.axis = 1}, {2, 0, 3, 1}, true);
    check(dtype, {4, 6, 5}, {.axis = -1}, {1, 4}, true);
    check(dtype, {4, 6, 5}, {.axis = 1}, {2, 2, 2}, false);
    check(dtype, {4, 7, 5}, {.axis = 1}, {3, 3, 1}, false);
    check(dtype, {1, 7, 5}, {.axis = 1}, {3, 4}, true);
    check(dtype, {4, 7}, {.axis = 1}, {7}, false);
    check(dtype, {0, 4}, {.axis = 1}, {2, 2}, false);
  }
  check(DType::kFloat32, {3, 120000}, {.axis = 1}, {50000, 1, 69999}, true);
}

TEST(Split, LeadingPiecesAreViews) {
  const Tensor x = counting(DType::kFloat32, {4, 6});
  const auto out = evaluate(ops::Split{.axis = 0, .outputs = 2}, {&x}, 2);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[1].as<char>(), x.as<char>() + 2 * 6 * 4);
}

TEST(Split, Types) {
  const Dim n = Dim::symbol("n");
  const Type x = Type::of(DType::kFloat32, {Dim(4) * n, 7});
  auto out = infer(Op(ops::Split{.axis = 0, .outputs = 2, .uneven = false}), {x});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[1].shape.str(), "[2*n, 7]");
  const Tensor sizes = ints({1, 5}), negative = ints({-1, 8}), three = ints({1, 2, 4});
  expect_error(infer(Op(ops::Split{.axis = 1, .outputs = 2}), {x, type_of(sizes)}), Code::kShape, {"split", "6", "7"});
  expect_error(infer(Op(ops::Split{.axis = 1, .outputs = 2}), {x, type_of(negative)}), Code::kShape, {"split", "-1"});
  expect_error(infer(Op(ops::Split{.axis = 1, .outputs = 2}), {x, type_of(three)}), Code::kShape, {"split", "3", "2"});
  expect_error(infer(Op(ops::Split{.axis = 1, .outputs = 2, .uneven = false}), {x}), Code::kShape, {"7", "2"});
  expect_error(infer(Op(ops::Split{.axis = 1, .outputs = 5}), {x}), Code::kShape, {"7", "5"});
  expect_error(infer(Op(ops::Split{.axis = 3, .outputs = 2}), {x}), Code::kShape, {"axis", "3"});
  EXPECT_EQ(infer(Op(ops::Split{.axis = 1, .outputs = 3}), {Type::unranked(DType::kInt8)})->size(), 3u);
}

}  // namespace
}  // namespace tenon
