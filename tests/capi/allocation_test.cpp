// A steady-state run of a session allocates nothing: every way to the heap is counted. Without sanitizers, which have a heap of their own.
#include <gtest/gtest.h>

#ifndef TENON_SANITIZED

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "capi/models.h"
#include "tenon/tenon.hpp"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
void count() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

// The C library's own names for its heap functions.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* block, size_t size) {
  count();
  return __libc_realloc(block, size);
}
void* memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
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

}  // namespace

#endif  // TENON_SANITIZED
