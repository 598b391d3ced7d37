// What benchmarks of kernels share: memory, the kernel that a table chooses, and what is told of many runs.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <vector>

#include "base/allocator.h"
#include "benchmarks/machine.h"
#include "kernels/table.h"

namespace tenon::benchmarks {

/// Seconds of the processor that this thread has had, so that what else runs on the machine does not count.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Taken {
  double best;        ///< seconds of the shortest run
  double operations;  ///< what multiply-adds at the machine's peak would have done in the time of a run: the median
};

/// Of runs on this thread alone; the peak is measured after every few milliseconds of them, so that a core that changes its speed changes
/// both.
template <class Run>
Taken taken(benchmark::State& state, Run&& run) {
  constexpr double kStretch = 2e-3;
  double best = 1e30, before = burst_gflops(), stretch = 0, runs = 0;
  std::vector<double> operations;
  const auto look = [&] {
    const double after = burst_gflops();
    operations.push_back(stretch / runs * (before + after) / 2 * 1e9);
    before = after;
    stretch = runs = 0;
  };
  for (auto _ : state) {
    const double start = thread_seconds();
    run();
    const double seconds = thread_seconds() - start;
    best = std::min(best, seconds);
    stretch += seconds;
    if (++runs; stretch >= kStretch) look();
  }
  if (runs > 0) look();
  std::nth_element(operations.begin(), operations.begin() + static_cast<ptrdiff_t>(operations.size() / 2), operations.end());
  return {best, operations[operations.size() / 2]};
}

/// Elements in memory as the engine's own, on huge pages where the system has them.
template <class T>
struct Memory {
  explicit Memory(int64_t count, T value = {}) : buffer(*Buffer::allocate(static_cast<size_t>(count) * sizeof(T))) {
    std::fill_n(data, count, value);
  }
  std::shared_ptr<Buffer> buffer;
  T* data = reinterpret_cast<T*>(buffer->data());
};

/// Numbers from -reach up to reach, in no order.
template <class T>
struct Numbers : Memory<T> {
  explicit Numbers(int64_t count, float reach = 0.5f) : Memory<T>(count) {
    for (int64_t i = 0; i < count; ++i) {
      this->data[i] = static_cast<T>((static_cast<float>((i * 2654435761u >> 8) % 1000) * 2e-3f - 1.0f) * reach);
    }
  }
};

/// The first row that takes `p`; its name becomes the label.
template <class Params>
kernels::Kernel<Params> chosen(benchmark::State& state, const kernels::Table<Params>& table, const Params& p) {
  for (const auto& row : table) {
    if (row.refuse(p) != nullptr) continue;
    state.SetLabel(row.name);
    return row.pointer();
  }
  return nullptr;
}

}  // namespace tenon::benchmarks
