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

TEST_F(AttentionPasses, MaskedByAWhere) {
  for (const bool where_true : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), bits = input({2, 1, 1, 5});
    const ValueId condition = add(ops::Binary{Binary::Kind::kGreater}, {bits, constant(0.0f)}), scores = mul(matmul(q, k), 0.3f);
    std::vector<ValueId> choice{condition, scores, constant(-2.0f)};
    if (where_true) std::swap(choice[1], choice[2]);
    output(matmul(softmax(add(ops::Where{}, choice)), v));
    expect(passes::fuse_attention, 1, 3);
  }
}

/// What is past and present has a size of its own in the mask: only the keys may, since the values tell how many there are.
TEST_F(AttentionPasses, MasksOfSizesWithNamesOfTheirOwn) {
  for (const bool of_keys : {true, false}) {
    for (const bool by_where : {true, false}) {
      graph_ = Graph();
      inputs_.clear();
      const auto named = [&](const Dims& dims, size_t at, const char* name) {
        const ValueId id = input(dims);
        Type type = graph_.type(id);
        type.shape[at] = Dim::symbol(name);
        graph_.set_type(id, type);
        return id;
      };
      const ValueId q = named({2, 3, 9, 8}, 2, "queries"), k = named({2, 3, 5, 8}, 2, "keys"), v = named({2, 3, 5, 8}, 2, "keys");
      const ValueId mask = of_keys ? named({2, 1, 1, 5}, 3, "total") : named({2, 1, 9, 1}, 2, "total");
      const ValueId scores = mul(matmul(q, transpose(k, {0, 1, 3, 2})), 0.3f);
      const auto above = [&](ValueId x) { return add(ops::Binary{Binary::Kind::kGreater}, {x, constant(0.0f)}); };
      output(matmul(softmax(by_where ? add(ops::Where{}, {above(mask), scores, constant(-2.0f)}) : plus(scores, mask)), v));
      const int before = static_cast<int>(graph_.live_nodes());
      expect(passes::fuse_attention, of_keys ? 1 : 0, of_keys ? (by_where ? 3 : 1) : before);
    }
  }
}

TEST_F(AttentionPasses, MaskedByTwoSums) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), padding = input({2, 1, 1, 5}),
                causal = input({9, 5});
  output(matmul(softmax(plus(causal, plus(mul(matmul(q, k), 0.3f), padding))), v));
  expect(passes::fuse_attention, 1, 2);
}

/// As Swin: windows of images, of which those of one image have masks of their own, beside a bias of all.
TEST_F(AttentionPasses, MasksOfWindows) {
  for (const int64_t images : {1, 2}) {
    for (const bool five : {false, true}) {
      graph_ = Graph();
      inputs_.clear();
      const ValueId q = input({images * 4, 3, 9, 8}), k = input({images * 4, 3, 8, 9}), v = input({images * 4, 3, 9, 8}),
                    bias = input({3, 9, 9});
      const ValueId mask = input(five ? Dims{1, 4, 1, 9, 9} : Dims{4, 1, 9, 9});
      const ValueId wide = reshape(plus(mul(matmul(q, k), 0.3f), bias), {images, 4, 3, 9, 9});
      output(matmul(softmax(reshape(plus(wide, mask), {images * 4, 3, 9, 9})), v));
      expect(passes::fuse_attention, 1, 2 + (images > 1 ? 1 : 0) + (five ? 1 : 0));
    }
  }
}

