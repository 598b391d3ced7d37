#include "plan/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <thread>

#include "support/ops.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;
using testing_support::binary;
using testing_support::unary;

ModelOptions options(int threads = 1, bool passes = true) {
  ModelOptions o;
  o.threads = threads;
  o.passes.enabled = passes;
  o.passes.validate = true;
  return o;
}

/// y = exp(-(x*x)) + x, z = x*x
Graph small_graph(const Shape& shape) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, shape));
  const ValueId xx = (*g.add_node(0, binary(Binary::Kind::kMul), {x, x}, {.name = "square"}))[0];
  const ValueId n = (*g.add_node(0, unary(Unary::Kind::kNeg), {xx}, {.name = "neg"}))[0];
  const ValueId e = (*g.add_node(0, unary(Unary::Kind::kExp), {n}, {.name = "exp"}))[0];
  const ValueId y = (*g.add_node(0, binary(Binary::Kind::kAdd), {e, x}, {.name = "add"}))[0];
  EXPECT_TRUE(g.add_output(0, y, "y").ok());
  EXPECT_TRUE(g.add_output(0, xx, "z").ok());
  return g;
}

Tensor random_tensor(Dims dims, uint32_t seed) {
  Tensor t = *Tensor::allocate(DType::kFloat32, std::move(dims));
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = normal(rng);
  return t;
}

void expect_right(const Tensor& x, const std::vector<Tensor>& out) {
  ASSERT_EQ(out[0].dims(), x.dims());
  for (int64_t i = 0; i < x.count(); ++i) {
    const double v = x.as<float>()[i];
    ASSERT_NEAR(out[0].as<float>()[i], std::exp(-v * v) + v, 1e-5);
    ASSERT_NEAR(out[1].as<float>()[i], v * v, 1e-5);
  }
}

TEST(Model, RunsWithPassesOnAndOffAndAnyThreads) {
  for (const bool passes : {true, false}) {
    for (const int threads : {1, 2, 3}) {
      auto model = Model::create(small_graph(Shape{7, Dim::symbol("n")}), options(threads, passes));
      ASSERT_TRUE(model.ok()) << model.status().message();
      for (const int64_t n : {0, 1, 5, 100000}) {
        const Tensor x = random_tensor({7, n}, 1);
        std::vector<Tensor> out(2);
        const Status s = (*model)->run(std::span(&x, 1), out);
        ASSERT_TRUE(s.ok()) << s.message();
        expect_right(x, out);
      }
    }
  }
}

TEST(Model, WritesIntoTheOutputsItIsGiven) {
  auto model = *Model::create(small_graph(Shape{4, 4}), options());
  const Tensor x = random_tensor({4, 4}, 2);
  std::vector<Tensor> out{*Tensor::allocate(DType::kFloat32, {4, 4}), Tensor()};
  const void* memory = out[0].data();
  ASSERT_TRUE(model->run(std::span(&x, 1), out).ok());
  EXPECT_EQ(out[0].data(), memory);
  expect_right(x, out);
  std::vector<Tensor> wrong{*Tensor::allocate(DType::kFloat32, {4, 5}), Tensor()};
  EXPECT_EQ(model->run(std::span(&x, 1), wrong).code(), Code::kShape);
}

TEST(Model, RefusesInputsOfTheWrongTypeByName) {
  auto model = *Model::create(small_graph(Shape{4, 4}), options());
  std::vector<Tensor> out(2);
  const Tensor wrong_shape = random_tensor({4, 5}, 1);
  Status s = model->run(std::span(&wrong_shape, 1), out);
  EXPECT_EQ(s.code(), Code::kShape);
  for (const char* word : {"'x'", "[4, 5]", "[4, 4]"}) EXPECT_NE(s.message().find(word), std::string::npos) << s.message();
  const Tensor wrong_dtype = *Tensor::allocate(DType::kInt64, {4, 4});
  EXPECT_EQ(model->run(std::span(&wrong_dtype, 1), out).code(), Code::kShape);
  EXPECT_EQ(model->run({}, out).code(), Code::kArgument);
}

TEST(Model, ConcurrentCallersGetTheSerialAnswers) {
  auto model = *Model::create(small_graph(Shape{3, Dim::symbol("n")}), options(2));
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 8; ++c) {
    callers.emplace_back([&, c] {
      for (int i = 0; i < 40; ++i) {
        const Tensor x = random_tensor({3, 1 + (c * 7 + i * 131) % 3000}, static_cast<uint32_t>(c * 100 + i));
        std::vector<Tensor> out(2);
        if (!model->run(std::span(&x, 1), out).ok()) {
          ++wrong;
          continue;
        }
        for (int64_t k = 0; k < x.count(); ++k) {
          const double v = x.as<float>()[k];
          if (std::abs(out[0].as<float>()[k] - (std::exp(-v * v) + v)) > 1e-5) ++wrong;
        }
      }
    });
  }
  for (auto& c : callers) c.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(model->stats().plans, model->options().max_plans);
}

TEST(Model, TheMemoryLimitIsAnErrorThatNamesTheNode) {
  ModelOptions o = options();
  o.memory_limit = 1 << 20;
  auto model = *Model::create(small_graph(Shape{Dim::symbol("n")}), o);
  std::vector<Tensor> out(2);
  const Tensor big = random_tensor({1 << 20}, 1);
  const Status s = model->run(std::span(&big, 1), out);
  EXPECT_EQ(s.code(), Code::kLimit);
  EXPECT_NE(s.message().find("square"), std::string::npos) << s.message();
  const Tensor small = random_tensor({100}, 1);
  EXPECT_TRUE(model->run(std::span(&small, 1), out).ok());
}

