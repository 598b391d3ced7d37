// What must not be folded or fused into convolutions. That what is keeps its results is tested in tests/plan/convolution_test.cpp.
#include <gtest/gtest.h>

#include "passes/passes.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;

class ConvolutionPasses : public ::testing::Test {
 protected:
  ConvolutionPasses() { x_ = *graph_.add_input(0, "x", Type::of(DType::kFloat32, Shape({Dim::symbol("n"), 4, 6, 6}))); }

  ValueId constant(Dims dims) {
    int64_t n = 1;
    for (const int64_t d : dims) n *= d;
    return graph_.add_constant(0, "", Tensor::of<float>(std::move(dims), std::vector<float>(static_cast<size_t>(n), 0.5f)));
  }
  ValueId add(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0];
  }
  ValueId conv(ValueId x) { return add(ops::Conv{}, {x, constant({4, 4, 1, 1})}); }
  ValueId normalised(ValueId x) { return add(ops::BatchNormalization{}, {x, constant({4}), constant({4}), constant({4}), constant({4})}); }
  ValueId relu(ValueId x) { return add(Unary{Unary::Kind::kRelu}, {x}); }
  void output(ValueId v) { EXPECT_TRUE(graph_.add_output(0, v).ok()); }

  void expect(NodeRule rule, int64_t rewrites) {
    auto done = run_pass(graph_, {.name = "rule", .rule = rule});
    ASSERT_TRUE(done.ok()) << done.status().message();
    EXPECT_EQ(*done, rewrites) << dump(graph_);
    graph_.remove_dead();
    const Status valid = validate(graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
  }

  Graph graph_;
  ValueId x_;
};

TEST_F(ConvolutionPasses, NormalisationFoldsWhenAlone) {
  output(normalised(conv(x_)));
  expect(passes::fold_batch_normalization, 1);
  EXPECT_EQ(graph_.live_nodes(), 1);
}
TEST_F(ConvolutionPasses, NormalisationStaysWhenTheProductIsReadElsewhere) {
  const ValueId c = conv(x_);
  output(normalised(c));
  output(relu(c));
  expect(passes::fold_batch_normalization, 0);
}
TEST_F(ConvolutionPasses, NormalisationStaysWithoutConvolution) {
  output(normalised(relu(conv(x_))));
  expect(passes::fold_batch_normalization, 0);
}
TEST_F(ConvolutionPasses, NormalisationStaysWithComputedWeights) {
  const ValueId w = *graph_.add_input(0, "w", Type::of(DType::kFloat32, Shape({4, 4, 1, 1})));
  output(normalised(add(ops::Conv{}, {x_, w})));
  expect(passes::fold_batch_normalization, 0);
}

TEST_F(ConvolutionPasses, ScaleFoldsOnlyByFilter) {
  const auto times = [&](Dims dims) { output(add(Binary{Binary::Kind::kMul}, {conv(x_), constant(std::move(dims))})); };
  times({});
  times({4, 1, 1});
  times({1, 4, 1, 1});
  expect(passes::fold_conv_scale, 3);
  times({6});                 // along the width
  times({4, 6, 6});           // an element each
  times({1, 1, 1, 4, 1, 1});  // adds dims
  output(add(Binary{Binary::Kind::kDiv}, {constant({4, 1, 1}), conv(x_)}));
  output(add(Binary{Binary::Kind::kSub}, {constant({4, 1, 1}), conv(x_)}));
  expect(passes::fold_conv_scale, 0);
}
TEST_F(ConvolutionPasses, DivisionByZeroIsNotFolded) {
  output(add(Binary{Binary::Kind::kDiv}, {conv(x_), graph_.add_constant(0, "", Tensor::scalar<float>(0))}));
  expect(passes::fold_conv_scale, 0);
}

TEST_F(ConvolutionPasses, ResidualThenActivation) {
  output(relu(add(Binary{Binary::Kind::kAdd}, {conv(x_), x_})));
  expect(passes::fuse_conv_residual, 1);
  expect(passes::fuse_conv_activation, 1);
  EXPECT_EQ(graph_.live_nodes(), 1);
}
TEST_F(ConvolutionPasses, ActivationBeforeTheSumStaysBeforeIt) {
  output(add(Binary{Binary::Kind::kAdd}, {relu(conv(x_)), x_}));
  expect(passes::fuse_conv_activation, 1);
  expect(passes::fuse_conv_residual, 0);
}
TEST_F(ConvolutionPasses, ResidualMustHaveTheSameShape) {
  output(add(Binary{Binary::Kind::kAdd}, {conv(x_), *graph_.add_input(0, "r", Type::of(DType::kFloat32, Shape({1, 4, 6, 6})))}));
  const ValueId twice = conv(x_);
  output(add(Binary{Binary::Kind::kAdd}, {twice, twice}));
  expect(passes::fuse_conv_residual, 0);
}
TEST_F(ConvolutionPasses, OneActivationOnly) {
  output(add(Unary{Unary::Kind::kSigmoid}, {relu(conv(x_))}));
  expect(passes::fuse_conv_activation, 1);
}
TEST_F(ConvolutionPasses, ClipNeedsKnownBounds) {
  const ValueId low = *graph_.add_input(0, "low", Type::of(DType::kFloat32, Shape(DimList{})));
  output(add(ops::Clip{}, {conv(x_), low, kNone}));
  expect(passes::fuse_conv_activation, 0);
  output(add(ops::Clip{}, {conv(x_), graph_.add_constant(0, "", Tensor::scalar<float>(0)), kNone}));
  expect(passes::fuse_conv_activation, 1);
}

TEST_F(ConvolutionPasses, MeanOverAllSpatialDimsIsAPool) {
  const auto mean = [&](std::vector<int64_t> axes, bool keep) {
    ops::Reduce op;
    op.kind = ops::Reduce::Kind::kMean;
    op.keepdims = keep;
    output(add(op, {x_, graph_.add_constant(0, "", Tensor::of<int64_t>({static_cast<int64_t>(axes.size())}, axes))}));
  };
  mean({2, 3}, true);
  mean({-1, -2}, true);
  expect(passes::reduce_to_global_pool, 2);
  mean({2, 3}, false);
  mean({1, 2}, true);
  mean({3}, true);
  expect(passes::reduce_to_global_pool, 0);
}

}  // namespace
}  // namespace tenon
