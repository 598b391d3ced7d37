// The passes that recognise activations and normalisations: every spelling, near misses, and equal results before and after.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon {
namespace {

using B = ops::Binary::Kind;
using U = ops::Unary::Kind;

class Fusion : public ::testing::Test {
 protected:
  ValueId input(Dims dims) {
    int64_t n = 1;
    for (const int64_t d : dims) n *= d;
    std::mt19937 random(static_cast<unsigned>(inputs_.size() + 1));
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) x = static_cast<float>(static_cast<int>(random() % 1001) - 500) / 125;
    inputs_.push_back(Tensor::of(dims, v));
    return *graph_.add_input(0, "x" + std::to_string(inputs_.size()), Type::of(DType::kFloat32, Shape::of(dims)));
  }
  ValueId constant(float x) { return graph_.add_constant(0, "", Tensor::scalar(x)); }
  ValueId constant(Dims dims, std::vector<float> v) { return graph_.add_constant(0, "", Tensor::of(std::move(dims), v)); }
  ValueId add(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return out.ok() ? (*out)[0] : kNone;
  }
  ValueId binary(B kind, ValueId a, ValueId b) { return add(ops::Binary{kind}, {a, b}); }
  ValueId binary(B kind, ValueId a, float b) { return binary(kind, a, constant(b)); }
  ValueId binary(B kind, float a, ValueId b) { return binary(kind, constant(a), b); }
  ValueId unary(U kind, ValueId a, float alpha = 0, float beta = 0) { return add(ops::Unary{kind, alpha, beta}, {a}); }
  ValueId mean(ValueId x, std::vector<int64_t> axes) {
    const ValueId a = graph_.add_constant(0, "", Tensor::of<int64_t>({int64_t(axes.size())}, axes));
    return add(ops::Reduce{ops::Reduce::Kind::kMean}, {x, a});
  }

  Tensor run() {
    std::map<ValueId, Tensor> known;
    for (size_t i = 0; i < inputs_.size(); ++i) known[graph_.region(0).inputs[i]] = inputs_[i];
    for (const NodeId id : graph_.region(0).nodes) {
      const Node& node = graph_.node(id);
      if (node.dead) continue;
      std::vector<const Tensor*> in;
      for (const ValueId v : node.inputs)
        in.push_back(v == kNone ? nullptr : graph_.value(v).constant ? graph_.value(v).constant.get() : &known.at(v));
      auto out = evaluate(node.op, in);
      EXPECT_TRUE(out.ok()) << out.status().message();
      known[node.outputs[0]] = (*out)[0];
    }
    return known.at(graph_.region(0).outputs[0]);
  }

