// What passes make of convolution networks: blocked regions, fused steps, and the same results as without any pass.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "plan/model.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;

class Network {
 public:
  explicit Network(Shape shape) { x_ = *graph_.add_input(0, "x", Type::of(DType::kFloat32, std::move(shape))); }

  ValueId x() const { return x_; }
  ValueId constant(Dims dims, float scale = 1.0f) { return graph_.add_constant(0, "", random(std::move(dims), scale)); }
  ValueId positive(Dims dims) {
    Tensor t = random(std::move(dims), 1.0f);
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = std::abs(t.as<float>()[i]) + 0.5f;
    return graph_.add_constant(0, "", std::move(t));
  }
  ValueId scalar(float v) { return graph_.add_constant(0, "", Tensor::scalar<float>(v)); }
  ValueId add(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0];
  }
  ValueId conv(ValueId x, int64_t from, int64_t to, int64_t k, int64_t stride = 1, int64_t group = 1, bool bias = true) {
    ops::Conv op;
    op.group = group;
    op.window.strides = {stride, stride};
    op.window.pads = {k / 2, k / 2, k / 2, k / 2};
    std::vector<ValueId> in{x, constant({to, from / group, k, k}, 1.0f / std::sqrt(static_cast<float>(from / group * k * k)))};
    if (bias) in.push_back(constant({to}));
    return add(op, in);
  }
  ValueId relu(ValueId x) { return add(Unary{Unary::Kind::kRelu}, {x}); }
  ValueId plus(ValueId a, ValueId b) { return add(Binary{Binary::Kind::kAdd}, {a, b}); }
  ValueId times(ValueId a, ValueId b) { return add(Binary{Binary::Kind::kMul}, {a, b}); }
  void output(ValueId v) { EXPECT_TRUE(graph_.add_output(0, v, "y" + std::to_string(graph_.output_names.size())).ok()); }

  /// Runs with and without passes on inputs of `dims`; returns the model with them.
  std::shared_ptr<Model> check(const std::vector<Dims>& inputs) {
    ModelOptions off, on;
    off.passes.enabled = false;
    on.passes.validate = true;
    off.threads = on.threads = 2;
    auto plain = Model::create(graph_, off), fast = Model::create(graph_, on);
    EXPECT_TRUE(plain.ok()) << plain.status().message();
    EXPECT_TRUE(fast.ok()) << fast.status().message();
    if (!plain.ok() || !fast.ok()) return nullptr;
    for (const Dims& dims : inputs) {
      const std::vector<Tensor> in{random(dims, 1.0f)};
      std::vector<Tensor> a(graph_.output_names.size()), b(a.size());
      const Status first = (*plain)->run(in, a), second = (*fast)->run(in, b);
      EXPECT_TRUE(first.ok()) << first.message();
      EXPECT_TRUE(second.ok()) << second.message();
      if (!first.ok() || !second.ok()) return nullptr;
      for (size_t o = 0; o < a.size(); ++o) {
        EXPECT_EQ(a[o].dims(), b[o].dims());
        for (int64_t i = 0; i < a[o].count(); ++i) {
          const float want = a[o].as<float>()[i], got = b[o].as<float>()[i];
          if (!(std::abs(want - got) <= 2e-4f * (1 + std::abs(want)))) {
            ADD_FAILURE() << "output " << o << " element " << i << ": " << want << " without passes, " << got << " with them\n"
                          << dump((*fast)->graph());
            return *fast;
          }
        }
      }
    }
    return *fast;
  }

 private:
  Tensor random(Dims dims, float scale) {
    Tensor t = *Tensor::allocate(DType::kFloat32, std::move(dims));
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = normal(rng_) * scale;
    return t;
  }
  Graph graph_;
  ValueId x_;
  std::mt19937 rng_{11};
};

template <class X>
int count(const Model& m) {
  int n = 0;
  for (const NodeId id : m.graph().region(0).nodes) n += std::holds_alternative<X>(m.graph().node(id).op);
  return n;
}

/// x times one number a channel between 0 and 1, computed from the means of its channels.
ValueId excited(Network& net, ValueId x, int64_t channels) {
  const ValueId mean = net.add(ops::GlobalPool{ops::GlobalPool::Kind::kAverage}, {x});
  const ValueId squeezed = net.relu(net.conv(mean, channels, 10, 1));
  return net.times(x, net.add(Unary{Unary::Kind::kSigmoid}, {net.conv(squeezed, 10, channels, 1)}));
}

