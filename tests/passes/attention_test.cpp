// Attention as exporters write it.
#include <gtest/gtest.h>

#include "support/rewrite.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::MatMul;
using ops::Transpose;

class AttentionPasses : public test::RewriteTest {
 protected:
  ValueId mul(ValueId x, float s) { return add(Binary{Binary::Kind::kMul}, {x, constant(s)}); }
  ValueId plus(ValueId a, ValueId b) { return add(Binary{Binary::Kind::kAdd}, {a, b}); }
  ValueId transpose(ValueId x, std::vector<int64_t> perm) { return add(Transpose{std::move(perm)}, {x}); }
  ValueId matmul(ValueId a, ValueId b) { return add(MatMul{}, {a, b}); }
  ValueId softmax(ValueId x) { return add(ops::Softmax{}, {x}); }
  ValueId reshape(ValueId x, const std::vector<int64_t>& dims) {
    return add(ops::Reshape{}, {x, graph_.add_constant(0, "shape", Tensor::of<int64_t>({static_cast<int64_t>(dims.size())}, dims))});
  }
};

TEST_F(AttentionPasses, BertStyle) {
  const ValueId q = input({2, 9, 3, 8}), k = input({2, 9, 3, 8}), v = input({2, 9, 3, 8}), mask = input({2, 1, 1, 9});
  const ValueId scores = plus(mul(matmul(transpose(q, {0, 2, 1, 3}), transpose(k, {0, 2, 3, 1})), 0.25f), mask);
  output(transpose(matmul(softmax(scores), transpose(v, {0, 2, 1, 3})), {0, 2, 1, 3}));
  expect(passes::fuse_attention, 1, 2);
  expect(passes::absorb_attention_transpose, 1, 1);
}

TEST_F(AttentionPasses, ScaledOperandsAndNanToZero) {
  const ValueId q = input({2, 9, 3, 8}), k = input({2, 9, 3, 8}), v = input({2, 9, 3, 8}), mask = input({9, 9});
  const ValueId p = softmax(plus(matmul(mul(transpose(q, {0, 2, 1, 3}), 0.5f), mul(transpose(k, {0, 2, 3, 1}), 0.5f)), mask));
  const ValueId nan = add(ops::Unary{ops::Unary::Kind::kIsNaN}, {p});
  const ValueId safe = add(ops::Where{}, {nan, constant(0.0f), p});
  output(matmul(safe, transpose(v, {0, 2, 1, 3})));
  expect(passes::fuse_attention, 1, 1);
  for (const NodeId id : graph_.region(0).nodes) {
    if (graph_.node(id).dead) continue;
    EXPECT_TRUE(std::get<ops::Attention>(graph_.node(id).op).nan_to_zero);
  }
}

TEST_F(AttentionPasses, KeysTransposedWithHeadsRunTogether) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 5, 3, 8}), v = input({2, 3, 5, 8});
  const ValueId flat = transpose(reshape(transpose(k, {0, 2, 1, 3}), {6, 5, 8}), {0, 2, 1});
  output(matmul(softmax(matmul(q, mul(reshape(flat, {2, 3, 8, 5}), 0.5f))), v));
  expect(passes::fuse_attention, 1, 1);
}

TEST_F(AttentionPasses, PlainKeysAlreadyTransposed) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8});
  output(matmul(softmax(matmul(q, k)), v));
  expect(passes::fuse_attention, 1, 1);
}

TEST_F(AttentionPasses, ThreeDims) {
  const ValueId q = input({6, 9, 8}), k = input({6, 5, 8}), v = input({6, 5, 8});
  output(matmul(softmax(mul(matmul(q, transpose(k, {0, 2, 1})), 0.3f)), v));
  expect(passes::fuse_attention, 1, 1);
}

TEST_F(AttentionPasses, RepeatedHeads) {
  const ValueId q = input({1, 6, 2, 8}), k = input({1, 2, 5, 8}), v = input({1, 2, 5, 8});
  auto repeat = [&](ValueId x) {
    const ValueId axes = graph_.add_constant(0, "axes", Tensor::of<int64_t>({1}, {2}));
    const ValueId shape = graph_.add_constant(0, "wide", Tensor::of<int64_t>({5}, {1, 2, 3, 5, 8}));
    return reshape(add(ops::Expand{}, {add(ops::Unsqueeze{}, {x, axes}), shape}), {1, 6, 5, 8});
  };
  output(matmul(softmax(mul(matmul(q, transpose(repeat(k), {0, 1, 3, 2})), 0.3f)), repeat(v)));
  expect(passes::fuse_attention, 1, 1);
}

TEST_F(AttentionPasses, HalvesAreComputedInFloat32) {
  for (const DType half : {DType::kFloat16, DType::kBFloat16}) {
    graph_ = Graph();
    inputs_.clear();
    const auto cast = [&](ValueId x, DType to) { return add(ops::Cast{to}, {x}); };
    const ValueId q = cast(input({2, 3, 9, 8}), half), k = cast(input({2, 3, 8, 5}), half), v = cast(input({2, 3, 5, 8}), half);
    const ValueId p = cast(softmax(cast(matmul(q, k), DType::kFloat32)), half);
    output(cast(matmul(p, v), DType::kFloat32));
    expect(passes::fuse_attention, 1, 9, half == DType::kFloat16 ? 3e-3f : 3e-2f);
  }
}

TEST_F(AttentionPasses, ProbabilitiesWithAnotherReaderStay) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8});
  const ValueId p = softmax(matmul(q, k));
  output(matmul(p, v));
  output(p);
  expect(passes::fuse_attention, 0, 3);
}

TEST_F(AttentionPasses, OtherAxesAndBroadcastBatchesStay) {
  const ValueId q = input({2, 3, 5, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), one = input({1, 3, 5, 8});
  output(matmul(add(ops::Softmax{.axis = 2}, {matmul(q, k)}), v));
  expect(passes::fuse_attention, 0, 3);
  output(matmul(softmax(matmul(q, k)), one));
  expect(passes::fuse_attention, 0, 6);
}

TEST_F(AttentionPasses, MaskThatEnlargesTheScoresStays) {
  const ValueId q = input({1, 3, 9, 8}), k = input({1, 3, 8, 5}), v = input({1, 3, 5, 8}), mask = input({2, 1, 1, 5});
  output(matmul(softmax(plus(matmul(q, k), mask)), v));
  expect(passes::fuse_attention, 0, 4);
}

}  // namespace
}  // namespace tenon
