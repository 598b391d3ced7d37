// What benchmarks of kernels share: the kernel that a table chooses, and the best of many runs.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "kernels/table.h"

namespace tenon::benchmarks {

/// Seconds of the shortest run.
template <class Run>
double best_seconds(benchmark::State& state, Run&& run) {
  double best = 1e30;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
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
