// The rewrites that remove data movement: the smallest graphs that match, their neighbours that must not, equal results.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon {
namespace {

Tensor values(const Dims& dims, uint32_t seed) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  std::mt19937 gen(seed);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = static_cast<float>(static_cast<int>(gen() % 201) - 100) / 8;
  return Tensor::of<float>(dims, v);
}

class MovementPasses : public ::testing::Test {
 protected:
  /// An input; its first dim is a symbol when asked for, and `dims` what it is fed with.
  ValueId input(const Dims& dims, bool symbolic = false) {
    inputs_.push_back(values(dims, static_cast<uint32_t>(inputs_.size() + 1)));
    Shape shape = Shape::of(dims);
    if (symbolic) shape[0] = Dim::symbol("n");
    auto id = graph_.add_input(0, "x" + std::to_string(inputs_.size()), Type::of(DType::kFloat32, shape));
    EXPECT_TRUE(id.ok());
    return *id;
  }
  ValueId constant(const Dims& dims) { return graph_.add_constant(0, "c", values(dims, 77)); }
  ValueId ints(const std::vector<int64_t>& v) {
    return graph_.add_constant(0, "i", Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
  }
  ValueId add(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? (*out)[0] : kNone;
  }
  ValueId relu(ValueId x) { return add(ops::Unary{ops::Unary::Kind::kRelu}, {x}); }
  ValueId plus(ValueId a, ValueId b) { return add(ops::Binary{ops::Binary::Kind::kAdd}, {a, b}); }
  ValueId transpose(ValueId x, std::vector<int64_t> perm) { return add(ops::Transpose{std::move(perm)}, {x}); }
  void output(ValueId v) { EXPECT_TRUE(graph_.add_output(0, v).ok()); }

  std::vector<Tensor> run() {
    std::map<ValueId, Tensor> known;
    for (size_t i = 0; i < inputs_.size(); ++i) known[graph_.region(0).inputs[i]] = inputs_[i];
    for (const NodeId id : graph_.region(0).nodes) {
      const Node& node = graph_.node(id);
      if (node.dead) continue;
      std::vector<const Tensor*> in;
      for (const ValueId v : node.inputs) {
        in.push_back(v == kNone ? nullptr : graph_.value(v).constant ? graph_.value(v).constant.get() : &known.at(v));
      }
      auto out = evaluate(node.op, in, static_cast<int>(node.outputs.size()));
      EXPECT_TRUE(out.ok()) << out.status().message();
      if (!out.ok()) return {};
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i] != kNone) known[node.outputs[i]] = (*out)[i];
      }
    }
    std::vector<Tensor> results;
    for (const ValueId v : graph_.region(0).outputs) results.push_back(known.at(v));
    return results;
  }

  /// Runs `rule`: whether it matched, how many nodes are left, a valid graph, the same bits as before.
  void expect(NodeRule rule, bool matches, int nodes) {
    const auto before = run();
    auto done = run_pass(graph_, {.name = "rule", .rule = rule});
    ASSERT_TRUE(done.ok()) << done.status().message();
    EXPECT_EQ(*done > 0, matches);
    EXPECT_EQ(graph_.live_nodes(), nodes);
    const auto after = run();
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(before[i].dims(), after[i].dims());
      EXPECT_EQ(0, std::memcmp(before[i].data(), after[i].data(), before[i].bytes()));
    }
  }

  Graph graph_;
  std::vector<Tensor> inputs_;
};

class ResolveWhere : public MovementPasses {
 protected:
  ValueId where(const std::vector<bool>& c, ValueId x, ValueId y) {
    Tensor condition = Tensor::of<bool>({static_cast<int64_t>(c.size()), 1}, c);
    return add(ops::Where{}, {graph_.add_constant(0, "c", std::move(condition)), x, y});
  }
};

TEST_F(ResolveWhere, AllTrueAndAllFalse) {
  const ValueId x = input({2, 3}), y = input({2, 3});
  output(relu(where({true, true}, x, y)));
  output(relu(where({false, false}, x, y)));
  expect(passes::resolve_where, true, 2);
}
TEST_F(ResolveWhere, MixedAndBroadcastStay) {
  const ValueId x = input({2, 3}), narrow = input({1, 3});
  output(where({true, false}, x, narrow));
  output(where({false, false}, x, narrow));
  expect(passes::resolve_where, false, 2);
}

class RemoveNoOp : public MovementPasses {};