TEST(Convolution, SqueezeAndExciteScalesTheWeightsOfTheProjection) {
  for (const int64_t stride : {1, 2}) {
    Network net({Dim::symbol("n"), 3, 20, 20});
    const ValueId x = net.relu(net.conv(net.x(), 3, 200, 3, 2));
    const ValueId y = net.conv(excited(net, x, 200), 200, 88, 1, stride);  // channels of several chunks, filters of several tiles
    net.output(stride == 1 ? net.plus(y, net.conv(x, 200, 88, 3)) : y);
    const auto m = net.check({{1, 3, 20, 20}, {3, 3, 20, 20}});
    ASSERT_TRUE(m);
    EXPECT_EQ(count<Binary>(*m), 0) << dump(m->graph());
  }
}
TEST(Convolution, ProductsStayWhereTheyAreReadTwiceOrByWindows) {
  Network net({1, 3, 12, 12});
  const ValueId x = net.relu(net.conv(net.x(), 3, 40, 3));
  const ValueId twice = excited(net, x, 40), window = excited(net, x, 40);
  net.output(net.plus(net.conv(twice, 40, 24, 1), net.conv(twice, 40, 24, 1)));
  net.output(net.conv(window, 40, 24, 3));
  const auto m = net.check({{1, 3, 12, 12}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<Binary>(*m), 2) << dump(m->graph());
}

TEST(Convolution, ShortRowsOfStridedPoints) {
  Network net({Dim::symbol("n"), 1000, 14, 15});
  net.output(net.conv(net.x(), 1000, 300, 1, 2));
  net.output(net.relu(net.conv(net.relu(net.conv(net.x(), 1000, 64, 1)), 64, 300, 1, 3)));
  ASSERT_TRUE(net.check({{1, 1000, 14, 15}, {3, 1000, 14, 15}}));
}

TEST(Convolution, ResidualBlockStaysBlocked) {
  const Dim n = Dim::symbol("n");
  Network net({n, 3, 20, 20});
  const ValueId stem = net.relu(net.conv(net.x(), 3, 24, 7, 2));
  ops::Pool pool;
  pool.kind = ops::Pool::Kind::kMax;
  pool.window.kernel_shape = {3, 3};
  pool.window.strides = {2, 2};
  pool.window.pads = {1, 1, 1, 1};
  const ValueId p = net.add(pool, {stem});
  const ValueId a = net.relu(net.conv(p, 24, 40, 1));
  const ValueId b = net.relu(net.conv(a, 40, 40, 3));
  const ValueId c = net.conv(b, 40, 24, 1);
  const ValueId sum = net.relu(net.plus(c, p));
  net.output(net.add(ops::GlobalPool{ops::GlobalPool::Kind::kAverage}, {sum}));
  const auto m = net.check({{1, 3, 20, 20}, {3, 3, 20, 20}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<ops::Conv>(*m), 4);
  EXPECT_EQ(count<Unary>(*m), 0);
  EXPECT_EQ(count<Binary>(*m), 0);
  EXPECT_EQ(count<ops::Reorder>(*m), 1) << dump(m->graph());  // the output; the first layer reads the plain input
}

/// x widened, each channel filtered, and narrowed again.
ValueId inverted_residual(Network& net, ValueId x, int64_t from, int64_t to, int64_t k, int64_t stride) {
  const ValueId wide = net.relu(net.conv(x, from, to, 1));
  return net.conv(net.relu(net.conv(wide, to, to, k, stride, to)), to, from, 1);
}

TEST(Convolution, LargeImagesBetweenTwoAreNeverWhole) {
  Network net({Dim::symbol("n"), 16, 84, 90});
  net.output(inverted_residual(net, net.x(), 16, 90, 3, 2));
  net.output(inverted_residual(net, net.x(), 16, 90, 5, 1));
  const auto m = net.check({{1, 16, 84, 90}, {2, 16, 84, 90}, {0, 16, 84, 90}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<ops::ConvPair>(*m), 2) << dump(m->graph());
  EXPECT_EQ(count<ops::Conv>(*m), 2) << dump(m->graph());
}

TEST(Convolution, SmallImagesOrThoseReadTwiceStayWhole) {
  Network net({1, 16, 84, 90});
  const ValueId wide = net.relu(net.conv(net.x(), 16, 90, 1));
  net.output(net.conv(wide, 90, 90, 3, 1, 90));
  net.output(net.conv(wide, 90, 8, 1));
  const ValueId small = net.conv(net.x(), 16, 16, 3, 4);
  net.output(inverted_residual(net, small, 16, 90, 3, 1));
  const auto m = net.check({{1, 16, 84, 90}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<ops::ConvPair>(*m), 0) << dump(m->graph());
}

TEST(Convolution, SqueezeAndExcite) {
  Network net({1, 8, 9, 7});
  const ValueId a = net.conv(net.x(), 8, 20, 3);
  const ValueId silu = net.times(a, net.add(Unary{Unary::Kind::kSigmoid}, {a}));
  const ValueId dw = net.conv(silu, 20, 20, 5, 1, 20);
  const ValueId mean = net.add(ops::GlobalPool{ops::GlobalPool::Kind::kAverage}, {dw});
  const ValueId s1 = net.conv(mean, 20, 5, 1);
  const ValueId s2 = net.times(s1, net.add(Unary{Unary::Kind::kSigmoid}, {s1}));
  const ValueId gate = net.add(Unary{Unary::Kind::kSigmoid}, {net.conv(s2, 5, 20, 1)});
  net.output(net.conv(net.times(gate, dw), 20, 12, 1));
  const auto m = net.check({{1, 8, 9, 7}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<ops::Reorder>(*m), 2) << dump(m->graph());
  EXPECT_EQ(count<Unary>(*m), 0) << dump(m->graph());
}

TEST(Convolution, NormalisationAndScalesFold) {
  Network net({2, 6, 8, 8});
  ValueId v = net.conv(net.x(), 6, 10, 3, 1, 2, false);
  v = net.add(ops::BatchNormalization{}, {v, net.constant({10}), net.constant({10}), net.constant({10}), net.positive({10})});
  v = net.times(net.constant({10, 1, 1}), v);
  v = net.plus(v, net.scalar(0.25f));
  v = net.add(Binary{Binary::Kind::kSub}, {v, net.constant({1, 10, 1, 1})});
  ops::ConvTranspose up;
  up.window.strides = {2, 2};
  up.group = 2;
  v = net.add(up, {net.relu(v), net.constant({10, 3, 3, 3}, 0.3f)});
  v = net.add(ops::BatchNormalization{}, {v, net.constant({6}), net.constant({6}), net.constant({6}), net.positive({6})});
  net.output(net.add(Unary{Unary::Kind::kLeakyRelu, 0.1f}, {v}));
  const auto m = net.check({{2, 6, 8, 8}});
  ASSERT_TRUE(m);
  EXPECT_EQ(count<ops::BatchNormalization>(*m), 0);
  EXPECT_EQ(count<Binary>(*m), 0) << dump(m->graph());
}

TEST(Convolution, BranchesMergesAndSeveralReaders) {
  Network net({1, 5, 12, 12});
  const ValueId a = net.conv(net.x(), 5, 32, 3);
  const ValueId b = net.conv(net.relu(a), 32, 16, 3, 2);
  ops::ConvTranspose up;
  up.window.strides = {2, 2};
  const ValueId c = net.add(up, {b, net.constant({16, 16, 2, 2}, 0.1f)});
  const ValueId joined = net.add(ops::Concat{1}, {a, c});
  net.output(a);
  net.output(net.conv(joined, 48, 7, 3));
  net.output(net.plus(net.times(a, net.constant({32, 12, 12})), net.constant({32, 1, 1})));
  net.check({{1, 5, 12, 12}});
}

TEST(Convolution, OneAndThreeDims) {
  Network one({2, 10, 33});
  ops::Conv op;
  op.window.pads = {1, 1};
  op.window.strides = {2};
  one.output(one.add(
      op, {one.add(Unary{Unary::Kind::kGelu}, {one.add(op, {one.x(), one.constant({20, 10, 3}, 0.2f)})}), one.constant({9, 20, 3}, 0.2f)}));
  one.check({{2, 10, 33}});
  Network three({1, 2, 6, 7, 8});
  ops::Conv op3;
  ops::Pool pool;
  pool.kind = ops::Pool::Kind::kAverage;
  pool.window.kernel_shape = {2, 2, 2};
  three.output(three.add(pool, {three.add(op3, {three.x(), three.constant({18, 2, 3, 3, 3}, 0.2f)})}));
  three.check({{1, 2, 6, 7, 8}});
}

}  // namespace
}  // namespace tenon
