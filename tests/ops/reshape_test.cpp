#include "ops/reshape.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

Result<Types> reshape(const Type& data, const std::vector<int64_t>& shape, bool allow_zero = false) {
  static Tensor kept[64];
  static int next = 0;
  Tensor& t = kept[next++ % 64];
  t = ints(shape);
  return infer(Op(ops::Reshape{allow_zero}), {data, type_of(t)});
}
Type floats(Shape shape) { return Type::of(DType::kFloat32, std::move(shape)); }

void expect_shape(const Result<Types>& got, const std::string& shape) {
  ASSERT_TRUE(got.ok()) << got.status().message();
  EXPECT_EQ((*got)[0].shape.str(), shape);
}

TEST(Reshape, FillsInTheRest) {
  expect_shape(reshape(floats({2, 3, 4}), {-1}), "[24]");
  expect_shape(reshape(floats({2, 3, 4}), {4, -1, 2}), "[4, 3, 2]");
  expect_shape(reshape(floats({2, 3, 4}), {0, 0, -1, 1}), "[2, 3, 4, 1]");
  expect_shape(reshape(floats({}), {1, 1}), "[1, 1]");
  expect_shape(reshape(floats({1}), {}), "[]");
}

TEST(Reshape, Zeros) {
  expect_shape(reshape(floats({0, 3}), {3, 0}, true), "[3, 0]");
  expect_shape(reshape(floats({0, 3, 4}), {0, -1}), "[0, 12]");
  expect_error(reshape(floats({0, 3}), {0, -1}, true), Code::kShape, {"allowzero"});
  expect_error(reshape(floats({2, 3}), {6, 1, 0}), Code::kShape, {"rank 2"});
}

TEST(Reshape, SymbolicDimsStayExact) {
  const Dim n = Dim::symbol("batch"), s = Dim::symbol("seq");
  expect_shape(reshape(floats({n, s, 768}), {0, 0, 12, 64}), "[batch, seq, 12, 64]");
  expect_shape(reshape(floats({n, 12, s, 64}), {0, -1, 768}), "[batch, seq, 768]");
  expect_shape(reshape(floats({n, 3, 4}), {-1, 12}), "[batch, 12]");
  expect_shape(reshape(floats({n, 3, 4}), {-1, 4}), "[3*batch, 4]");
  Type shape = Type::of(DType::kInt64, {3});
  shape.contents = DimList{n, s, Dim(-1)};
  expect_shape(infer(Op(ops::Reshape{}), {floats({n, s, 12, 64}), shape}), "[batch, seq, 768]");
  // One element nothing is known about follows from the count.
  shape.contents = DimList{n, Dim::unknown(), Dim(768)};
  expect_shape(infer(Op(ops::Reshape{}), {floats({n, s, 768}), shape}), "[batch, seq, 768]");
}

TEST(Reshape, UnknownShapes) {
  const Result<Types> got = infer(Op(ops::Reshape{}), {floats({2, 3}), Type::of(DType::kInt64, {3})});
  ASSERT_TRUE(got.ok());
  EXPECT_EQ((*got)[0].rank(), 3);
  const Result<Types> open = infer(Op(ops::Reshape{}), {floats({2, 3}), Type::unranked(DType::kInt64)});
  ASSERT_TRUE(open.ok());
  EXPECT_FALSE((*open)[0].ranked());
  expect_shape(reshape(Type::unranked(DType::kFloat32), {2, 3}), "[2, 3]");
}

TEST(Reshape, RefusesWhatCannotBe) {
  expect_error(reshape(floats({2, 3}), {-1, -1}), Code::kShape, {"-1"});
  expect_error(reshape(floats({2, 3}), {int64_t{1} << 33, int64_t{1} << 31}), Code::kShape, {"overflow"});
  expect_error(reshape(floats({2, 3}), {-5}), Code::kShape, {"-5"});
  expect_error(reshape(floats({2, 3}), {7}), Code::kShape, {"6", "7"});
  expect_error(reshape(floats({2, 3}), {4, -1}), Code::kShape, {"-1"});
  expect_error(infer(Op(ops::Reshape{}), {floats({2}), floats({1})}), Code::kShape, {"float32", "int64"});
}