/// Windows that are cut otherwise than they are put together, masks of heads in the place of windows, of each image, and of more.
TEST_F(AttentionPasses, MasksOfOtherWindowsStay) {
  const ValueId q = input({4, 4, 9, 8}), k = input({4, 4, 8, 9}), v = input({4, 4, 9, 8}), mask = input({4, 1, 9, 9});
  const auto attend = [&](std::vector<int64_t> cut, ValueId addend) {
    output(matmul(softmax(reshape(plus(reshape(matmul(q, k), cut), addend), {4, 4, 9, 9})), v));
  };
  attend({4, 2, 2, 9, 9}, input({2, 2, 9, 9}));
  attend({2, 2, 9, 4, 9}, input({9, 4, 9}));
  attend({1, 2, 8, 9, 9}, input({2, 1, 9, 9}));
  attend({2, 2, 4, 9, 9}, input({2, 1, 1, 9, 9}));
  output(matmul(softmax(reshape(plus(reshape(reshape(matmul(q, k), {2, 8, 9, 9}), {1, 4, 4, 9, 9}), mask), {4, 4, 9, 9})), v));
  expect(passes::fuse_attention, 0, static_cast<int>(graph_.live_nodes()));
}

TEST_F(AttentionPasses, MaskedByDifferences) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), a = input({2, 1, 1, 5}), b = input({9, 5});
  output(matmul(softmax(add(Binary{Binary::Kind::kSub}, {plus(matmul(q, k), a), b})), v));
  expect(passes::fuse_attention, 1, 2);
}

/// Three masks, a mask that scores are subtracted from, one that enlarges the scores.
TEST_F(AttentionPasses, OtherSumsStay) {
  const ValueId q = input({1, 3, 9, 8}), k = input({1, 3, 8, 5}), v = input({1, 3, 5, 8}), a = input({9, 5}), wide = input({2, 1, 1, 5});
  output(matmul(softmax(plus(plus(plus(matmul(q, k), a), a), a)), v));
  output(matmul(softmax(add(Binary{Binary::Kind::kSub}, {a, matmul(q, k)})), v));
  output(matmul(softmax(plus(add(Binary{Binary::Kind::kSub}, {matmul(q, k), wide}), a)), v));
  expect(passes::fuse_attention, 0, static_cast<int>(graph_.live_nodes()));
}

/// As Swin v2.
TEST_F(AttentionPasses, FactorsOfHeads) {
  const ValueId q = input({2, 9, 3, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), factor = input({3, 1, 1}), mask = input({9, 5});
  const ValueId scores = mul(matmul(transpose(q, {0, 2, 1, 3}), k), 0.3f);
  output(matmul(softmax(plus(add(Binary{Binary::Kind::kMul}, {factor, scores}), mask)), v));
  expect(passes::fuse_attention, 1, 3);
}

/// Factors of queries and of keys, of more batches than there are, and of what is masked.
TEST_F(AttentionPasses, OtherFactorsStay) {
  const ValueId q = input({1, 3, 9, 8}), k = input({1, 3, 8, 5}), v = input({1, 3, 5, 8}), mask = input({9, 5});
  const auto times = [&](ValueId a, ValueId b) { return add(Binary{Binary::Kind::kMul}, {a, b}); };
  output(matmul(softmax(times(matmul(q, k), input({9, 1}))), v));
  output(matmul(softmax(times(matmul(q, k), input({5}))), v));
  output(matmul(softmax(times(matmul(q, k), input({2, 1, 1, 1}))), v));
  output(matmul(softmax(times(plus(matmul(q, k), mask), input({3, 1, 1}))), v));
  expect(passes::fuse_attention, 0, static_cast<int>(graph_.live_nodes()));
}

TEST_F(AttentionPasses, CappedScores) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), mask = input({9, 5});
  const ValueId tanh = add(ops::Unary{ops::Unary::Kind::kTanh}, {mul(mul(matmul(q, k), 0.3f), 0.5f)});
  output(matmul(softmax(plus(mul(tanh, 2), mask)), v));
  expect(passes::fuse_attention, 1, 1);
  const auto& op = *graph_.producer_as<ops::Attention>(graph_.region(0).outputs[0]);
  EXPECT_FLOAT_EQ(op.softcap, 2);
  EXPECT_FLOAT_EQ(op.scale, 0.15f);
}

