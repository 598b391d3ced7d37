// Symbolic contents through the chains that exporters write.
#include "ops/shape_arithmetic.h"

#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/expand.h"
#include "ops/gather.h"
#include "ops/range.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/shape_of.h"
#include "ops/slice.h"
#include "ops/split.h"
#include "ops/transpose.h"
#include "ops/unary.h"
#include "ops/where.h"
#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

const Dim kBatch = Dim::symbol("batch"), kSeq = Dim::symbol("seq");

Type floats(Shape shape) { return Type::of(DType::kFloat32, std::move(shape)); }

/// A constant that lives as long as the test.
Type constant(Tensor t) {
  static std::vector<std::unique_ptr<Tensor>> kept;
  kept.push_back(std::make_unique<Tensor>(std::move(t)));
  return type_of(*kept.back());
}
Type scalar(int64_t v) { return constant(Tensor::scalar(v)); }
Type list(const std::vector<int64_t>& v) { return constant(ints(v)); }

Type apply(Op op, Types in, int output = 0) {
  const auto out = infer(op, in);
  EXPECT_TRUE(out.ok()) << op_name(op) << ": " << out.status().message();
  return out.ok() ? (*out)[output] : Type::none();
}
std::string contents(const Type& t) { return t.contents ? Shape(*t.contents).str() : "none"; }

const Type kX = floats({kBatch, kSeq, 768});

TEST(ShapeArithmetic, ShapeGatherUnsqueezeConcatReshape) {
  const Type shape = apply(ops::ShapeOf{}, {kX});
  EXPECT_EQ(contents(shape), "[batch, seq, 768]");
  const Type batch = apply(ops::Gather{0}, {shape, scalar(0)}), seq = apply(ops::Gather{0}, {shape, scalar(-2)});
  EXPECT_EQ(contents(seq), "[seq]");
  const Type b = apply(ops::Unsqueeze{}, {batch, list({0})}), s = apply(ops::Unsqueeze{}, {seq, list({0})});
  const Type target = apply(ops::Concat{0}, {b, s, list({12, 64})});
  EXPECT_EQ(contents(target), "[batch, seq, 12, 64]");
  EXPECT_EQ(apply(ops::Reshape{}, {kX, target}).shape.str(), "[batch, seq, 12, 64]");
  EXPECT_EQ(apply(ops::Expand{}, {floats({1, 1, 12, 64}), target}).shape.str(), "[batch, seq, 12, 64]");
}

TEST(ShapeArithmetic, Arithmetic) {
  using Kind = ops::Binary::Kind;
  const Type seq = apply(ops::Gather{0}, {apply(ops::ShapeOf{}, {kX}), scalar(1)});
  const auto with = [&](Kind kind, const Type& a, const Type& b) { return contents(apply(ops::Binary{kind}, {a, b})); };
  EXPECT_EQ(with(Kind::kAdd, seq, scalar(3)), "[seq + 3]");
  EXPECT_EQ(with(Kind::kSub, apply(ops::Binary{Kind::kAdd}, {seq, scalar(3)}), scalar(3)), "[seq]");
  EXPECT_EQ(with(Kind::kMul, seq, seq), "[seq*seq]");
  EXPECT_EQ(with(Kind::kDiv, apply(ops::Binary{Kind::kMul}, {seq, scalar(6)}), scalar(3)), "[2*seq]");
  EXPECT_EQ(with(Kind::kDiv, scalar(-7), scalar(2)), "[-3]");  // towards zero
  EXPECT_EQ(with(Kind::kMod, scalar(-7), scalar(4)), "[1]");
  EXPECT_EQ(with(Kind::kDiv, scalar(7), scalar(0)), "[?]");
  EXPECT_EQ(with(Kind::kEqual, seq, scalar(-1)), "[0]");
  EXPECT_EQ(with(Kind::kEqual, seq, seq), "[1]");
  EXPECT_EQ(with(Kind::kEqual, seq, scalar(8)), "[?]");
  EXPECT_EQ(with(Kind::kLess, seq, apply(ops::Binary{Kind::kAdd}, {seq, scalar(1)})), "[1]");
  EXPECT_EQ(with(Kind::kAdd, scalar(INT64_MAX), scalar(1)), "[?]");
  EXPECT_EQ(contents(apply(ops::Unary{ops::Unary::Kind::kNeg}, {seq})), "[-1*seq]");
}