  /// Makes `y` the output, runs `rule`, and expects `nodes` of them left, a valid graph and unchanged results.
  void expect(ValueId y, NodeRule rule, int nodes) {
    ASSERT_TRUE(graph_.add_output(0, y).ok());
    const Tensor before = run();
    auto done = run_pass(graph_, {.name = "rule", .rule = rule});
    ASSERT_TRUE(done.ok()) << done.status().message();
    EXPECT_EQ(graph_.live_nodes(), nodes) << dump(graph_);
    const Status valid = validate(graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    const Tensor after = run();
    ASSERT_EQ(before.dims(), after.dims());
    for (int64_t i = 0; i < before.count(); ++i) ASSERT_NEAR(before.as<float>()[i], after.as<float>()[i], 2e-5) << i;
  }
  template <class X>
  const X* only() {
    for (const NodeId id : graph_.region(0).nodes)
      if (!graph_.node(id).dead) return std::get_if<X>(&graph_.node(id).op);
    return nullptr;
  }

  Graph graph_;
  std::vector<Tensor> inputs_;
};

// Erf GELU, as torch, as optimum, with the half first, with a Mul by 1/sqrt 2.
TEST_F(Fusion, GeluErfHalfLast) {
  const ValueId x = input({3, 8});
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.41421356f)), 1.0f);
  expect(binary(B::kMul, binary(B::kMul, x, gate), 0.5f), passes::fuse_gelu, 1);
  ASSERT_NE(only<ops::Unary>(), nullptr);
  EXPECT_EQ(only<ops::Unary>()->kind, U::kGelu);
}
TEST_F(Fusion, GeluErfHalfOnTheGate) {
  const ValueId x = input({3, 8});
  const ValueId gate = binary(B::kAdd, 1.0f, unary(U::kErf, binary(B::kMul, 0.70710678f, x)));
  expect(binary(B::kMul, x, binary(B::kMul, 0.5f, gate)), passes::fuse_gelu, 1);
}
TEST_F(Fusion, GeluErfHalfOnX) {
  const ValueId x = input({3, 8});
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.41421356f)), 1.0f);
  expect(binary(B::kMul, binary(B::kDiv, x, 2.0f), gate), passes::fuse_gelu, 1);
}
TEST_F(Fusion, GeluOfAProduct) {
  const ValueId x = binary(B::kMul, input({3, 8}), input({3, 8}));
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.41421356f)), 1.0f);
  expect(binary(B::kMul, binary(B::kMul, x, gate), 0.5f), passes::fuse_gelu, 2);
}
TEST_F(Fusion, NotGeluWithoutTheHalf) {
  const ValueId x = input({3, 8});
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.41421356f)), 1.0f);
  expect(binary(B::kMul, x, gate), passes::fuse_gelu, 4);
}
TEST_F(Fusion, NotGeluOfAnotherX) {
  const ValueId x = input({3, 8}), z = input({3, 8});
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.41421356f)), 1.0f);
  expect(binary(B::kMul, binary(B::kMul, z, gate), 0.5f), passes::fuse_gelu, 5);
}
TEST_F(Fusion, NotGeluWithAnotherScale) {
  const ValueId x = input({3, 8});
  const ValueId gate = binary(B::kAdd, unary(U::kErf, binary(B::kDiv, x, 1.5f)), 1.0f);
  expect(binary(B::kMul, binary(B::kMul, x, gate), 0.5f), passes::fuse_gelu, 5);
}
TEST_F(Fusion, GeluTanhWithPow) {
  const ValueId x = input({3, 8});
  const ValueId cube = binary(B::kMul, binary(B::kPow, x, 3.0f), 0.044715f);
  const ValueId t = unary(U::kTanh, binary(B::kMul, binary(B::kAdd, x, cube), 0.7978845608f));
  expect(binary(B::kMul, binary(B::kMul, x, 0.5f), binary(B::kAdd, t, 1.0f)), passes::fuse_gelu, 1);
  ASSERT_NE(only<ops::Unary>(), nullptr);
  EXPECT_EQ(only<ops::Unary>()->kind, U::kGeluTanh);
}
TEST_F(Fusion, GeluTanhWithProducts) {
  const ValueId x = input({3, 8});
  const ValueId square = binary(B::kMul, x, x);
  const ValueId inner = binary(B::kAdd, 1.0f, binary(B::kMul, 0.044715f, square));
  const ValueId t = unary(U::kTanh, binary(B::kMul, binary(B::kMul, x, 0.7978845608f), inner));
  expect(binary(B::kMul, 0.5f, binary(B::kMul, x, binary(B::kAdd, 1.0f, t))), passes::fuse_gelu, 1);
}
TEST_F(Fusion, GeluTanhCubeOfProducts) {
  const ValueId x = input({3, 8});
  const ValueId cube = binary(B::kMul, 0.044715f, binary(B::kMul, x, binary(B::kMul, x, x)));
  const ValueId t = unary(U::kTanh, binary(B::kMul, 0.7978845608f, binary(B::kAdd, cube, x)));
  expect(binary(B::kMul, binary(B::kMul, 0.5f, x), binary(B::kAdd, 1.0f, t)), passes::fuse_gelu, 1);
}

