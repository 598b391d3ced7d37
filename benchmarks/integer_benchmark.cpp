// Products of 8-bit integers beside what one core can do: with VNNI four times the operations of its float32 multiply-adds, otherwise
// twice. One thread.
//   integer_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#include <memory>

#include "benchmarks/best.h"
#include "benchmarks/machine.h"
#include "kernels/integer/integer.h"

namespace tenon::kernels {
namespace {

std::unique_ptr<std::byte[]> buffer(int64_t bytes) {
  auto b = std::make_unique<std::byte[]>(static_cast<size_t>(bytes) + 64);
  for (int64_t i = 0; i < bytes; ++i) b[static_cast<size_t>(i)] = static_cast<std::byte>(i * 2654435761u >> 13);
  return b;
}

/// Args: m, n, k.
void product(benchmark::State& state, DType to) {
  IntegerGemmParams p{.c = to, .a_zero = true, .m = state.range(0), .n = state.range(1), .k = state.range(2)};
  p.format = integer_panels();
  p.b_scales.step = 1;
  p.bias = to == DType::kFloat32;
  const auto a = buffer(p.m * p.k), b = buffer(p.k * p.n), c = buffer(p.m * p.n * 4), columns = buffer(p.n * 4);
  const auto panels = buffer(integer_panels_bytes(p.format, p.k, p.n));
  float one = 1;
  for (int64_t i = 0; i < p.n; ++i) reinterpret_cast<float*>(columns.get())[i] = 0.001f * static_cast<float>(i % 7 + 1);
  const void* src[] = {a.get(), &one, a.get(), b.get(), columns.get(), nullptr, &one, nullptr, columns.get()};
  void* dst[] = {c.get()};
  Fault fault;
  const IntegerPackParams pack{.format = p.format, .k = p.k, .n = p.n, .rows = p.k};
  IntegerPackPointer()(pack, {.src = src, .dst = dst, .fault = &fault, .shared = panels.get()}, {0, pack.parts()});
  src[3] = panels.get();
  plan_integer_gemm(p);
  const auto scratch = buffer(integer_gemm_scratch(p));
  const Call call{.src = src, .dst = dst, .scratch = scratch.get(), .fault = &fault};
  const auto kernel = benchmarks::chosen(state, integer_gemm, p);
  const double best = benchmarks::best_seconds(state, [&] { kernel(p, call, {0, p.parts()}); });
  const double work = 2e-9 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  const double peak = benchmarks::peak_gflops() * (has_byte_products() ? 4 : 2);
  state.counters["best_us"] = best * 1e6;
  state.counters["GOPS"] = work / best;
  state.counters["percent_of_peak"] = 100 * work / best / peak;
  if (p.m <= kFewRows) state.counters["GB_per_s"] = 1e-9 * static_cast<double>(p.k * p.n) / best;
}

// clang-format off
BENCHMARK_CAPTURE(product, sums, DType::kInt32)
    ->Args({64, 64, 64})->Args({128, 128, 128})->Args({256, 256, 256})->Args({512, 512, 512})->Args({1024, 1024, 1024})
    ->Args({128, 768, 768})->Args({128, 3072, 768})->Args({128, 768, 3072})->Args({17, 1000, 512})->Args({8, 1024, 1024})
    ->Args({1, 1024, 4096})->Args({1, 4096, 1024})->Args({2, 4096, 1024})->Args({4, 4096, 1024})->Args({1, 768, 768});
// clang-format on
BENCHMARK_CAPTURE(product, scaled, DType::kFloat32)->Args({128, 768, 768})->Args({128, 3072, 768})->Args({1, 4096, 1024});
BENCHMARK_CAPTURE(product, requantised, DType::kUint8)->Args({128, 768, 768})->Args({512, 512, 512});

}  // namespace
}  // namespace tenon::kernels

BENCHMARK_MAIN();