/// What is capped and masked is not capped again; a cap with another reader, or of 0, is none.
TEST_F(AttentionPasses, OtherTanhsStay) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), mask = input({9, 5});
  const auto tanh = [&](ValueId x) { return add(ops::Unary{ops::Unary::Kind::kTanh}, {x}); };
  output(matmul(softmax(tanh(plus(tanh(matmul(q, k)), mask))), v));
  output(matmul(softmax(mul(tanh(matmul(q, k)), 0)), v));
  const ValueId read = tanh(matmul(q, k));
  output(matmul(softmax(read), v));
  output(read);
  expect(passes::fuse_attention, 0, static_cast<int>(graph_.live_nodes()));
}

/// V P^T with images' channels as rows.
TEST_F(AttentionPasses, ValuesByColumn) {
  for (const bool absorbed : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId q = input({2, 3, 8, 9}), k = input({2, 3, 8, 5}), v = input({2, 3, 6, 5});
    const ValueId p = softmax(mul(matmul(transpose(q, {0, 1, 3, 2}), k), 0.3f));
    output(absorbed ? add(MatMul{.trans_b = true}, {v, p}) : matmul(v, transpose(p, {0, 1, 3, 2})));
    expect(passes::fuse_attention, 1, 4);
  }
}

TEST_F(AttentionPasses, ValuesByColumnOfRows) {
  const ValueId q = input({2, 9, 3, 8}), k = input({2, 5, 3, 8}), v = input({2, 5, 3, 6});
  const ValueId p = softmax(matmul(transpose(q, {0, 2, 1, 3}), transpose(k, {0, 2, 3, 1})));
  output(matmul(transpose(v, {0, 2, 3, 1}), transpose(p, {0, 1, 3, 2})));
  expect(passes::fuse_attention, 1, 2);
  EXPECT_EQ(graph_.type(graph_.region(0).outputs[0]).shape, (Shape{2, 3, 6, 9}));
}

TEST_F(AttentionPasses, ValuesByColumnOfThreeDims) {
  const ValueId q = input({6, 9, 8}), k = input({6, 8, 5}), v = input({6, 7, 5});
  output(matmul(v, transpose(softmax(matmul(q, k)), {0, 2, 1})));
  expect(passes::fuse_attention, 1, 3);
}

/// Probabilities turned otherwise, or read elsewhere.
TEST_F(AttentionPasses, OtherProductsWithProbabilitiesStay) {
  const ValueId q = input({2, 5, 5, 8}), k = input({2, 5, 8, 5}), v = input({2, 5, 5, 5});
  output(matmul(v, transpose(softmax(matmul(q, k)), {0, 2, 1, 3})));
  const ValueId turned = transpose(softmax(matmul(q, k)), {0, 1, 3, 2});
  output(matmul(v, turned));
  output(turned);
  output(matmul(v, softmax(matmul(q, k))));
  expect(passes::fuse_attention, 0, static_cast<int>(graph_.live_nodes()));
}

TEST_F(AttentionPasses, ChoicesThatAreNoMaskStay) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8}), other = input({2, 3, 9, 5}), one = input({2});
  const ValueId condition = add(ops::Binary{Binary::Kind::kGreater}, {other, constant(0.0f)});
  output(matmul(softmax(add(ops::Where{}, {condition, matmul(q, k), constant(0.0f)})), v));  // 0 leaves the score
  output(matmul(softmax(add(ops::Where{}, {condition, matmul(q, k), other})), v));
  const ValueId wide = add(ops::Binary{Binary::Kind::kGreater}, {reshape(one, {2, 1, 1, 1, 1}), constant(0.0f)});
  output(matmul(softmax(add(ops::Where{}, {wide, matmul(q, k), constant(-1.0f)})), v));
  expect(passes::fuse_attention, 0, 15);
}

