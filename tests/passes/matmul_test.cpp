// The rewrites around MatMul: the smallest graph that matches, its neighbours that must not, and equal results before and after.
#include <gtest/gtest.h>

#include "support/rewrite.h"

namespace tenon {
namespace {

using test::values;
class MatMulPasses : public test::RewriteTest {};

using ops::Binary;
using ops::MatMul;
using ops::Unary;
constexpr auto kAdd = Binary::Kind::kAdd;

TEST_F(MatMulPasses, BiasThenResidual) {
  const ValueId x = input({2, 5, 8}), r = input({2, 5, 6});
  const ValueId y = add(MatMul{}, {x, constant({8, 6})});
  const ValueId biased = add(Binary{kAdd}, {constant({6}), y});
  output(add(Binary{kAdd}, {biased, r}));
  expect(passes::fuse_matmul_addend, 2, 1);
}

TEST_F(MatMulPasses, ResidualThenBias) {
  const ValueId x = input({2, 5, 8}), r = input({2, 5, 6});
  const ValueId y = add(MatMul{}, {x, constant({8, 6})});
  const ValueId sum = add(Binary{kAdd}, {r, y});
  output(add(Binary{kAdd}, {sum, constant({1, 6})}));
  expect(passes::fuse_matmul_addend, 2, 1);
}

TEST_F(MatMulPasses, ResidualAndActivationBehindAReshape) {
  const ValueId x = input({10, 8}), r = input({2, 5, 6});
  const ValueId shape = graph_.add_constant(0, "shape", Tensor::of<int64_t>({3}, {2, 5, 6}));
  const ValueId y = add(ops::Reshape{}, {add(MatMul{}, {x, constant({8, 6}), constant({6})}), shape});
  const ValueId sum = add(Binary{kAdd}, {r, y});
  output(add(Unary{Unary::Kind::kGelu}, {sum}));
  expect(passes::fuse_matmul_addend, 1, 4);
  expect(passes::fuse_matmul_activation, 1, 3);
}

TEST_F(MatMulPasses, ScaleAndBiasOfColumns) {
  for (const bool trans_b : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId y = add(MatMul{.trans_b = trans_b, .alpha = 2}, {input({2, 5, 8}), constant(trans_b ? Dims{6, 8} : Dims{8, 6})});
    const ValueId biased = add(Binary{kAdd}, {constant({1, 6}), y});
    const ValueId scaled = add(Binary{Binary::Kind::kMul}, {biased, constant(Dims{6})});
    output(add(Binary{Binary::Kind::kSub}, {scaled, constant(Dims{6})}));
    expect(passes::fold_matmul_scale, 3, 1);
  }
}

TEST_F(MatMulPasses, ScaleOfColumnsThatWereMoved) {
  const ValueId x = input({2, 4, 3, 8}), shape = graph_.add_constant(0, "shape", Tensor::of<int64_t>({3}, {2, 12, 6}));
  const ValueId y = add(ops::Reshape{}, {add(MatMul{}, {x, constant({8, 6}), constant(Dims{6})}), shape});
  output(add(Binary{Binary::Kind::kMul}, {add(ops::Transpose{{0, 2, 1}}, {y}), constant({6, 1})}));
  expect(passes::fold_matmul_scale, 1, 3);
}

/// Columns cut into heads, of which a constant has numbers of its own for each, for heads or for the elements of heads.
TEST_F(MatMulPasses, ScaleOfColumnsThatWereCut) {
  const ValueId heads = graph_.add_constant(0, "shape", Tensor::of<int64_t>({4}, {2, 5, 3, 2}));
  ValueId y = add(ops::Reshape{}, {add(MatMul{}, {input({2, 5, 8}), constant({8, 6})}), heads});
  y = add(Binary{kAdd}, {y, constant(Dims{3, 2})});
  y = add(Binary{Binary::Kind::kMul}, {constant(Dims{3, 1}), y});
  y = add(ops::Transpose{{2, 3, 1, 0}}, {y});
  output(add(Binary{Binary::Kind::kSub}, {y, constant(Dims{2, 1, 1})}));
  expect(passes::fold_matmul_scale, 3, 3);
}

TEST_F(MatMulPasses, NormalisationOfColumns) {
  const auto positive = [&] { return graph_.add_constant(0, "v", Tensor::of<float>({6}, {1, 2, 3, 4, 5, 6})); };
  const ValueId y = add(MatMul{.matrices = true, .beta = 0.5f}, {input({5, 8}), constant({8, 6}), constant(Dims{6})});
  output(add(ops::BatchNormalization{}, {y, constant(Dims{6}), constant(Dims{6}), constant(Dims{6}), positive()}));
  expect(passes::fold_matmul_scale, 1, 1);
}

/// Normalised along the rows, by a variance that has no root; scaled by rows, by more than there is, by an infinite number, of weights read
/// elsewhere; columns in another order; what fuse_matmul_scale does.
TEST_F(MatMulPasses, OtherScalesStay) {
  const ValueId x = input({2, 6, 8}), w = constant({8, 6}), heads = graph_.add_constant(0, "s", Tensor::of<int64_t>({4}, {2, 6, 3, 2}));
  const auto mul = [&](ValueId a, ValueId b) { output(add(Binary{Binary::Kind::kMul}, {a, b})); };
  const auto product = [&](std::vector<ValueId> in) { return add(MatMul{}, std::move(in)); };
  const auto fresh = [&] { return product({x, constant({8, 6})}); };
  const auto vector = [&](float v) { return graph_.add_constant(0, "v", Tensor::of<float>({6}, std::vector<float>(6, v))); };
  output(add(ops::BatchNormalization{}, {fresh(), constant(Dims{6}), constant(Dims{6}), constant(Dims{6}), vector(1)}));
  output(add(ops::BatchNormalization{},
             {product({input({2, 8}), constant({8, 6})}), constant(Dims{6}), constant(Dims{6}), constant(Dims{6}), vector(-1)}));
  mul(fresh(), constant({6, 1}));
  mul(fresh(), constant({3, 1, 1, 6}));
  mul(fresh(), constant({2, 6, 6}));
  output(add(Binary{Binary::Kind::kDiv}, {fresh(), vector(0)}));
  output(add(Binary{Binary::Kind::kDiv}, {vector(2), fresh()}));
  mul(product({x, w}), constant(Dims{6}));
  mul(product({x, w}), constant(3.0f));
  mul(fresh(), input({6}));
  mul(fresh(), constant(3.0f));
  mul(product({x, constant({8, 6}), input({6})}), constant(Dims{6}));
  mul(product({x, constant({8, 6}), kNone, input({2, 6, 6})}), constant(Dims{6}));
  mul(add(ops::Reshape{}, {fresh(), heads}), constant(Dims{6, 1, 1}));
  mul(add(ops::Transpose{{0, 1, 3, 2}}, {add(ops::Reshape{}, {fresh(), heads})}), constant(Dims{2, 3}));
  mul(add(ops::Transpose{{0, 2, 1}}, {fresh()}), constant(Dims{6}));
  const ValueId read = fresh();
  mul(read, constant(Dims{6}));
  output(read);
  expect(passes::fold_matmul_scale, 0, graph_.live_nodes());
}

TEST_F(MatMulPasses, AddendThatEnlargesTheProductStays) {
  const ValueId x = input({1, 8});
  output(add(Binary{kAdd}, {add(MatMul{}, {x, constant({8, 6})}), constant({4, 6})}));
  expect(passes::fuse_matmul_addend, 0, 2);
}

TEST_F(MatMulPasses, ProductWithAnotherReaderStays) {
  const ValueId x = input({3, 8});
  const ValueId y = add(MatMul{}, {x, constant({8, 6})});
  output(add(Binary{kAdd}, {y, constant({6})}));
  output(y);
  expect(passes::fuse_matmul_addend, 0, 2);
}

TEST_F(MatMulPasses, AddAfterActivationStays) {
  const ValueId x = input({3, 8});
  MatMul op;
  op.activation.low = 0;
  output(add(Binary{kAdd}, {add(op, {x, constant({8, 6})}), constant({6})}));
  expect(passes::fuse_matmul_addend, 0, 2);
}

TEST_F(MatMulPasses, Activations) {
  for (const auto kind : {Unary::Kind::kRelu, Unary::Kind::kGelu, Unary::Kind::kSigmoid, Unary::Kind::kHardSwish}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId x = input({9, 8});
    output(add(Unary{kind}, {add(MatMul{}, {x, constant({8, 40}), constant({40})})}));
    expect(passes::fuse_matmul_activation, 1, 1);
  }
}

TEST_F(MatMulPasses, ClipWithConstantBounds) {
  const ValueId x = input({9, 8});
  output(add(ops::Clip{}, {add(MatMul{}, {x, constant({8, 40})}), constant(-0.5f), constant(1.0f)}));
  expect(passes::fuse_matmul_activation, 1, 1);
}

TEST_F(MatMulPasses, ClipWithComputedBoundStays) {
  const ValueId x = input({9, 8}), low = input({});
  output(add(ops::Clip{}, {add(MatMul{}, {x, constant({8, 40})}), low}));
  expect(passes::fuse_matmul_activation, 0, 2);
}

TEST_F(MatMulPasses, Scale) {
  const ValueId x = input({9, 8}), y = input({8, 5});
  const ValueId scaled = add(Binary{Binary::Kind::kDiv}, {add(MatMul{}, {x, y}), constant(8.0f)});
  output(add(Binary{Binary::Kind::kMul}, {constant(3.0f), scaled}));
  expect(passes::fuse_matmul_scale, 2, 1);
}

TEST_F(MatMulPasses, DivisionOfAScalarByTheProductStays) {
  const ValueId x = input({9, 8}), y = input({8, 5});
  output(add(Binary{Binary::Kind::kDiv}, {constant(8.0f), add(MatMul{}, {x, y})}));
  auto done = run_pass(graph_, {.name = "scale", .rule = passes::fuse_matmul_scale});
  EXPECT_EQ(*done, 0);
}

TEST_F(MatMulPasses, Transposes) {
  const ValueId x = input({2, 8, 9}), y = input({2, 5, 8});
  const ValueId xt = add(ops::Transpose{{0, 2, 1}}, {x}), yt = add(ops::Transpose{{0, 2, 1}}, {y});
  output(add(MatMul{}, {xt, yt}));
  expect(passes::absorb_matmul_transpose, 1, 1);
}

TEST_F(MatMulPasses, OtherTransposesStay) {
  const ValueId x = input({9, 2, 8}), y = input({2, 8, 5});
  output(add(MatMul{}, {add(ops::Transpose{{1, 0, 2}}, {x}), y}));
  expect(passes::absorb_matmul_transpose, 0, 2);
}

TEST_F(MatMulPasses, WeightsArePackedOnceAndKeepTheirShape) {
  const ValueId x = input({2, 5, 8}), z = input({2, 6});
  const ValueId w = constant({8, 6});
  const ValueId y = add(MatMul{}, {x, w});
  output(y);
  output(add(MatMul{.trans_b = true}, {z, w}));
  output(add(MatMul{}, {input({3, 8}), w}));
  auto done = run_pass(graph_, {.name = "pack", .whole = passes::pack_weights});
  ASSERT_TRUE(done.ok()) << done.status().message();
  const Status valid = validate(graph_);
  EXPECT_TRUE(valid.ok()) << valid.message();
  std::vector<ValueId> weights;
  for (const NodeId id : graph_.region(0).nodes) {
    const Node& node = graph_.node(id);
    if (node.dead) continue;
    EXPECT_FALSE(std::get<MatMul>(node.op).trans_b);
    EXPECT_EQ(graph_.type(node.inputs[1]).layout.kind, Layout::Kind::kPacked);
    weights.push_back(node.inputs[1]);
  }
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_EQ(weights[0], weights[2]);
  EXPECT_NE(weights[0], weights[1]);
  EXPECT_EQ(graph_.type(weights[1]).shape, (Shape{6, 8}));
  EXPECT_EQ(*run_pass(graph_, {.name = "pack", .whole = passes::pack_weights}), 0);
}

/// Rows of a table, then their product with the table itself or its transpose, as language models have it.
class TiedEmbedding : public test::RewriteTest {
 protected:
  ValueId indices() { return graph_.add_constant(0, "ids", Tensor::of<int64_t>({3}, {0, -1, 17})); }
  /// Packs, and says how many nodes take rows out of the packed table.
  int pack() {
    const auto done = run_pass(graph_, {.name = "pack", .whole = passes::pack_weights});
    EXPECT_TRUE(done.ok()) << done.status().message();
    graph_.remove_dead();
    EXPECT_TRUE(validate(graph_).ok());
    int count = 0;
    for (const NodeId id : graph_.region(0).nodes) count += std::holds_alternative<ops::GatherPacked>(graph_.node(id).op);
    return count;
  }
};

TEST_F(TiedEmbedding, IsKeptOnceAndPacked) {
  const ValueId table = constant({40, 24}), rows = add(ops::Gather{0}, {table, indices()});
  output(add(MatMul{.trans_b = true}, {rows, table}));
  EXPECT_EQ(pack(), 1);
  EXPECT_EQ(graph_.value(table).constant, nullptr);
}

TEST_F(TiedEmbedding, RowsOfWeightsThatAreNotTransposed) {
  const ValueId table = constant({40, 24});
  output(add(MatMul{}, {input({2, 40}), table}));
  output(add(ops::Gather{-2}, {table, indices()}));
  EXPECT_EQ(pack(), 1);
  EXPECT_EQ(graph_.value(table).constant, nullptr);
}

TEST_F(TiedEmbedding, StaysPlainForOtherReaders) {
  const ValueId table = constant({40, 24});
  output(add(MatMul{}, {input({2, 40}), table}));
  output(add(ops::Gather{1}, {table, indices()}));  // columns
  EXPECT_EQ(pack(), 0);
  output(add(ops::Gather{0}, {table, indices()}));
  EXPECT_EQ(pack(), 0);
  EXPECT_NE(graph_.value(table).constant, nullptr);
}

}  // namespace
}  // namespace tenon