TEST(Model, ACancelledOrLateRunStopsWithThatError) {
  auto model = *Model::create(small_graph(Shape{Dim::symbol("n")}), options());
  const Tensor x = random_tensor({1000}, 1);
  std::vector<Tensor> out(2);
  const std::atomic<bool> cancel{true};
  RunOptions cancelled;
  cancelled.cancel = &cancel;
  EXPECT_EQ(model->run(std::span(&x, 1), out, cancelled).code(), Code::kCancelled);
  RunOptions late;
  late.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const Status s = model->run(std::span(&x, 1), out, late);
  EXPECT_EQ(s.code(), Code::kLimit);
  EXPECT_NE(s.message().find("deadline"), std::string::npos);
}

TEST(Model, AFailingAllocationIsAnErrorAndTheNextRunIsRight) {
  auto model = *Model::create(small_graph(Shape{Dim::symbol("n")}), options());
  const Tensor x = random_tensor({5000}, 1);
  static std::atomic<int> left;
  for (int k = 0; k < 50; ++k) {
    model->trim();
    left = k;
    set_allocation_hook([](size_t) { return left.fetch_sub(1) > 0; });
    std::vector<Tensor> out(2);
    const Status s = model->run(std::span(&x, 1), out);
    set_allocation_hook(nullptr);
    if (s.ok()) {
      expect_right(x, out);
      ASSERT_GT(k, 0);
      return;
    }
    EXPECT_EQ(s.code(), Code::kNoMem);
    std::vector<Tensor> again(2);
    ASSERT_TRUE(model->run(std::span(&x, 1), again).ok());
    expect_right(x, again);
  }
  FAIL() << "the run never succeeded";
}

TEST(Model, AProfileHasAnEventForEveryStep) {
  auto model = *Model::create(small_graph(Shape{8}), options(1, false));
  const Tensor x = random_tensor({8}, 1);
  std::vector<Tensor> out(2);
  Profile profile;
  RunOptions o;
  o.profile = &profile;
  ASSERT_TRUE(model->run(std::span(&x, 1), out, o).ok());
  EXPECT_EQ(profile.events().size(), 4u);
  EXPECT_NE(profile.chrome_trace().find("\"name\":\"exp\""), std::string::npos);
}

TEST(Model, PlansForManyShapesStayBounded) {
  auto model = *Model::create(small_graph(Shape{Dim::symbol("n")}), options());
  for (int64_t n = 1; n < 200; ++n) {
    const Tensor x = random_tensor({n}, 1);
    std::vector<Tensor> out(2);
    ASSERT_TRUE(model->run(std::span(&x, 1), out).ok());
  }
  EXPECT_LE(model->stats().plans, model->options().max_plans);
}

TEST(Model, AShapeMetAgainTakesItsPlan) {
  auto model = *Model::create(small_graph(Shape{Dim::symbol("n")}), options());
  const auto plan_of = [&](int64_t n, const Wanted& wanted) {
    const Tensor x = random_tensor({n}, 1);
    std::vector<Tensor> out(2);
    RunOptions o;
    o.wanted = &wanted;
    EXPECT_TRUE(model->run(std::span(&x, 1), out, o).ok());
    return model->plans().at(0);
  };
  const Wanted all{true, true}, one{true, false};
  const auto three = plan_of(3, all), five = plan_of(5, all), less = plan_of(3, one);
  EXPECT_EQ(std::set({three, five, less}).size(), 3u);
  EXPECT_EQ(plan_of(3, all), three);
  EXPECT_EQ(plan_of(3, one), less);
  EXPECT_EQ(plan_of(5, all), five);
  EXPECT_EQ(model->stats().plans, 3u);
  EXPECT_EQ(three->demand, five->demand) << "what is to be run does not depend on the shape";
  EXPECT_NE(three->demand, less->demand);
}

TEST(Plan, BytesOfAType) {
  const auto bytes = [](Shape shape, Layout layout = {}) {
    Type t = Type::of(DType::kFloat32, std::move(shape));
    t.layout = layout;
    return bytes_of(t);
  };
  const Layout blocked{Layout::Kind::kChannelBlocked, 8, 0};
  const int64_t large = int64_t{1} << 62;
  EXPECT_EQ(*bytes({}), 4u);
  EXPECT_EQ(*bytes({2, 3, 5}), 120u);
  EXPECT_EQ(*bytes({2, 3, 5}, blocked), 320u);
  EXPECT_EQ(*bytes({2, 8, 5}, blocked), 320u);
  EXPECT_EQ(*bytes({5}, blocked), 20u);
  EXPECT_EQ(*bytes({large, large, 0}), 0u);
  EXPECT_EQ(*bytes({0, large, large}), 0u);
  EXPECT_EQ(bytes({large, large}).status().code(), Code::kLimit);
  EXPECT_EQ(bytes({int64_t{1} << 45}).status().code(), Code::kLimit);
  EXPECT_EQ(bytes({-1, 2}).status().code(), Code::kShape);
}

}  // namespace
}  // namespace tenon