TEST_F(RemoveNoOp, ReshapeToItself) {
  output(relu(add(ops::Reshape{}, {input({2, 3}, true), ints({-1, 3})})));
  expect(passes::remove_no_op, true, 1);
}
TEST_F(RemoveNoOp, ReshapeToSomethingElseStays) {
  output(relu(add(ops::Reshape{}, {input({2, 3}, true), ints({3, -1})})));
  expect(passes::remove_no_op, false, 2);
}
TEST_F(RemoveNoOp, ExpandTileCastConcatPadSliceTranspose) {
  ValueId x = input({2, 3});
  x = add(ops::Expand{}, {x, ints({1, 3})});
  x = add(ops::Tile{}, {x, ints({1, 1})});
  x = add(ops::Cast{DType::kFloat32}, {x});
  x = add(ops::Concat{1}, {x});
  x = add(ops::Pad{}, {x, ints({0, 0, 0, 0})});
  x = add(ops::Slice{}, {x, ints({0}), ints({INT64_MAX}), ints({1})});
  x = transpose(x, {0, 1});
  output(relu(x));
  expect(passes::remove_no_op, true, 1);
}
TEST_F(RemoveNoOp, ShiftsReversalsAndRealCastsStay) {
  ValueId x = input({3, 3});
  x = add(ops::Pad{}, {x, ints({1, 0, -1, 0})});
  x = add(ops::Slice{}, {x, ints({-1}), ints({INT64_MIN}), ints({1}), ints({-1})});
  x = transpose(x, {1, 0});
  x = add(ops::Cast{DType::kFloat64}, {x});
  output(x);
  expect(passes::remove_no_op, false, 4);
}

class MergeReshapes : public MovementPasses {};

TEST_F(MergeReshapes, ChainsBecomeOne) {
  ValueId x = input({2, 3, 4}, true);
  x = add(ops::Unsqueeze{}, {x, ints({1})});
  x = add(ops::Reshape{}, {x, ints({0, 12})});
  x = add(ops::Flatten{1}, {x});
  x = add(ops::Reshape{}, {x, ints({-1, 6, 2})});
  output(relu(x));
  expect(passes::merge_reshapes, true, 2);
}
TEST_F(MergeReshapes, TwoSymbolicDimsStay) {
  const ValueId x = input({2, 3}, true);
  Type open = graph_.type(x);
  open.shape[1] = Dim::symbol("m");
  graph_.set_type(x, open);
  output(add(ops::Unsqueeze{}, {add(ops::Unsqueeze{}, {x, ints({0})}), ints({3})}));
  expect(passes::merge_reshapes, false, 2);
}
TEST_F(MergeReshapes, SymbolicDimsInTheirPlacesAreCopied) {
  const ValueId x = input({2, 3, 12}, true);
  Type open = graph_.type(x);
  open.shape[1] = Dim::symbol("m");
  graph_.set_type(x, open);
  output(add(ops::Reshape{}, {add(ops::Reshape{}, {x, ints({0, 0, 3, 4})}), ints({0, 0, 4, 3})}));
  expect(passes::merge_reshapes, true, 1);
}
TEST_F(MergeReshapes, ComputedShapesOfTheSameDimsBecomeConstants) {
  // Reshape(x, [shape of x at 0, shape of x at 1, 3, 4]) as exporters write it.
  const ValueId x = input({2, 5, 12}, true);
  Type open = graph_.type(x);
  open.shape[1] = Dim::symbol("m");
  graph_.set_type(x, open);
  const ValueId shape = add(ops::ShapeOf{}, {x});
  const auto dim = [&](int64_t i) { return add(ops::Gather{}, {shape, ints({i})}); };
  output(add(ops::Reshape{}, {x, add(ops::Concat{0}, {dim(0), dim(1), ints({3, 4})})}));
  expect(passes::merge_reshapes, true, 1);
}
TEST_F(MergeReshapes, AComputedShapeOfAnotherTensorIsStillChecked) {
  // Whether y is as long as x only the run can tell.
  const ValueId x = input({2, 12}, true), y = input({2, 5});
  Type open = graph_.type(y);
  open.shape[0] = Dim::symbol("other");
  graph_.set_type(y, open);
  const ValueId rows = add(ops::Gather{}, {add(ops::ShapeOf{}, {y}), ints({0})});
  output(add(ops::Reshape{}, {x, add(ops::Concat{0}, {rows, ints({3, 4})})}));
  expect(passes::merge_reshapes, false, 4);
}
TEST_F(MergeReshapes, ReshapeOfSomethingReadTwice) {
  const ValueId x = add(ops::Unsqueeze{}, {input({2, 3}), ints({0})});
  output(x);
  output(add(ops::Reshape{}, {x, ints({3, 2})}));
  expect(passes::merge_reshapes, true, 2);
}
TEST_F(MergeReshapes, TransposeOfDimsOfOne) {
  output(transpose(input({2, 1, 3, 1}, true), {1, 0, 3, 2}));
  expect(passes::merge_reshapes, true, 1);
  EXPECT_NE(graph_.producer_as<ops::Reshape>(graph_.region(0).outputs[0]), nullptr);
}
TEST_F(MergeReshapes, TransposeThatMovesStays) {
  output(transpose(input({2, 1, 3, 1}), {2, 1, 0, 3}));
  expect(passes::merge_reshapes, false, 1);
}
TEST_F(MergeReshapes, OneReshapeStays) {
  output(add(ops::Flatten{1}, {input({2, 3, 4})}));
  expect(passes::merge_reshapes, false, 1);
}