TEST_F(AttentionPasses, SoftmaxThatFlattensBeforeTheLastDim) {
  const ValueId q = input({2, 3, 9, 8}), k = input({2, 3, 8, 5}), v = input({2, 3, 5, 8});
  output(matmul(add(ops::Softmax{.axis = 3, .flatten = true}, {matmul(q, k)}), v));
  output(matmul(add(ops::Softmax{.axis = 2, .flatten = true}, {matmul(q, k)}), v));
  expect(passes::fuse_attention, 1, 4);
}

TEST_F(AttentionPasses, ThreeDims) {
  const ValueId q = input({6, 9, 8}), k = input({6, 5, 8}), v = input({6, 5, 8});
  output(matmul(softmax(mul(matmul(q, transpose(k, {0, 2, 1})), 0.3f)), v));
  expect(passes::fuse_attention, 1, 1);
}

TEST_F(AttentionPasses, RowsBeforeHeadsWithoutABatch) {
  const ValueId q = input({9, 6, 8}), k = input({5, 6, 8}), v = input({5, 6, 8}), mask = input({9, 5});
  const ValueId scores = plus(matmul(mul(transpose(q, {1, 0, 2}), 0.3f), transpose(k, {1, 2, 0})), mask);
  output(transpose(matmul(softmax(scores), transpose(v, {1, 0, 2})), {1, 0, 2}));
  expect(passes::fuse_attention, 1, 2);
  expect(passes::absorb_attention_transpose, 1, 1);
}

/// As bart: a product for each of batch * heads, cut into heads for the mask alone.
TEST_F(AttentionPasses, HeadsThatRunTogetherWithTheBatch) {
  for (const bool masked : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const auto heads = [&](int64_t rows) { return reshape(transpose(input({2, rows, 3, 8}), {0, 2, 1, 3}), {6, rows, 8}); };
    const ValueId q = heads(9), k = heads(5), v = heads(5);
    ValueId scores = matmul(mul(q, 0.3f), transpose(k, {0, 2, 1}));
    if (masked) scores = reshape(plus(reshape(scores, {2, 3, 9, 5}), input({2, 1, 9, 5})), {6, 9, 5});
    output(transpose(reshape(matmul(softmax(scores), v), {2, 3, 9, 8}), {0, 2, 1, 3}));
    expect(passes::fuse_attention, 1, 4);
    expect(passes::absorb_attention_transpose, 1, 1);
  }
}

