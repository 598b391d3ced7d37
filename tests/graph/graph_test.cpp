#include "graph/graph.h"

#include <gtest/gtest.h>

#include "graph/patch.h"
#include "support/ops.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;
using testing_support::binary;
using testing_support::unary;

/// x -> Relu -> r; (r + x) -> y
struct Small {
  Graph g;
  ValueId x, r, y;
  Small() {
    x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2, Dim::symbol("n")}));
    r = (*g.add_node(0, unary(Unary::Kind::kRelu), {x}, {.name = "relu", .output_names = {"r"}}))[0];
    y = (*g.add_node(0, binary(Binary::Kind::kAdd), {r, x}, {.name = "add", .output_names = {"y"}}))[0];
    EXPECT_TRUE(g.add_output(0, y).ok());
  }
};

TEST(Graph, ValuesAreTypedWhenMade) {
  Small s;
  EXPECT_EQ(s.g.type(s.y).str(), "float32[2, n]");
  EXPECT_TRUE(validate(s.g).ok());
}

TEST(Graph, AnInferenceErrorNamesNodeOperatorAndInputs) {
  Small s;
  const ValueId w = s.g.add_constant(0, "w", Tensor::of<float>({3, 5}, std::vector<float>(15)));
  const auto bad = s.g.add_node(0, binary(Binary::Kind::kAdd), {s.x, w}, {.name = "bad", .source_op = "Add", .source_opset = 14});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), Code::kShape);
  const std::string text = bad.status().message();
  for (const char* word : {"bad", "Add", "opset 14", "'x'", "'w'", "[3, 5]"}) EXPECT_NE(text.find(word), std::string::npos) << text;
}

TEST(Graph, NamesStayUnique) {
  Graph g;
  const ValueId a = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1}));
  const ValueId b = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1}));
  EXPECT_NE(g.value(a).name, g.value(b).name);
}

TEST(Patch, ReplacesAndRemovesWhatIsNoLongerRead) {
  Small s;
  Patch patch(s.g, s.g.value(s.y).producer);
  ASSERT_TRUE(patch.become(unary(Unary::Kind::kAbs), {s.x}).ok());
  const auto done = patch.apply();
  ASSERT_TRUE(done.ok()) << done.status().message();
  EXPECT_EQ(s.g.live_nodes(), 1);
  EXPECT_TRUE(validate(s.g).ok()) << validate(s.g).message();
}

TEST(Patch, ATypeThatDisagreesChangesNothing) {
  Small s;
  const std::string before = dump(s.g);
  Patch patch(s.g, s.g.value(s.y).producer);
  const ValueId other = patch.constant(Tensor::of<int64_t>({2}, {1, 2}));
  patch.replace(s.y, other);
  EXPECT_FALSE(patch.apply().ok());
  EXPECT_EQ(dump(s.g), before);
  EXPECT_TRUE(validate(s.g).ok());
}

TEST(Patch, AnAbandonedPatchLeavesNoTrace) {
  Small s;
  const std::string before = dump(s.g);
  {
    Patch patch(s.g, s.g.value(s.y).producer);
    ASSERT_TRUE(patch.add1(unary(Unary::Kind::kAbs), {s.x}).ok());
  }
  EXPECT_EQ(dump(s.g), before);
  EXPECT_TRUE(validate(s.g).ok());
}

TEST(Graph, RemoveDeadKeepsWhatOutputsNeed) {
  Small s;
  ASSERT_TRUE(s.g.add_node(0, unary(Unary::Kind::kExp), {s.r}).ok());
  EXPECT_EQ(s.g.remove_dead(), 1);
  EXPECT_EQ(s.g.live_nodes(), 2);
  EXPECT_TRUE(validate(s.g).ok());
}

TEST(Validate, FindsABrokenOrder) {
  Small s;
  // A node that reads a value computed after it.
  s.g.set_inputs(s.g.value(s.r).producer, {s.y});
  EXPECT_EQ(validate(s.g).code(), Code::kInternal);
}

TEST(Print, DotAndTextNameEveryNode) {
  Small s;
  for (const std::string& text : {dump(s.g), to_dot(s.g)}) {
    for (const char* word : {"relu", "add", "float32[2, n]"}) EXPECT_NE(text.find(word), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace tenon
