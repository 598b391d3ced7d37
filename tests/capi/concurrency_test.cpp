// Many callers, cancel, deadline, the host's threads.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "capi/models.h"
#include "tenon/tenon.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using tenon::Code;
using tenon::Model;
using tenon::Options;
using tenon::RunOptions;
using tenon::Tensor;

std::vector<float> numbers(size_t n, int seed) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>((i * 7 + static_cast<size_t>(seed) * 3) % 11) - 5;
  return x;
}

TEST(Concurrency, CallersOfOneModelGetTheSerialAnswers) {
  const auto model = Model::load(model_path("mlp.onnx"), Options().threads(2));
  constexpr int kCallers = 16, kRuns = 200;
  std::vector<Tensor> inputs;
  std::vector<std::vector<float>> serial;
  for (int c = 0; c < kCallers; ++c) {
    const int64_t rows = 1 + c % 5;
    inputs.push_back(Tensor::of(numbers(static_cast<size_t>(rows) * 8, c), {rows, 8}));
    serial.push_back(model.run(inputs.back()).to_vector<float>());
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < kCallers; ++c) {
    callers.emplace_back([&, c] {
      for (int r = 0; r < kRuns; ++r)
        wrong += model.run(inputs[static_cast<size_t>(c)]).to_vector<float>() != serial[static_cast<size_t>(c)];
    });
  }
  for (auto& t : callers) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(model.stats().runs, static_cast<uint64_t>(kCallers * (kRuns + 1)));
}

TEST(Concurrency, InspectingWhileRunning) {
  const auto model = Model::load(model_path("mlp.onnx"));
  std::atomic<bool> stop{false};
  std::thread runner([&] {
    const auto input = Tensor::of(numbers(8, 1), {1, 8});
    while (!stop) (void)model.run(input);
  });
  for (int i = 0; i < 50; ++i) {
    for (const auto& node : model.nodes()) EXPECT_FALSE(node.op.empty());
    model.explain({{"batch", 1 + i % 3}});
    (void)model.stats();
    model.trim();
  }
  stop = true;
  runner.join();
}

TEST(Concurrency, CancelStopsARun) {
  const auto model = Model::load(model_path("forever.onnx"));
  const auto x = Tensor::of<float>({1, 2, 3, 4}, {4});
  for (int i = 0; i < 5; ++i) {
    const tenon::CancelToken token;
    Clock::time_point set;
    std::thread other([&] {
      std::this_thread::sleep_for(20ms);
      set = Clock::now();
      token.cancel();
    });
    const auto out = model.try_run(x, RunOptions().cancel(token));
    const auto stopped = Clock::now();
    other.join();
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code(), Code::kCancelled);
    EXPECT_LT(stopped - set, 500ms);
    EXPECT_TRUE(token.cancelled());
  }
  const tenon::CancelToken already;
  already.cancel();
  EXPECT_EQ(model.try_run(x, RunOptions().cancel(already)).error().code(), Code::kCancelled);
}

TEST(Concurrency, DeadlineStopsARun) {
  const auto model = Model::load(model_path("forever.onnx"));
  auto session = model.session();
  session.bind_input(0, Tensor::of<float>({1, 2, 3, 4}, {4}));
  const auto begin = Clock::now();
  const auto out = session.try_run(RunOptions().deadline(300ms));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kLimit);
  EXPECT_NE(out.error().message().find("deadline"), std::string::npos);
  EXPECT_EQ(out.error().node(), "spin");
  EXPECT_LT(Clock::now() - begin, 2s);
  EXPECT_EQ(session.try_run(RunOptions().deadline(10ms)).error().code(), Code::kLimit);  // usable again
}

/// A pool that starts a thread for each call of run: as simple as can be.
void run_on_new_threads(void* user, int32_t n, void (*fn)(void*, int32_t), void* arg) {
  ++*static_cast<std::atomic<int>*>(user);
  std::vector<std::thread> threads;
  for (int32_t i = 1; i < n; ++i) threads.emplace_back(fn, arg, i);
  fn(arg, 0);
  for (auto& t : threads) t.join();
}

TEST(Concurrency, RunsOnTheHostsThreads) {
  std::atomic<int> uses{0};
  tenon_thread_pool pool{sizeof pool, &uses, run_on_new_threads};
  const auto model = Model::load(model_path("mlp.onnx"), Options().threads(3).pool(pool));
  const auto plain = Model::load(model_path("mlp.onnx"), Options().threads(1));
  const auto input = Tensor::of(numbers(4096 * 8, 2), {4096, 8});
  EXPECT_EQ(model.run(input).to_vector<float>(), plain.run(input).to_vector<float>());
  EXPECT_GT(uses, 0);
}

TEST(Concurrency, SessionsOutliveTheirModel) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    auto session = std::make_shared<tenon::Session>(Model::load(model_path("mlp.onnx")));
    threads.emplace_back([session, i] {
      session->bind_input(0, Tensor::of(numbers(8, i), {1, 8}));
      for (int r = 0; r < 20; ++r) session->run();
    });
  }
  for (auto& t : threads) t.join();
}

}  // namespace
