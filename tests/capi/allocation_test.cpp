// The heap: a steady-state run of a session allocates nothing, and an allocation that fails anywhere becomes a status. Without sanitizers,
// which have a heap of their own.
#include <gtest/gtest.h>

#ifndef TENON_SANITIZED

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "capi/models.h"
#include "tenon/tenon.hpp"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
std::atomic<int64_t> fail_at{0};   // which allocation fails, counted from 1; 0 for none
std::atomic<bool> fail_on{false};  // and all after it

/// Notes an allocation; false when it is to fail.
bool count() {
  if (!counting.load(std::memory_order_relaxed)) return true;
  const int64_t n = allocations.fetch_add(1, std::memory_order_relaxed) + 1;
  const int64_t k = fail_at.load(std::memory_order_relaxed);
  return k == 0 || n < k || (n > k && !fail_on.load(std::memory_order_relaxed));
}
}  // namespace

// The C library's own names for its heap functions.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) { return count() ? __libc_malloc(size) : nullptr; }
void* calloc(size_t n, size_t size) { return count() ? __libc_calloc(n, size) : nullptr; }
void* realloc(void* block, size_t size) { return count() ? __libc_realloc(block, size) : nullptr; }
void* memalign(size_t alignment, size_t size) { return count() ? __libc_memalign(alignment, size) : nullptr; }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}
}