TEST_F(Fusion, QuickGelu) {
  const ValueId x = input({3, 8});
  expect(binary(B::kMul, x, unary(U::kSigmoid, binary(B::kMul, x, 1.702f))), passes::fuse_gated_activation, 1);
  ASSERT_NE(only<ops::Unary>(), nullptr);
  EXPECT_EQ(only<ops::Unary>()->kind, U::kSwish);
  EXPECT_FLOAT_EQ(only<ops::Unary>()->alpha, 1.702f);
}
TEST_F(Fusion, Silu) {
  const ValueId x = input({3, 8});
  expect(binary(B::kMul, unary(U::kSigmoid, x), x), passes::fuse_gated_activation, 1);
}
TEST_F(Fusion, NotSiluOfAnotherX) {
  const ValueId x = input({3, 8}), z = input({3, 8});
  expect(binary(B::kMul, unary(U::kSigmoid, x), z), passes::fuse_gated_activation, 2);
}
TEST_F(Fusion, HardSwishOfHardSigmoid) {
  const ValueId x = input({3, 8});
  expect(binary(B::kMul, x, unary(U::kHardSigmoid, x, 1.0f / 6, 0.5f)), passes::fuse_gated_activation, 1);
}
TEST_F(Fusion, NotHardSwishOfTheDefaultHardSigmoid) {
  const ValueId x = input({3, 8});
  expect(binary(B::kMul, x, unary(U::kHardSigmoid, x, 0.2f, 0.5f)), passes::fuse_gated_activation, 2);
}
TEST_F(Fusion, HardSwishOfClip) {
  const ValueId x = input({3, 8});
  const ValueId clip = add(ops::Clip{}, {binary(B::kAdd, x, 3.0f), constant(0.0f), constant(6.0f)});
  expect(binary(B::kDiv, binary(B::kMul, x, clip), 6.0f), passes::fuse_gated_activation, 1);
}
TEST_F(Fusion, HardSwishOfClipOverSix) {
  const ValueId x = input({3, 8});
  const ValueId clip = add(ops::Clip{}, {binary(B::kAdd, x, 3.0f), constant(0.0f), constant(6.0f)});
  expect(binary(B::kMul, x, binary(B::kDiv, clip, 6.0f)), passes::fuse_gated_activation, 1);
}
TEST_F(Fusion, Mish) {
  const ValueId x = input({3, 8});
  expect(binary(B::kMul, x, unary(U::kTanh, unary(U::kSoftplus, x))), passes::fuse_gated_activation, 1);
}

const std::vector<float> kScale{1, 2, 3, 4, 5, 6, 7, 8}, kBias{8, 7, 6, 5, 4, 3, 2, 1};

