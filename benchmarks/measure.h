// What benchmarks of kernels share: memory, the kernel that a table chooses, and what is told of many runs.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "base/allocator.h"
#include "benchmarks/machine.h"
#include "kernels/onednn/onednn.h"
#include "kernels/table.h"

namespace tenon::benchmarks {

/// Seconds of the processor that this thread has had, so that what else runs on the machine does not count.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

inline double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

struct Taken {
  double best;   ///< seconds of the shortest run
  double usual;  ///< seconds of a run: the median
  double limit;  ///< what the machine at its limit would have done in the time of a run, operations or bytes: the median
};

/// Of runs on this thread alone (on more, with wall_seconds as the clock). `speed` measures what the machine can do, in billions a second,
/// after every few milliseconds of them, so that a core that changes its speed changes both.
template <class Run, class Speed = double (*)()>
Taken taken(benchmark::State& state, Run&& run, Speed&& speed = burst_gflops, double (*clock)() = thread_seconds) {
  constexpr double kStretch = 2e-3;
  run();  // finds cold caches
  double best = 1e30, before = speed(), stretch = 0, runs = 0;
  std::vector<double> usual, limit;
  const auto look = [&] {
    const double after = speed();
    usual.push_back(stretch / runs);
    limit.push_back(stretch / runs * (before + after) / 2 * 1e9);
    before = after;
    stretch = runs = 0;
  };
  for (auto _ : state) {
    const double start = clock();
    run();
    const double seconds = clock() - start;
    best = std::min(best, seconds);
    stretch += seconds;
    if (++runs; stretch >= kStretch) look();
  }
  if (runs > 0) look();
  return {best, median(usual), median(limit)};
}

/// The counters that all have: microseconds of a run, and the percentage that it reaches of the machine's `what`. `work`: what a run does
/// of what Taken::limit counts.
inline void count(benchmark::State& state, const Taken& taken, double work, const char* what = "peak") {
  state.counters["best_us"] = taken.best * 1e6;
  state.counters["usual_us"] = taken.usual * 1e6;
  state.counters[std::string("percent_of_") + what] = 100 * work / taken.limit;
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

/// Why oneDNN is not there beside us, where it is not.
inline void skip_onednn(benchmark::State& state) {
  namespace onednn = kernels::onednn;
  state.SkipWithError((onednn::description() + (onednn::module() != nullptr ? " has no kernel for it" : "")).c_str());
}

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
