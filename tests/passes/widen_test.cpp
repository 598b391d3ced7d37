// Half-precision convolutions and what follows them in float32.
#include "tests/support/rewrite.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;

class Widen : public test::RewriteTest, public ::testing::WithParamInterface<DType> {
 protected:
  Tensor half(const Tensor& t) { return (*evaluate(ops::Cast{.to = GetParam()}, {&t}))[0]; }
  ValueId half_input(Dims dims) {
    inputs_.push_back(half(test::values(dims, static_cast<uint32_t>(inputs_.size() + 1))));
    return *graph_.add_input(0, "x" + std::to_string(inputs_.size()), Type::of(GetParam(), Shape::of(dims)));
  }
  ValueId half_constant(Dims dims) { return graph_.add_constant(0, "c", half(test::values(std::move(dims), 77))); }
  ValueId conv(ValueId x) { return add(ops::Conv{}, {x, half_constant({4, 4, 1, 1}), half_constant({4})}); }
  ValueId relu(ValueId x) { return add(Unary{Unary::Kind::kRelu}, {x}); }

  /// Rewrites, compares results, and counts the nodes that read or give half-precision values, casts aside.
  void expect(bool changes, int casts, int halves, Result<bool> (*pass)(Graph&) = passes::widen_convolutions) {
    const Tensor before = run();
    auto done = run_pass(graph_, {.name = "widen", .whole = pass});
    ASSERT_TRUE(done.ok()) << done.status().message();
    EXPECT_EQ(*done, changes);
    graph_.remove_dead();
    const Status valid = validate(graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    int found_casts = 0, found_halves = 0;
    for (const NodeId id : graph_.region(0).nodes) {
      const Node& node = graph_.node(id);
      if (node.dead) continue;
      if (std::holds_alternative<ops::Cast>(node.op)) ++found_casts;
      else found_halves += graph_.type(node.outputs[0]).dtype == GetParam();
    }
    EXPECT_EQ(found_casts, casts) << dump(graph_);
    EXPECT_EQ(found_halves, halves) << dump(graph_);
    const Tensor after = run();
    ASSERT_EQ(after.dtype(), before.dtype());
    const auto a = before.to_doubles(), b = after.to_doubles();
    ASSERT_EQ(a.size(), b.size());
    const double step = GetParam() == DType::kFloat16 ? 2e-3 : 2e-2;
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], step * (1 + std::abs(a[i]))) << i;
  }
};

TEST_P(Widen, ARegionIsRoundedOnce) {
  const ValueId x = half_input({2, 4, 5, 6});
  const ValueId a = relu(conv(x));
  const ValueId normal = add(ops::BatchNormalization{}, {conv(a), half_constant({4}), half_constant({4}), half_constant({4}),
                                                         add(Unary{Unary::Kind::kAbs}, {half_constant({4})})});
  const ValueId sum = add(Binary{Binary::Kind::kAdd}, {normal, x});
  const ValueId clipped = add(ops::Clip{}, {sum, graph_.add_constant(0, "low", half(Tensor::scalar<float>(-0.5f))), kNone});
  output(add(ops::Concat{1}, {clipped, a}));
  expect(true, 3, 1);  // x and the variance up, the result down; the variance is computed in half precision
}
TEST_P(Widen, OthersReadTheRoundedValue) {
  const ValueId c = conv(half_input({1, 4, 3, 3}));
  output(add(ops::MatMul{}, {c, half_constant({3, 3})}));
  expect(true, 2, 1);
}
TEST_P(Widen, ComputedWeightsStay) {
  const ValueId x = half_input({1, 4, 3, 3});
  output(relu(add(ops::Conv{}, {x, half_input({4, 4, 1, 1})})));
  expect(false, 0, 2);
}
TEST_P(Widen, WithoutConvolutionNothingIsWidened) {
  output(relu(relu(half_input({1, 4, 3, 3}))));
  expect(false, 0, 2);
}
TEST_P(Widen, CastsOfTheModelStay) {
  // A rounding that the model asks for is not this pass's to leave out.
  const ValueId x = input({1, 4, 3, 3});
  output(conv(relu(add(ops::Cast{.to = GetParam()}, {x}))));
  expect(true, 3, 1);
}

TEST_P(Widen, NodesWithoutKernelsOfTheirOwn) {
  ops::Pool pool;
  pool.window.kernel_shape = {3, 3};
  const ValueId pooled = add(pool, {half_input({1, 4, 7, 6})});
  output(add(Binary{Binary::Kind::kMul}, {relu(pooled), add(ops::Softmax{.axis = 1}, {half_input({1, 4, 5, 4})})}));
  expect(true, 3, 0, passes::widen_halves);  // two inputs up, one result down
}
TEST_P(Widen, PositionsThatAreReadKeepAMaximumAsItIs) {
  ops::Pool pool;
  pool.window.kernel_shape = {2, 2};
  auto outputs = graph_.add_node(0, pool, {half_input({1, 2, 4, 4})}, {});
  ASSERT_TRUE(outputs.ok());
  output(add(Binary{Binary::Kind::kAdd}, {(*outputs)[0], add(ops::Cast{.to = GetParam()}, {(*outputs)[1]})}));
  expect(false, 1, 2, passes::widen_halves);
}
TEST_P(Widen, ReductionsAndWhatIsNoHalf) {
  const ValueId sum = add(ops::Reduce{.kind = ops::Reduce::Kind::kSum},
                          {half_input({3, 5}), graph_.add_constant(0, "axes", Tensor::of<int64_t>({1}, {1}))});
  output(add(Binary{Binary::Kind::kLess}, {sum, half_constant({})}));
  expect(true, 1, 0, passes::widen_halves);  // the sum is not rounded before it is compared
}
TEST_P(Widen, OthersStay) {
  output(relu(add(Binary{Binary::Kind::kAdd}, {half_input({3, 5}), half_input({3, 5})})));
  expect(false, 0, 2, passes::widen_halves);
}

INSTANTIATE_TEST_SUITE_P(Halves, Widen, ::testing::Values(DType::kFloat16, DType::kBFloat16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace tenon