TEST_F(Fusion, LayerNormWithSqrt) {
  const ValueId x = input({2, 3, 8});
  const ValueId d = binary(B::kSub, x, mean(x, {-1}));
  const ValueId variance = binary(B::kAdd, mean(binary(B::kPow, d, 2.0f), {-1}), 1e-3f);
  const ValueId n = binary(B::kDiv, d, unary(U::kSqrt, variance));
  expect(binary(B::kAdd, binary(B::kMul, n, constant({8}, kScale)), constant({8}, kBias)), passes::fuse_layer_normalization, 1);
  EXPECT_NE(only<ops::LayerNormalization>(), nullptr);
}
TEST_F(Fusion, LayerNormWithTwoDifferencesAndReciprocal) {
  const ValueId x = input({2, 3, 8}), m = mean(x, {2});
  const ValueId square = binary(B::kSub, x, m), d = binary(B::kSub, x, m);
  const ValueId variance = binary(B::kAdd, 1e-3f, mean(binary(B::kMul, square, square), {2}));
  const ValueId n = binary(B::kMul, unary(U::kReciprocal, unary(U::kSqrt, variance)), d);
  expect(binary(B::kAdd, constant({8}, kBias), binary(B::kMul, constant({1, 8}, kScale), n)), passes::fuse_layer_normalization, 1);
}
TEST_F(Fusion, LayerNormOverTwoAxesWithoutScale) {
  const ValueId x = input({2, 3, 8});
  const ValueId d = binary(B::kSub, x, mean(x, {1, 2}));
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, d, d), {2, 1}), 1e-3f);
  expect(binary(B::kMul, d, binary(B::kPow, variance, -0.5f)), passes::fuse_layer_normalization, 1);
}
TEST_F(Fusion, LayerNormOfMeanSquares) {
  const ValueId x = input({2, 3, 8}), m = mean(x, {-1});
  const ValueId variance = binary(B::kSub, mean(binary(B::kMul, x, x), {-1}), binary(B::kPow, m, 2.0f));
  const ValueId bounded = add(ops::Clip{}, {variance, constant(0.0f), kNone});
  const ValueId r = unary(U::kReciprocal, unary(U::kSqrt, binary(B::kAdd, bounded, 1e-3f)));
  expect(binary(B::kMul, binary(B::kSub, x, m), r), passes::fuse_layer_normalization, 1);
  EXPECT_NE(only<ops::LayerNormalization>(), nullptr);
}
/// Squares of another value, less another mean, bounded from above, over other axes, and the mean taken off another x.
TEST_F(Fusion, NotLayerNormOfOtherMeanSquares) {
  const ValueId x = input({2, 3, 8}), z = input({2, 3, 8}), m = mean(x, {-1});
  const auto squared = [&](ValueId v) { return binary(B::kMul, v, v); };
  const auto normal = [&](ValueId d, ValueId squares, ValueId less, bool bounded) {
    ValueId variance = binary(B::kSub, squares, squared(less));
    if (bounded) variance = add(ops::Clip{}, {variance, constant(0.0f), constant(1.0f)});
    return binary(B::kDiv, d, unary(U::kSqrt, binary(B::kAdd, variance, 20.0f)));
  };
  ValueId sum = normal(binary(B::kSub, x, m), mean(squared(z), {-1}), m, false);
  sum = binary(B::kAdd, sum, normal(binary(B::kSub, x, m), mean(squared(x), {-1}), mean(z, {-1}), false));
  sum = binary(B::kAdd, sum, normal(binary(B::kSub, x, m), mean(squared(x), {-1}), m, true));
  sum = binary(B::kAdd, sum, normal(binary(B::kSub, x, m), mean(squared(x), {1, 2}), m, false));
  sum = binary(B::kAdd, sum, normal(binary(B::kSub, z, m), mean(squared(x), {-1}), m, false));
  expect(sum, passes::fuse_layer_normalization, graph_.live_nodes());
}
TEST_F(Fusion, NotLayerNormOverAnInnerAxis) {
  const ValueId x = input({2, 3, 8});
  const ValueId d = binary(B::kSub, x, mean(x, {1}));
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, d, d), {1}), 1e-3f);
  expect(binary(B::kDiv, d, unary(U::kSqrt, variance)), passes::fuse_layer_normalization, 7);
}
TEST_F(Fusion, LayerNormScaleOfRowsStaysOutside) {
  const ValueId x = input({2, 3, 8});
  const ValueId d = binary(B::kSub, x, mean(x, {-1}));
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, d, d), {-1}), 1e-3f);
  const ValueId n = binary(B::kDiv, d, unary(U::kSqrt, variance));
  expect(binary(B::kMul, n, constant({3, 1}, {1, 2, 3})), passes::fuse_layer_normalization, 2);
}
TEST_F(Fusion, LayerNormUsedTwiceKeepsItsScaleOutside) {
  const ValueId x = input({2, 3, 8});
  const ValueId d = binary(B::kSub, x, mean(x, {-1}));
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, d, d), {-1}), 1e-3f);
  const ValueId n = binary(B::kDiv, d, unary(U::kSqrt, variance));
  expect(binary(B::kAdd, binary(B::kMul, n, constant({8}, kScale)), n), passes::fuse_layer_normalization, 3);
}
TEST_F(Fusion, RmsNorm) {
  const ValueId x = input({2, 3, 8});
  const ValueId variance = binary(B::kAdd, mean(binary(B::kPow, x, 2.0f), {-1}), 1e-3f);
  const ValueId n = binary(B::kMul, x, binary(B::kDiv, 1.0f, unary(U::kSqrt, variance)));
  expect(binary(B::kMul, constant({8}, kScale), n), passes::fuse_rms_normalization, 1);
  EXPECT_NE(only<ops::RMSNormalization>(), nullptr);
}
TEST_F(Fusion, RmsNormByDivision) {
  const ValueId x = input({2, 3, 8});
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, x, x), {2}), 1e-3f);
  expect(binary(B::kDiv, x, unary(U::kSqrt, variance)), passes::fuse_rms_normalization, 1);
}
TEST_F(Fusion, NotRmsNormOfAnotherX) {
  const ValueId x = input({2, 3, 8}), z = input({2, 3, 8});
  const ValueId variance = binary(B::kAdd, mean(binary(B::kMul, x, x), {2}), 1e-3f);
  expect(binary(B::kDiv, z, unary(U::kSqrt, variance)), passes::fuse_rms_normalization, 5);
}

