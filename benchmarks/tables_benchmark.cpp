// Every row of every table beside the plain reference of its family and beside a copy of as many bytes, on one thread.
//   tables_benchmark [--benchmark_filter=softmax]; TENON_MAX_ISA=avx2 caps the instruction set.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "benchmarks/machine.h"
#include "support/kernel_cases.h"

namespace tenon::benchmarks {
namespace {

template <class Params>
double best_seconds(benchmark::State* state, test::KernelRun<Params>& run, kernels::Kernel<Params> kernel) {
  double best = 1e30;
  const auto once = [&] {
    const auto start = std::chrono::steady_clock::now();
    run(kernel);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  };
  if (state == nullptr) {
    for (int i = 0; i < 3; ++i) once();
  } else {
    for (auto _ : *state) once();
  }
  return best;
}

template <class Params>
void time_row(benchmark::State& state, const kernels::Table<Params>& table, const test::KernelCase<Params>& c,
              const kernels::Row<Params>& row) {
  test::KernelRun<Params> run(c);
  const double best = best_seconds(&state, run, row.pointer());
  const double speed = run.moved() / best * 1e-9;
  state.counters["best_us"] = best * 1e6;
  state.counters["GB_per_s"] = speed;
  state.counters["percent_of_copy"] = 100 * speed / copy_speed(run.moved());
  if (const auto* reference = test::reference_row(table, c.params); reference != &row) {
    state.counters["times_reference"] = best_seconds(nullptr, run, reference->pointer()) / best;
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
