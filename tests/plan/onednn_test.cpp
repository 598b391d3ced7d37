// Kernels of oneDNN in whole models: chosen where they are the better ones, switched off, alone and by many threads at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/onednn/onednn.h"
#include "plan/model.h"

namespace tenon {
namespace {

template <class T>
Tensor random(Dims dims, uint32_t seed) {
  Tensor t = *Tensor::allocate(dtype_of<T>, std::move(dims));
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  for (int64_t i = 0; i < t.count(); ++i) t.as<T>()[i] = static_cast<T>(dist(gen));
  return t;
}

ops::Conv window(int64_t k, int64_t stride, int64_t group) {
  ops::Conv op;
  op.group = group;
  op.window.strides = {stride, stride};
  op.window.pads = {k / 2, k / 2, k / 2, k / 2};
  return op;
}

constexpr int64_t kSide = 404;  // of images: of smaller ones the first layer is not given to oneDNN

/// A first layer of 3x3 with stride 2, a depthwise and a pointwise convolution.
Graph network() {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, {Dim::symbol("n"), 3, kSide, kSide}));
  const auto conv = [&](ValueId in, int64_t filters, int64_t channels, int64_t k, int64_t stride, int64_t group, uint32_t seed) {
    Tensor weights = random<float>({filters, channels / group, k, k}, seed);
    // Results of about 1 in every layer, so that errors are relative to them.
    const float scale = std::sqrt(3.0f / static_cast<float>(channels / group * k * k));
    for (int64_t i = 0; i < weights.count(); ++i) weights.as<float>()[i] *= scale;
    const ValueId w = g.add_constant(0, "", std::move(weights));
    const ValueId b = g.add_constant(0, "", random<float>({filters}, seed + 1));
    return g.add_node(0, window(k, stride, group), {in, w, b})->front();
  };
  const ValueId wide = conv(x, 96, 3, 3, 2, 1, 1);
  const ValueId deep = conv(wide, 96, 96, 5, 4, 96, 3);
  const ValueId relu = g.add_node(0, ops::Unary{ops::Unary::Kind::kRelu}, {deep})->front();
  EXPECT_TRUE(g.add_output(0, conv(relu, 32, 96, 1, 1, 1, 5), "y").ok());
  return g;
}

std::shared_ptr<Model> load(Graph g, bool onednn, int threads = 1) {
  g.onednn = onednn;
  ModelOptions options;
  options.threads = threads;
  auto m = Model::create(std::move(g), options);
  EXPECT_TRUE(m.ok()) << m.status().message();
  return m.ok() ? *m : nullptr;
}

Tensor run(const Model& m, const Tensor& x) {
  std::vector<Tensor> y(1);
  const Status s = m.run(std::vector{x}, y);
  EXPECT_TRUE(s.ok()) << s.message();
  return y[0];
}

/// Names of the kernels, with the reasons of those that were refused.
std::string kernels_of(const Model& m) {
  std::string all;
  const auto choices = m.explain({{"n", 1}});
  EXPECT_TRUE(choices.ok());
  for (const Choice& c : *choices) {
    all += std::string(c.kernel) + "\n";
    for (const std::string& r : c.refusals) all += "  " + r + "\n";
  }
  return all;
}

bool measured() { return kernels::onednn::module() != nullptr && kernels::float_lanes() >= 8; }

template <class T>
void expect_close(const Tensor& got, const Tensor& want, float tolerance) {
  ASSERT_EQ(got.dims(), want.dims());
  for (int64_t i = 0; i < want.count(); ++i) {
    const auto a = static_cast<float>(got.as<T>()[i]), b = static_cast<float>(want.as<T>()[i]);
    ASSERT_LE(std::abs(a - b), tolerance * (1 + std::abs(b))) << i;
  }
}

TEST(OneDnn, ChosenWhereItIsFaster) {
  const auto with = load(network(), true), without = load(network(), false);
  ASSERT_TRUE(with && without);
  EXPECT_EQ(kernels_of(*with).find("ConvOneDnn\n") != std::string::npos, measured()) << kernels_of(*with);
  EXPECT_EQ(kernels_of(*without).find("ConvOneDnn\n"), std::string::npos);
  EXPECT_NE(kernels_of(*without).find("ConvOneDnn: "), std::string::npos) << kernels_of(*without);  // and says why not
  const Tensor x = random<float>({2, 3, kSide, kSide}, 9);
  expect_close<float>(run(*with, x), run(*without, x), 1e-5f);
}

TEST(OneDnn, SameBitsForAnyNumberOfThreadsAndCallers) {
  const auto one = load(network(), true, 1), two = load(network(), true, 2);
  ASSERT_TRUE(one && two);
  const Tensor x = random<float>({2, 3, kSide, kSide}, 9);
  const Tensor want = run(*one, x);
  const auto same = [&](const Tensor& y) { return std::equal(want.as<float>(), want.as<float>() + want.count(), y.as<float>()); };
  EXPECT_TRUE(same(run(*two, x)));
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 3; ++i) wrong += same(run(*two, x)) ? 0 : 1;
    });
  }
  for (auto& c : callers) c.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tenon