class CancelTransposes : public MovementPasses {};

TEST_F(CancelTransposes, InversePair) {
  output(relu(transpose(transpose(input({2, 3, 4}, true), {1, 2, 0}), {2, 0, 1})));
  expect(passes::cancel_transposes, true, 1);
}
TEST_F(CancelTransposes, PairBecomesOne) {
  output(transpose(transpose(input({2, 3, 4}), {1, 2, 0}), {1, 2, 0}));
  expect(passes::cancel_transposes, true, 1);
}
TEST_F(CancelTransposes, AcrossElementwiseOperators) {
  // Channels last between two convolutions, with a bias of the channels, a residual and a scalar.
  const ValueId x = transpose(input({2, 3, 4, 5}, true), {0, 2, 3, 1}), y = transpose(input({2, 3, 4, 5}, true), {0, 2, 3, 1});
  const ValueId sum = plus(plus(relu(plus(x, constant({3}))), y), constant({}));
  output(transpose(plus(sum, constant({4, 1, 3})), {0, 3, 1, 2}));
  expect(passes::cancel_transposes, true, 5);
}
TEST_F(CancelTransposes, AcrossConcat) {
  const ValueId x = transpose(input({2, 3, 4}), {0, 2, 1}), y = transpose(input({2, 5, 4}), {0, 2, 1});
  output(transpose(relu(add(ops::Concat{-1}, {x, y})), {0, 2, 1}));
  expect(passes::cancel_transposes, true, 2);
}
TEST_F(CancelTransposes, OneTransposedInputIsNotEnough) {
  output(transpose(plus(transpose(input({3, 4}), {1, 0}), input({4, 3})), {1, 0}));
  expect(passes::cancel_transposes, false, 3);
}
TEST_F(CancelTransposes, DifferentPermsStay) {
  const ValueId x = transpose(input({3, 3, 3}), {1, 0, 2}), y = transpose(input({3, 3, 3}), {0, 2, 1});
  output(transpose(plus(x, y), {1, 0, 2}));
  expect(passes::cancel_transposes, false, 4);
}
TEST_F(CancelTransposes, WhatOthersReadIsNotComputedTwice) {
  const ValueId middle = relu(transpose(input({3, 4}), {1, 0}));
  output(middle);
  output(transpose(middle, {1, 0}));
  expect(passes::cancel_transposes, false, 3);
}
TEST_F(CancelTransposes, OtherOperatorsBetweenStay) {
  output(transpose(add(ops::Softmax{.axis = 0}, {transpose(input({3, 4}), {1, 0})}), {1, 0}));
  expect(passes::cancel_transposes, false, 3);
}

TEST_F(MovementPasses, EqualSmallConstantsDoNotKeepNodesApart) {
  const ValueId x = input({2, 3});
  const auto scaled = [&](float by, const Dims& dims) {
    const ValueId factor = graph_.add_constant(0, "c", Tensor::of<float>(dims, {by}));
    return add(ops::Binary{ops::Binary::Kind::kMul}, {x, factor});
  };
  output(plus(plus(scaled(2, {}), scaled(2, {})), plus(scaled(3, {}), scaled(2, {1}))));
  const auto before = run();
  const auto done = passes::share_common_subexpressions(graph_);
  ASSERT_TRUE(done.ok() && *done);
  EXPECT_EQ(graph_.live_nodes(), 6);  // one of the four factors is a second 2 of the same dims
  const auto after = run();
  EXPECT_EQ(0, std::memcmp(before[0].data(), after[0].data(), before[0].bytes()));
}

}  // namespace
}  // namespace tenon
