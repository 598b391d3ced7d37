// Sequences and optionals at the operators: types, and who takes them.
#include <gtest/gtest.h>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;

constexpr Structure kSequence{.sequence = true}, kOptional{.optional = true}, kOptionalSequence{.sequence = true, .optional = true};

Type floats(Structure structure) { return Type::of(DType::kFloat32, {Dim::symbol("n"), 2}, structure); }
Tensor pair(std::vector<float> v) { return Tensor::of<float>({static_cast<int64_t>(v.size()) / 2, 2}, v); }

TEST(Type, SaysItsStructure) {
  EXPECT_EQ(floats({}).str(), "float32[n, 2]");
  EXPECT_EQ(floats(kSequence).str(), "sequence(float32[n, 2])");
  EXPECT_EQ(floats(kOptional).str(), "optional(float32[n, 2])");
  EXPECT_EQ(floats(kOptionalSequence).str(), "optional(sequence(float32[n, 2]))");
  EXPECT_TRUE(Type::of(DType::kFloat32, {2}).is_static());
  EXPECT_FALSE(Type::of(DType::kFloat32, {2}, kSequence).is_static());
  EXPECT_FALSE(Type::of(DType::kFloat32, {2}, kOptional).is_static());
  EXPECT_FALSE(floats({}).same_as(floats(kSequence)));
}

TEST(Type, TellsWhatAValueIsInstead) {
  const Tensor one = pair({1, 2}), three = pair({1, 2, 3, 4, 5, 6}), vector = Tensor::of<float>({3}, {1, 2, 3});
  const Tensor list = *Tensor::sequence(DType::kFloat32, {one, three}), empty = *Tensor::sequence(DType::kFloat32, {});
  const Tensor uneven = *Tensor::sequence(DType::kFloat32, {one, vector}), ints = *Tensor::sequence(DType::kInt64, {});
  const std::string mixed = "a sequence of 2 float32 tensors, of which item 1 is float32[3]";
  struct Row {
    Structure structure;
    const Tensor& value;
    std::optional<std::string> mismatch;
  };
  const Tensor none = Tensor::none();
  for (const Row& row : std::vector<Row>{{{}, one, {}},
                                         {{}, vector, "float32[3]"},
                                         {{}, list, "a sequence of 2 float32 tensors"},
                                         {{}, none, "none"},
                                         {kSequence, list, {}},
                                         {kSequence, empty, {}},
                                         {kSequence, uneven, mixed},
                                         {kSequence, ints, "a sequence of 0 int64 tensors"},
                                         {kSequence, one, "float32[1, 2]"},
                                         {kSequence, none, "none"},
                                         {kOptional, one, {}},
                                         {kOptional, none, {}},
                                         {kOptional, vector, "float32[3]"},
                                         {kOptional, list, "a sequence of 2 float32 tensors"},
                                         {kOptionalSequence, list, {}},
                                         {kOptionalSequence, empty, {}},
                                         {kOptionalSequence, none, {}},
                                         {kOptionalSequence, one, "float32[1, 2]"},
                                         {kOptionalSequence, uneven, mixed}}) {
    EXPECT_EQ(floats(row.structure).mismatch(row.value), row.mismatch) << floats(row.structure).str() << " given " << row.value.str();
  }
}

/// Every operator of the variant as it is by default.
template <size_t... I>
std::vector<Op> all_operators(std::index_sequence<I...>) {
  return {Op(std::in_place_index<I>)...};
}

TEST(Operators, RefuseWhatIsNoTensorUnlessTheySay) {
  const auto ops = all_operators(std::make_index_sequence<std::variant_size_v<OpVariant> - 1>());
  EXPECT_GT(ops.size(), 50u);
  for (const Op& op : ops) {
    if (std::holds_alternative<ops::Identity>(op)) continue;
    for (const Structure structure : {kSequence, kOptional, kOptionalSequence}) {
      const auto out = infer(op, {Type::of(DType::kBool, Shape{}), floats(structure)});
      ASSERT_FALSE(out.ok()) << op_name(op);
      expect_failure(out.status(), Code::kShape, {"input 1 is " + floats(structure).str() + ", expected a tensor"});
    }
  }
}

TEST(Operators, LoopTakesThemAsCarriedValuesOnly) {
  ops::Loop loop;
  loop.carried = 1;
  loop.results = {{DType::kFloat32, Shape::unranked(), kSequence}};
  const auto out = infer(Op(loop), {Type::none(), Type::none(), floats(kSequence)});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ((*out)[0].str(), "sequence(float32[...])");
  expect_failure(infer(Op(loop), {Type::of(DType::kInt64, Shape{}, kSequence), Type::none(), floats(kSequence)}).status(), Code::kShape,
                 {"input 0 is sequence(int64[])"});
}

TEST(Identity, PassesThemOn) {
  for (const Structure structure : {kSequence, kOptional, kOptionalSequence}) {
    const auto out = infer(Op(ops::Identity{}), {floats(structure)});
    ASSERT_TRUE(out.ok());
    EXPECT_TRUE((*out)[0].same_as(floats(structure)));
  }
  const Tensor y = test::run1(ops::Identity{}, {*Tensor::sequence(DType::kFloat32, {pair({1, 2}), pair({})})});
  ASSERT_EQ(y.items().size(), 2u);
  EXPECT_EQ(test::values<float>(y.items()[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(y.items()[1].dims(), (Dims{0, 2}));
  EXPECT_EQ(test::run1(ops::Identity{}, {Tensor::none(DType::kFloat32)}).kind(), Tensor::Kind::kNone);
}

}  // namespace
}  // namespace tenon