/// The mask is of other heads than the operands have, or of all heads in one dim.
TEST_F(AttentionPasses, HeadsCutOtherwiseForTheMask) {
  const auto heads = [&](int64_t rows) { return reshape(input({2, 3, rows, 8}), {6, rows, 8}); };
  const ValueId q = heads(9), k = heads(5), v = heads(5), q2 = heads(9);
  const ValueId other = reshape(matmul(q, transpose(k, {0, 2, 1})), {3, 2, 9, 5});
  output(matmul(softmax(reshape(plus(other, input({3, 1, 9, 5})), {6, 9, 5})), v));
  output(matmul(softmax(plus(matmul(q2, transpose(k, {0, 2, 1})), input({6, 9, 5}))), v));
  const int before = static_cast<int>(graph_.live_nodes());
  expect(passes::fuse_attention, 1, before - 4);  // the second alone, and in three dims
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

TEST_F(AttentionPasses, ScaleBehindAReshape) {
  const ValueId q = input({2, 9, 24}), k = input({2, 9, 24}), v = input({2, 3, 9, 8});
  const auto heads = [&](ValueId x) { return transpose(reshape(mul(x, 0.5f), {2, 9, 3, 8}), {0, 2, 1, 3}); };
  output(matmul(softmax(matmul(heads(q), transpose(heads(k), {0, 1, 3, 2}))), v));
  expect(passes::fuse_attention, 1, 3);
}

/// Q, K and V of [2, 9, 72], three heads of 8 elements each.
class AttentionOfOneProduct : public AttentionPasses {
 protected:
  ValueId ints(const std::vector<int64_t>& v) {
    return graph_.add_constant(0, "i", Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
  }
  ValueId heads(ValueId x) { return reshape(x, {2, 9, 3, 8}); }
  void attend(ValueId q, ValueId k, ValueId v) {
    output(add(ops::Attention{.scale = 0.3f, .q_by_row = true, .k_by_row = true, .v_by_row = true}, {heads(q), heads(k), heads(v)}));
  }
  const ops::Attention& attention() { return *graph_.producer_as<ops::Attention>(graph_.region(0).outputs[0]); }
};

TEST_F(AttentionOfOneProduct, CutBySplit) {
  const ValueId x = input({2, 9, 72});
  const auto parts = *graph_.add_node(0, ops::Split{.axis = -1, .outputs = 3}, {x}, {.output_names = {"a", "b", "c"}});
  attend(parts[2], parts[0], parts[1]);
  expect(passes::absorb_attention_split, 1, 4);
  EXPECT_EQ(attention().q_heads, (ops::Attention::Window{6, 3}));
}

TEST_F(AttentionOfOneProduct, CutBySlices) {
  const ValueId x = input({2, 9, 72});
  const auto part = [&](int64_t first, int64_t end) { return add(ops::Slice{}, {x, ints({first}), ints({end}), ints({2})}); };
  attend(part(0, 24), part(24, -24), part(-24, INT64_MAX));
  expect(passes::absorb_attention_split, 1, 4);
}

TEST_F(AttentionOfOneProduct, TakenApartAfterATranspose) {
  const ValueId x = input({2, 9, 72});
  const ValueId by_head = transpose(reshape(x, {2, 9, 3, 3, 8}), {2, 0, 3, 1, 4});
  const auto part = [&](int64_t i) { return add(ops::Gather{}, {by_head, graph_.add_constant(0, "i", Tensor::scalar<int64_t>(i))}); };
  output(add(ops::Attention{.scale = 0.3f}, {part(0), part(1), part(-1)}));
  expect(passes::absorb_attention_split, 1, 4);
  EXPECT_EQ(attention().v_heads, (ops::Attention::Window{6, 3}));
}

TEST_F(AttentionOfOneProduct, PartsThatAreNoHeadsStay) {
  const ValueId x = input({2, 9, 76});
  const auto part = [&](int64_t first) { return add(ops::Slice{}, {x, ints({first}), ints({first + 24}), ints({-1})}); };
  attend(part(0), part(24), part(50));
  expect(passes::absorb_attention_split, 0, 7);
}

TEST_F(AttentionOfOneProduct, PartsOfTheRowsStay) {
  const ValueId x = input({6, 9, 24});
  const auto part = [&](int64_t first) { return add(ops::Slice{}, {x, ints({first}), ints({first + 2}), ints({0})}); };
  attend(part(0), part(2), part(4));
  expect(passes::absorb_attention_split, 0, 7);
}

class RotaryPasses : public AttentionOfOneProduct {
 protected:
  ValueId sub(ValueId a, ValueId b) { return add(Binary{Binary::Kind::kSub}, {a, b}); }
  ValueId times(ValueId a, ValueId b) { return add(Binary{Binary::Kind::kMul}, {a, b}); }
  ValueId half(ValueId x, bool second) {
    return add(ops::Slice{}, {x, ints({second ? 4 : 0}), ints({second ? INT64_MAX : 4}), ints({3}), ints({1})});
  }
  ValueId part(ValueId x, int64_t start, int64_t end, int64_t step = 1) {
    return add(ops::Slice{}, {x, ints({start}), ints({end}), ints({-1}), ints({step})});
  }
  ValueId concat(ValueId a, ValueId b) { return add(ops::Concat{-1}, {a, b}); }
  ValueId unsqueeze(ValueId x) { return add(ops::Unsqueeze{}, {x, ints({-1})}); }
  ValueId stack(ValueId a, ValueId b, const std::vector<int64_t>& dims) { return reshape(concat(unsqueeze(a), unsqueeze(b)), dims); }
  ValueId negative(ValueId x) { return add(ops::Unary{ops::Unary::Kind::kNeg}, {x}); }
  ValueId rotated(ValueId x) { return concat(add(ops::Unary{ops::Unary::Kind::kNeg}, {half(x, true)}), half(x, false)); }
};

TEST_F(RotaryPasses, ByRotation) {
  const ValueId x = input({2, 9, 3, 8}), cos = input({1, 1, 9, 8}), sin = input({9, 8});
  const ValueId heads = transpose(x, {0, 2, 1, 3});
  output(plus(times(heads, cos), times(rotated(heads), sin)));
  expect(passes::fuse_rotary_embedding, 1, 1);
}

TEST_F(RotaryPasses, ByRotationOfASplit) {
  const ValueId x = input({2, 3, 9, 8}), cos = input({2, 1, 9, 8}), sin = input({2, 1, 9, 8});
  const auto parts = *graph_.add_node(0, ops::Split{.axis = 3, .outputs = 2}, {x}, {.output_names = {"a", "b"}});
  output(plus(times(sin, concat(mul(parts[1], -1.0f), parts[0])), times(cos, x)));
  expect(passes::fuse_rotary_embedding, 1, 1);
}

TEST_F(RotaryPasses, ByHalves) {
  const ValueId x = input({2, 9, 3, 8}), cos = input({1, 9, 1, 4}), sin = input({1, 9, 1, 4});
  const ValueId a = half(x, false), b = half(x, true);
  output(concat(sub(times(a, cos), times(b, sin)), plus(times(a, sin), times(cos, b))));
  expect(passes::fuse_rotary_embedding, 1, 1);
}

TEST_F(RotaryPasses, NeighboursByRotation) {
  const ValueId x = input({2, 3, 9, 8}), cos = input({9, 8}), sin = input({9, 8});
  const ValueId turned = stack(negative(part(x, 1, INT64_MAX, 2)), part(x, 0, INT64_MAX, 2), {2, 3, 9, 8});
  output(plus(times(x, cos), times(turned, sin)));
  expect(passes::fuse_rotary_embedding, 1, 1);
}

TEST_F(RotaryPasses, NeighboursOneByOne) {
  const ValueId x = input({2, 9, 3, 8}), cos = input({9, 4}), sin = input({9, 4});
  const ValueId pairs = reshape(transpose(x, {0, 2, 1, 3}), {2, 3, 9, 4, 2});
  const auto element = [&](int64_t i) {
    return add(ops::Gather{.axis = 4}, {pairs, graph_.add_constant(0, "index", Tensor::scalar<int64_t>(i))});
  };
  const ValueId a = element(0), b = element(1);
  output(stack(sub(times(a, cos), times(b, sin)), plus(times(a, sin), times(b, cos)), {2, 3, 9, 8}));
  expect(passes::fuse_rotary_embedding, 1, 1);
}

TEST_F(RotaryPasses, FirstElementsOnly) {
  for (const bool interleaved : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId x = input({2, 9, 3, 12}), cos = input({9, 8}), sin = input({9, 8});
    const ValueId heads = transpose(x, {0, 2, 1, 3}), first = part(heads, 0, 8);
    const ValueId turned =
        interleaved ? stack(negative(part(first, 1, INT64_MAX, 2)), part(first, 0, INT64_MAX, 2), {2, 3, 9, 8}) : rotated(first);
    output(concat(plus(times(first, cos), times(turned, sin)), part(heads, 8, 12)));
    expect(passes::fuse_rotary_embedding, 2, 1);
  }
}

TEST_F(RotaryPasses, FirstElementsOfHalves) {
  const auto cast = [&](ValueId x, DType to) { return add(ops::Cast{to}, {x}); };
  const ValueId x = cast(input({2, 3, 9, 12}), DType::kFloat16), cos = cast(input({9, 8}), DType::kFloat16), first = part(x, 0, 8);
  const ValueId sin = cast(input({9, 8}), DType::kFloat16);
  output(cast(concat(plus(times(first, cos), times(rotated(first), sin)), part(x, 8, 12)), DType::kFloat32));
  expect(passes::fuse_rotary_embedding, 2, 9, 2e-2f);
}

TEST_F(RotaryPasses, OtherPartsAreNotJoined) {
  const ValueId x = input({2, 3, 9, 12}), z = input({2, 3, 9, 12}), cos = input({9, 8}), sin = input({9, 8});
  const auto turned = [&](ValueId first) { return plus(times(first, cos), times(rotated(first), sin)); };
  output(concat(turned(part(x, 0, 8)), part(z, 8, 12)));  // of another tensor
  output(concat(turned(part(x, 0, 8)), part(x, 7, 11)));  // not what follows
  output(concat(part(x, 8, 12), turned(part(x, 0, 8))));  // the other way round
  output(concat(turned(part(x, 4, 12)), part(x, 0, 4)));
  expect(passes::fuse_rotary_embedding, 4, 16);
}

TEST_F(RotaryPasses, NeighboursInAnotherOrderStay) {
  const ValueId x = input({2, 3, 9, 8}), cos = input({9, 8}), sin = input({9, 8});
  const ValueId even = part(x, 0, INT64_MAX, 2), odd = part(x, 1, INT64_MAX, 2);
  output(plus(times(x, cos), times(stack(negative(even), odd, {2, 3, 9, 8}), sin)));
  output(plus(times(x, cos), times(concat(negative(odd), even), sin)));  // taken apart one way and joined another
  output(plus(times(x, cos), times(stack(negative(half(x, true)), half(x, false), {2, 3, 9, 8}), sin)));
  expect(passes::fuse_rotary_embedding, 0, static_cast<int>(graph_.live_nodes()));
}

TEST_F(RotaryPasses, HalvesAreComputedInFloat32) {
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    graph_ = Graph();
    inputs_.clear();
    const auto cast = [&](ValueId x, DType to) { return add(ops::Cast{to}, {x}); };
    const ValueId x = cast(input({2, 3, 9, 8}), dtype), cos = cast(input({1, 1, 9, 8}), dtype), sin = cast(input({1, 1, 9, 8}), dtype);
    output(cast(plus(times(x, cos), times(rotated(x), sin)), DType::kFloat32));
    expect(passes::fuse_rotary_embedding, 1, 9, dtype == DType::kFloat16 ? 2e-2f : 2e-1f);
  }
}

TEST_F(RotaryPasses, NeighboursStay) {
  const ValueId x = input({2, 3, 9, 8}), z = input({2, 3, 9, 8}), cos = input({1, 1, 9, 8}), sin = input({1, 1, 9, 8});
  output(plus(times(x, cos), times(rotated(z), sin)));                             // of another x
  output(plus(times(x, cos), times(concat(half(x, true), half(x, false)), sin)));  // nothing negated
  output(
      plus(times(x, cos), times(concat(half(x, false), add(ops::Unary{ops::Unary::Kind::kNeg}, {half(x, true)})), sin)));  // the wrong way
  const ValueId turned = rotated(x);
  output(turned);  // with another reader
  output(plus(times(x, cos), times(turned, sin)));
  expect(passes::fuse_rotary_embedding, 0, static_cast<int>(graph_.live_nodes()));
}

TEST_F(RotaryPasses, AnglesThatEnlargeTheResultStay) {
  const ValueId x = input({1, 3, 9, 8}), cos = input({2, 1, 9, 8}), sin = input({2, 1, 9, 8});
  output(plus(times(x, cos), times(rotated(x), sin)));
  expect(passes::fuse_rotary_embedding, 0, 7);
}

}  // namespace
}  // namespace tenon