namespace {

using tenon::Model;
using tenon::Options;
using tenon::Tensor;

/// Allocations of 100 runs after some to warm up.
int allocations_of(tenon::Session& session, const tenon::RunOptions& options) {
  for (int i = 0; i < 5; ++i) session.run(options);
  allocations = 0;
  counting = true;
  for (int i = 0; i < 100; ++i) session.run(options);
  counting = false;
  return allocations;
}

TEST(Allocation, TheCounterCounts) {
  allocations = 0;
  counting = true;
  auto* p = new std::vector<int>(100);
  counting = false;
  delete p;
  EXPECT_GE(allocations, 2);
}

TEST(Allocation, SteadyStateRunsAllocateNothing) {
  for (const char* name : {"mlp.onnx", "add.onnx"}) {
    for (const int threads : {1, 2}) {
      const auto model = Model::load(model_path(name), Options().threads(threads));
      auto session = model.session();
      std::vector<std::vector<float>> memory;
      for (size_t i = 0; i < model.inputs().size(); ++i) {
        const int64_t columns = model.input(i).dims[1];
        session.bind_input(i, Tensor::adopt(std::vector<float>(static_cast<size_t>(4 * columns), 1), {4, columns}));
      }
      EXPECT_EQ(allocations_of(session, {}), 0) << name << " at " << threads << " threads";
      const tenon::CancelToken token;
      EXPECT_EQ(allocations_of(session, tenon::RunOptions().cancel(token).deadline(std::chrono::hours(1))), 0) << name << " watched";
    }
  }
}

TEST(Allocation, BoundOutputsAllocateNothing) {
  const auto model = Model::load(model_path("mlp.onnx"), Options().threads(1));
  auto session = model.session();
  std::vector<float> x(8, 1), y(4);
  session.bind_input(0, Tensor::borrow(x.data(), x.size(), {1, 8})).bind_output(0, Tensor::borrow(y.data(), y.size(), {1, 4}));
  EXPECT_EQ(allocations_of(session, {}), 0);
}

TEST(Allocation, RunsOfSomeOutputsAllocateNothing) {
  const auto model = Model::load(model_path("mlp.onnx"), Options().threads(1).extra_output("hidden"));
  auto session = model.session();
  std::vector<float> x(8, 1);
  session.bind_input(0, Tensor::borrow(x.data(), x.size(), {1, 8})).want_outputs({"hidden"});
  EXPECT_EQ(allocations_of(session, {}), 0);
}

/// Loads a model and runs it in both ways; the first failure's status.
tenon_status load_and_run(const std::string& bytes, const tenon::Dims& dims) {
  tenon_load_options options{};
  options.size = sizeof options;
  options.threads = 1;
  tenon_error* error = nullptr;
  tenon_model* model = nullptr;
  tenon_session* session = nullptr;
  tenon_tensor *in = nullptr, *out = nullptr;
  tenon_string text{};
  tenon_status status = tenon_model_load_memory(bytes.data(), bytes.size(), &options, &model, &error);
  const auto next = [&](auto call) {
    if (status == TENON_OK) status = call();
  };
  next([&] { return tenon_tensor_new(TENON_FLOAT32, dims.data(), dims.size(), &in, &error); });
  next([&] { return tenon_model_run(model, &in, 1, &out, 1, nullptr, &error); });
  next([&] { return tenon_session_new(model, &session, &error); });
  next([&] { return tenon_session_bind_input(session, 0, in, &error); });
  next([&] { return tenon_session_run(session, nullptr, &error); });
  next([&] { return tenon_model_graph(model, TENON_GRAPH_TEXT, &text, &error); });
  if (status != TENON_OK) {
    EXPECT_NE(error, nullptr);
    EXPECT_EQ(tenon_error_code(error), status);
  }
  tenon_error_free(error);
  tenon_string_free(&text);
  tenon_tensor_free(out);
  tenon_tensor_free(in);
  tenon_session_free(session);
  tenon_model_free(model);
  return status;
}

/// Makes sequences, runs a model that takes and gives them, and looks at what comes out; the first failure's status.
tenon_status make_and_run_sequences(const std::string& model_bytes, const std::string& proto) {
  tenon_error* error = nullptr;
  tenon_model* model = nullptr;
  tenon_tensor *cond = nullptr, *vector = nullptr, *a = nullptr, *b = nullptr, *copy = nullptr, *item = nullptr;
  tenon_tensor* out[2] = {};
  const int64_t dims[] = {2};
  const float values[] = {1, 2};
  const uint8_t yes = 1;
  tenon_status status = tenon_model_load_memory(model_bytes.data(), model_bytes.size(), nullptr, &model, &error);
  const auto next = [&](auto call) {
    if (status == TENON_OK) status = call();
  };
  next([&] { return tenon_tensor_copy(TENON_BOOL, nullptr, 0, &yes, 1, &cond, &error); });
  next([&] { return tenon_tensor_copy(TENON_FLOAT32, dims, 1, values, sizeof values, &vector, &error); });
  next([&] {
    const tenon_tensor* items[] = {vector, vector};
    return tenon_sequence_new(TENON_FLOAT32, items, 2, &a, &error);
  });
  next([&] { return tenon_sequence_parse(proto.data(), proto.size(), TENON_FLOAT32, nullptr, &b, &error); });
  next([&] {
    const tenon_tensor* inputs[] = {cond, a, b, vector};
    return tenon_model_run(model, inputs, 4, out, 2, nullptr, &error);
  });
  next([&] { return tenon_tensor_clone(out[0], &copy, &error); });
  next([&] { return tenon_sequence_item(copy, 1, &item, &error); });
  next([&] { return static_cast<const float*>(tenon_tensor_data(item))[1] == 2 ? TENON_OK : TENON_INTERNAL; });
  EXPECT_EQ(tenon_error_code(error), status);
  tenon_error_free(error);
  for (tenon_tensor* t : {cond, vector, a, b, copy, item, out[0], out[1]}) tenon_tensor_free(t);
  tenon_model_free(model);
  return status;
}

std::string read(const std::string& name) {
  std::ifstream in(model_path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Lets every allocation of `work` fail in turn: once, or for good from there on.
void fail_everywhere(const std::function<tenon_status()>& work) {
  ASSERT_EQ(work(), TENON_OK);  // what is made once in a process is made now
  for (const bool for_good : {false, true}) {
    fail_on = for_good;
    int failures = 0;
    for (int64_t k = 1;; ++k) {
      fail_at = k;
      allocations = 0;
      counting = true;
      const tenon_status status = work();
      counting = false;
      if (status == TENON_OK && allocations < k) break;
      failures += status != TENON_OK;
      ASSERT_TRUE(status == TENON_OK || status == TENON_NOMEM || status == TENON_LIMIT) << "allocation " << k << ": status " << status;
      ASSERT_LT(k, 1000000);
    }
    EXPECT_GT(failures, 100);
  }
  fail_at = 0;
  EXPECT_EQ(work(), TENON_OK);
}
void fail_everywhere(const std::string& name, const tenon::Dims& dims) {
  const std::string bytes = read(name);
  fail_everywhere([&] { return load_and_run(bytes, dims); });
}

TEST(Allocation, EveryFailureBecomesAStatus) { fail_everywhere("mlp.onnx", {2, 8}); }
TEST(Allocation, EveryFailureBecomesAStatusInConvolutions) { fail_everywhere("../../examples/digits/digits.onnx", {1, 1, 8, 8}); }
TEST(Allocation, EveryFailureBecomesAStatusInDynamicShapes) { fail_everywhere("nonzero.onnx", {4}); }
TEST(Allocation, EveryFailureBecomesAStatusInSequences) {
  const std::string model = read("sequence.onnx"), proto = read("sequence.pb");
  fail_everywhere([&] { return make_and_run_sequences(model, proto); });
}

}  // namespace

#endif  // TENON_SANITIZED