TEST_F(Fusion, ElementwiseChain) {
  const ValueId x = input({3, 700}), y = input({700});
  const ValueId a = unary(U::kTanh, binary(B::kAdd, x, y));
  const ValueId b = add(ops::Clip{}, {binary(B::kMul, a, 2.0f), constant(-1.0f), constant(1.5f)});
  expect(binary(B::kSub, b, x), passes::fuse_elementwise, 1);
  ASSERT_NE(only<ops::Elementwise>(), nullptr);
  EXPECT_EQ(only<ops::Elementwise>()->steps.size(), 5u);
}
TEST_F(Fusion, ElementwiseDiamondOfOneReader) {
  const ValueId x = input({40, 3}), y = input({40, 1});
  const ValueId a = binary(B::kMul, x, y);
  expect(unary(U::kSigmoid, binary(B::kMul, a, a)), passes::fuse_elementwise, 1);
}
TEST_F(Fusion, ElementwiseTruthValues) {
  const ValueId x = input({5, 9}), y = input({9});
  const ValueId finite = add(ops::Unary{U::kNot}, {unary(U::kIsNaN, x)});
  const ValueId both = add(ops::Binary{B::kAnd}, {finite, binary(B::kLess, x, y)});
  const ValueId z = add(ops::Where{}, {both, x, constant(0.25f)});
  expect(z, passes::fuse_elementwise, 1);
}
TEST_F(Fusion, ElementwiseBoolInput) {
  const ValueId x = input({5, 1030}), y = input({1030});
  const ValueId mask = binary(B::kGreater, y, 0.0f);
  // The mask has another shape than the result, so it stays a value of its own.
  expect(binary(B::kAdd, add(ops::Where{}, {mask, x, constant(-9.0f)}), x), passes::fuse_elementwise, 2);
}
TEST_F(Fusion, NotElementwiseAcrossABroadcast) {
  const ValueId x = input({5, 9}), y = input({9});
  expect(binary(B::kAdd, unary(U::kExp, y), x), passes::fuse_elementwise, 2);
}
TEST_F(Fusion, NotElementwiseOfAValueReadTwice) {
  const ValueId x = input({5, 9});
  const ValueId a = unary(U::kExp, x), r = mean(a, {1});
  expect(binary(B::kSub, unary(U::kAbs, a), r), passes::fuse_elementwise, 3);
}
TEST_F(Fusion, ElementwiseStopsAtItsLimits) {
  ValueId v = input({4, 4});
  for (int i = 0; i < 50; ++i) v = unary(i % 2 ? U::kSin : U::kTanh, v);
  expect(v, passes::fuse_elementwise, 3);
}
TEST_F(Fusion, ElementwiseManyInputs) {
  ValueId v = input({2, 3, 50});
  for (int i = 0; i < 6; ++i)
    v = binary(i % 2 ? B::kMax : B::kAdd, v, input(i % 3 == 0 ? Dims{50} : i % 3 == 1 ? Dims{3, 1} : Dims{2, 1, 50}));
  expect(v, passes::fuse_elementwise, 1);
}

TEST_F(Fusion, BoundsMerge) {
  const auto clip = [&](ValueId x, float low, float high) { return add(ops::Clip{}, {x, constant(low), constant(high)}); };
  expect(clip(unary(U::kRelu, binary(B::kMin, 2.5f, input({4, 9}))), -1, 1), passes::merge_clips, 1);
}

TEST_F(Fusion, BoundsThatLieBesideEachOtherMerge) {
  expect(unary(U::kRelu, binary(B::kMin, input({4, 9}), -1.0f)), passes::merge_clips, 1);
}

