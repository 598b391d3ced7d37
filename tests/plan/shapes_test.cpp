// One model, many shapes: what a model and its sessions hold does not grow with the number of shapes they have seen.
#include <gtest/gtest.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <random>
#include <thread>

#include "plan/model.h"
#include "support/ops.h"

namespace tenon {
namespace {

/// Bytes of the heap in use; 0 where the system does not tell.
size_t heap_bytes() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}

/// y [batch, rows, 48] = softmax(relu(x) W) beside itself, for x [batch, rows, 32].
Graph graph() {
  Graph g;
  const auto add = [&g](Op op, std::vector<ValueId> in) { return (*g.add_node(0, std::move(op), std::move(in)))[0]; };
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{Dim::symbol("batch"), Dim::symbol("rows"), 32}));
  const ValueId w = g.add_constant(0, "w", Tensor::of<float>({32, 24}, std::vector<float>(32 * 24, 0.1f)));
  const ValueId product = add(ops::MatMul{}, {add(testing_support::unary(ops::Unary::Kind::kRelu), {x}), w});
  const ValueId p = add(ops::Softmax{}, {product});
  EXPECT_TRUE(g.add_output(0, add(ops::Concat{-1}, {p, p}), "y").ok());
  return g;
}

class Shapes : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Model::create(graph(), {});
    ASSERT_TRUE(made.ok()) << made.status().message();
    model_ = *made;
    session_ = model_->session();
  }

  void run(int64_t batch, int64_t rows) {
    std::vector<Tensor> in{*Tensor::allocate(DType::kFloat32, {batch, rows, 32})};
    std::fill_n(in[0].as<float>(), in[0].count(), 1.0f);
    for (const bool own : {false, true}) {
      std::vector<Tensor> out(1);
      const Status status = own ? session_->run(in, out) : model_->run(in, out);
      ASSERT_TRUE(status.ok()) << status.message();
      ASSERT_EQ(out[0].dims(), (Dims{batch, rows, 48}));
      ASSERT_FLOAT_EQ(out[0].as<float>()[batch * rows * 48 - 1], 1.0f / 24);
    }
  }

  /// Does the runs on a thread of their own: freed chunks that the allocator keeps for a thread, which count as in use, go when it ends.
  template <class F>
  static void apart(F&& runs) {
    std::thread(std::forward<F>(runs)).join();
  }

  /// The state after the same runs, whatever there was before: as many plans as are kept, the largest shapes first.
  std::pair<size_t, size_t> settled() {
    apart([this] {
      for (int64_t i = 96; i > 0; --i) run(4, 2 * i);
    });
    EXPECT_EQ(model_->stats().plans, model_->options().max_plans);
    return {model_->stats().run_bytes, heap_bytes()};
  }

  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
};

TEST_F(Shapes, AThousandAtRandomLeaveNothingBehind) {
  settled();
  const auto before = settled();
  const size_t peak = model_->stats().run_bytes_peak;
  std::mt19937 random(3);
  apart([&] {
    for (int i = 0; i < 1000; ++i) run(1 + random() % 4, 1 + random() % 192);
  });
  EXPECT_LE(model_->stats().plans, model_->options().max_plans);
  EXPECT_EQ(model_->stats().sessions_idle, 1u);
  EXPECT_EQ(model_->stats().run_bytes_peak, peak);  // no shape is larger than those before
  const auto after = settled();
  EXPECT_EQ(after.first, before.first);
  EXPECT_LE(after.second, before.second + 4096);
}

TEST_F(Shapes, AfterALargeOneMemoryIsGivenBack) {
  run(1, 8);
  run(64, 4096);
  const size_t large = model_->stats().run_bytes;
  run(1, 8);
  EXPECT_LT(model_->stats().run_bytes, large / 4);
}

}  // namespace
}  // namespace tenon