TEST(Reshape, IsAView) {
  const Tensor x = counting(DType::kFloat32, {2, 6}), shape = ints({3, -1});
  const auto y = run(ops::Reshape{}, {&x, &shape});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y).data(), x.data());
  EXPECT_EQ((*y).dims(), (Dims{3, 4}));
}

TEST(Flatten, EveryAxis) {
  for (int64_t axis = -3; axis <= 3; ++axis) {
    const auto got = infer(Op(ops::Flatten{axis}), {floats({2, 3, 4})});
    const int64_t split = axis < 0 ? axis + 3 : axis;
    const int64_t rows[] = {1, 2, 6, 24};
    expect_shape(got, str(Dims{rows[split], 24 / rows[split]}));
  }
  expect_shape(infer(Op(ops::Flatten{0}), {floats({})}), "[1, 1]");
  expect_shape(infer(Op(ops::Flatten{1}), {floats({Dim::symbol("n"), 3, 4})}), "[n, 12]");
  expect_error(infer(Op(ops::Flatten{4}), {floats({2, 3, 4})}), Code::kShape, {"axis", "4"});
  expect_error(infer(Op(ops::Flatten{-4}), {floats({2, 3, 4})}), Code::kShape, {"axis", "-4"});
}

TEST(Squeeze, DropsDimsOfOne) {
  const Tensor axes = ints({0, -2}), wrong = ints({1}), twice = ints({0, 0}), far = ints({4});
  expect_shape(infer(Op(ops::Squeeze{}), {floats({1, 3, 1, 5}), type_of(axes)}), "[3, 5]");
  expect_shape(infer(Op(ops::Squeeze{}), {floats({1, 3, 1, 5})}), "[3, 5]");
  expect_shape(infer(Op(ops::Squeeze{}), {floats({1, Dim::symbol("n"), 1, 5}), type_of(axes)}), "[n, 5]");
  EXPECT_FALSE((*infer(Op(ops::Squeeze{}), {floats({1, Dim::symbol("n")})}))[0].ranked());
  expect_error(infer(Op(ops::Squeeze{}), {floats({1, 3, 1, 5}), type_of(wrong)}), Code::kShape, {"3", "expected 1"});
  expect_error(infer(Op(ops::Squeeze{}), {floats({1, 3, 1, 5}), type_of(twice)}), Code::kShape, {"twice"});
  expect_error(infer(Op(ops::Squeeze{}), {floats({1, 3, 1, 5}), type_of(far)}), Code::kShape, {"axes", "4"});
}

TEST(Unsqueeze, InsertsDimsOfOne) {
  const Tensor axes = ints({0, -1}), scalar = Tensor::scalar<int64_t>(1), twice = ints({1, -3}), far = ints({5});
  expect_shape(infer(Op(ops::Unsqueeze{}), {floats({3, Dim::symbol("n")}), type_of(axes)}), "[1, 3, n, 1]");
  expect_shape(infer(Op(ops::Unsqueeze{}), {floats({3, 4}), type_of(scalar)}), "[3, 1, 4]");
  expect_shape(infer(Op(ops::Unsqueeze{}), {floats({}), type_of(axes)}), "[1, 1]");
  expect_error(infer(Op(ops::Unsqueeze{}), {floats({3, 4}), type_of(twice)}), Code::kShape, {"twice"});
  expect_error(infer(Op(ops::Unsqueeze{}), {floats({3, 4}), type_of(far)}), Code::kShape, {"axes", "5"});
  EXPECT_EQ((*infer(Op(ops::Unsqueeze{}), {floats({3, 4}), Type::of(DType::kInt64, {2})}))[0].rank(), 4);
}

}  // namespace
}  // namespace tenon