TEST_F(Fusion, OtherBoundsStay) {
  const ValueId x = input({4, 9}), wrong = add(ops::Clip{}, {x, constant(2.0f), constant(-2.0f)});
  // Bounds the wrong way round, a vector, a scalar of more dims, an inner value with another reader.
  const ValueId kept = add(ops::Clip{}, {wrong, constant(0.0f), constant(1.0f)});
  const ValueId many = binary(B::kMax, binary(B::kMax, kept, constant({9}, std::vector<float>(9, 0.5f))), constant({1, 1, 1}, {0.25f}));
  const ValueId relu = unary(U::kRelu, x);
  expect(binary(B::kAdd, many, binary(B::kAdd, relu, add(ops::Clip{}, {relu, constant(0.0f), constant(1.0f)}))), passes::merge_clips, 8);
}

TEST_F(Fusion, PReluOfOneSlope) {
  expect(binary(B::kPRelu, input({2, 4, 3}), constant({4, 1}, {0.5f, 0.5f, 0.5f, 0.5f})), passes::reduce_prelu, 1);
  ASSERT_NE(only<ops::Unary>(), nullptr);
  EXPECT_EQ(only<ops::Unary>()->kind, U::kLeakyRelu);
  EXPECT_FLOAT_EQ(only<ops::Unary>()->alpha, 0.5f);
}

TEST_F(Fusion, PReluOfOtherSlopesStays) {
  const ValueId x = input({4, 1});
  ValueId y = binary(B::kPRelu, x, constant({4, 1}, {0.5f, 0.5f, 0.25f, 0.5f}));
  y = binary(B::kPRelu, y, input({1}));
  expect(binary(B::kPRelu, y, constant({1, 1}, {NAN})), passes::reduce_prelu, 3);
}

TEST_F(Fusion, HardSigmoid) {
  const ValueId sum = binary(B::kAdd, binary(B::kMul, input({4, 9}), 2.0f), 3.0f);
  expect(binary(B::kDiv, add(ops::Clip{}, {sum, constant(0.0f), constant(6.0f)}), 6.0f), passes::fuse_hard_sigmoid, 1);
  EXPECT_FLOAT_EQ(only<ops::Unary>()->alpha, 1.0f / 3);
  EXPECT_FLOAT_EQ(only<ops::Unary>()->beta, 0.5f);
}

TEST_F(Fusion, ClipsThatAreNoHardSigmoidStay) {
  const ValueId sum = binary(B::kAdd, input({4, 9}), 3.0f);
  const ValueId other = binary(B::kDiv, add(ops::Clip{}, {sum, constant(0.0f), constant(6.0f)}), 5.0f);
  expect(add(ops::Clip{}, {binary(B::kAdd, other, input({4, 9})), constant(-1.0f), constant(1.0f)}), passes::fuse_hard_sigmoid, 5);
}

/// What must not be regrouped: the mean or the deviation of something else.
TEST_F(Fusion, NormalisationsOfOthersAreNotRegrouped) {
  const ValueId x = input({4, 9}), z = input({4, 9}), scale = input({9}), m = mean(x, {-1}), d = binary(B::kSub, x, m);
  const ValueId r = unary(U::kReciprocal, unary(U::kSqrt, binary(B::kAdd, mean(binary(B::kMul, d, d), {-1}), 1e-5f)));
  const ValueId a = binary(B::kMul, r, scale);
  const ValueId shifted = binary(B::kAdd, binary(B::kMul, z, a), binary(B::kSub, scale, binary(B::kMul, m, a)));
  expect(binary(B::kAdd, shifted, binary(B::kMul, z, a)), passes::regroup_normalization, 14);
}

/// A half x, normalised in float32.
TEST_F(Fusion, NormalisationOfHalves) {
  for (const bool centred : {false, true}) {
    graph_ = Graph();
    inputs_.clear();
    const ValueId half = add(ops::Cast{DType::kFloat16}, {input({4, 9})}), x = add(ops::Cast{DType::kFloat32}, {half});
    const ValueId ones = constant({9}, std::vector<float>(9, 1));
    const ValueId y = centred ? add(ops::LayerNormalization{}, {x, ones}) : add(ops::RMSNormalization{}, {x, ones});
    expect(add(ops::Cast{DType::kFloat32}, {add(ops::Cast{DType::kFloat16}, {y})}),
           centred ? passes::fuse_layer_normalization : passes::fuse_rms_normalization, 3);
  }
}

}  // namespace
}  // namespace tenon
