// Every row of every table beside the plain reference of its family and beside a copy of as many bytes, on one thread. `within_us` is what
// all parts would take if each found its operands in the core's caches.
//   tables_benchmark [--benchmark_filter=softmax]; TENON_MAX_ISA=avx2 caps the instruction set.
#include <algorithm>

#include "benchmarks/measure.h"
#include "support/kernel_cases.h"

namespace tenon::benchmarks {
namespace {

constexpr int64_t kCachedParts = 2;  ///< operands of some hundred kilobytes at most
constexpr int kCachedRuns = 20;      ///< between two looks at the clock, which takes a while

template <class F>
double best_seconds(int runs, F&& f) {
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const double start = thread_seconds();
    f();
    best = std::min(best, thread_seconds() - start);
  }
  return best;
}

template <class Params>
void time_row(benchmark::State& state, const kernels::Table<Params>& table, const test::KernelCase<Params>& c,
              const kernels::Row<Params>& row) {
  test::KernelRun<Params> run(c, true);
  CopyBuffers copy(run.moved());
  const auto kernel = row.pointer();
  const auto speed = [&] { return copy.burst(); };
  const Taken taken = benchmarks::taken(
      state, [&] { run(kernel); }, speed);
  count(state, taken, run.moved(), "copy");
  state.counters["GB_per_s"] = run.moved() / taken.usual * 1e-9;
  state.counters["bytes"] = run.moved();
  const int64_t few = std::min<int64_t>(c.parts, kCachedParts);
  const double within = best_seconds(5, [&] {
    for (int i = 0; i < kCachedRuns; ++i) run(kernel, {0, few});
  });
  state.counters["within_us"] = within * 1e6 / kCachedRuns * static_cast<double>(c.parts) / static_cast<double>(few);
  if (const auto* reference = test::reference_row(table, c.params); reference != &row) {
    state.counters["times_reference"] = best_seconds(3, [&] { run(reference->pointer()); }) / taken.best;
  }
}

}  // namespace
}  // namespace tenon::benchmarks

int main(int argc, char** argv) {
  tenon::test::for_each_kernel_case(true, [](const auto& table, const auto& c) {
    for (const auto& row : table) {
      if (row.refuse(c.params) != nullptr) continue;
      const std::string name = std::string(table.family) + "/" + c.name + "/" + row.name;
      benchmark::RegisterBenchmark(name.c_str(), [&table, c, &row](benchmark::State& state) {
        tenon::benchmarks::time_row(state, table, c, row);
      })->Unit(benchmark::kMicrosecond);
    }
  });
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