TEST(ShapeArithmetic, WrapAroundIsNotFollowed) {
  using Kind = ops::Binary::Kind;
  const Type big = constant(Tensor::scalar<int32_t>(INT32_MAX)), one = constant(Tensor::scalar<int32_t>(1));
  EXPECT_EQ(contents(apply(ops::Binary{Kind::kAdd}, {big, one})), "[?]");
  EXPECT_EQ(contents(apply(ops::Cast{DType::kInt8}, {scalar(300)})), "[?]");
  EXPECT_EQ(contents(apply(ops::Cast{DType::kBool}, {scalar(300)})), "[1]");
}

TEST(ShapeArithmetic, TorchExpand) {
  // expand(-1, n): Where(Equal(shape, -1), ones, shape)
  const Type shape = apply(
      ops::Concat{0}, {list({-1}), apply(ops::Unsqueeze{}, {apply(ops::Gather{0}, {apply(ops::ShapeOf{}, {kX}), scalar(1)}), list({0})})});
  const Type ones = apply(ops::Expand{}, {scalar(1), apply(ops::ShapeOf{}, {shape})});
  EXPECT_EQ(contents(ones), "[1, 1]");
  const Type minus_one = apply(ops::Binary{ops::Binary::Kind::kMul}, {ones, scalar(-1)});
  const Type same = apply(ops::Binary{ops::Binary::Kind::kEqual}, {shape, minus_one});
  EXPECT_EQ(contents(same), "[1, 0]");
  EXPECT_EQ(contents(apply(ops::Where{}, {same, ones, shape})), "[1, seq]");
}

TEST(ShapeArithmetic, SliceSplitTransposeReduce) {
  const Type shape = apply(ops::ShapeOf{}, {kX});
  EXPECT_EQ(contents(apply(ops::Slice{}, {shape, list({1}), list({INT64_MAX})})), "[seq, 768]");
  EXPECT_EQ(contents(apply(ops::Slice{}, {shape, list({-1}), list({INT64_MIN}), list({0}), list({-1})})), "[768, seq, batch]");
  EXPECT_EQ(contents(apply(ops::Split{.axis = 0, .outputs = 2}, {shape, list({1, 2})}, 1)), "[seq, 768]");
  const Type square = apply(ops::Reshape{}, {apply(ops::Concat{0}, {shape, list({5})}), list({2, 2})});
  EXPECT_EQ(contents(apply(ops::Transpose{{1, 0}}, {square})), "[batch, 768, seq, 5]");
  EXPECT_EQ(contents(apply(ops::Reduce{ops::Reduce::Kind::kProd, false, false}, {shape, list({0})})), "[768*batch*seq]");
  EXPECT_EQ(contents(apply(ops::Size{}, {kX})), "[768*batch*seq]");
  EXPECT_EQ(contents(apply(ops::Range{}, {scalar(2), scalar(9), scalar(3)})), "[2, 5, 8]");
  EXPECT_EQ(apply(ops::Range{}, {scalar(0), apply(ops::Gather{0}, {shape, scalar(1)}), scalar(1)}).shape.str(), "[seq]");
}

TEST(ShapeArithmetic, StaysSmallAndSafe) {
  const Tensor many = counting(DType::kInt64, {kMaxContents + 1});
  EXPECT_EQ(contents(apply(ops::Reshape{}, {type_of(many), list({-1})})), "none");
  const Type huge = Type::of(DType::kInt64, {int64_t{1} << 61, int64_t{1} << 61, 0});
  apply(ops::Transpose{}, {huge});
  apply(ops::Concat{2}, {huge, huge});
  apply(ops::Gather{1}, {huge, scalar(0)});
  const Type nothing = constant(ints({}));
  EXPECT_EQ(contents(apply(ops::Concat{0}, {nothing, list({4})})), "[4]");
}

}  // namespace
}  // namespace tenon
