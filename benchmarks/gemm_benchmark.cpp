// Matrix products against the multiply-add peak of one core, measured in the same process. One thread.
//   gemm_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/gemm_benchmark.cpp"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Runs `turns` times 12 independent multiply-adds on full vectors; returns something that depends on all of them.
float MultiplyAdds(int64_t turns, float x) {
  const hn::CappedTag<float, 16> d;
  // Different values, or the compiler computes one of them only.
  auto a0 = hn::Set(d, x), a1 = hn::Set(d, x + 1), a2 = hn::Set(d, x + 2), a3 = hn::Set(d, x + 3), a4 = hn::Set(d, x + 4), a5 = hn::Set(d, x + 5);
  auto a6 = hn::Set(d, x + 6), a7 = hn::Set(d, x + 7), a8 = hn::Set(d, x + 8), a9 = hn::Set(d, x + 9), a10 = hn::Set(d, x + 10), a11 = hn::Set(d, x + 11);
  const auto factor = hn::Set(d, 0.5f), add = hn::Set(d, x);
  for (; turns > 0; --turns) {
    a0 = hn::MulAdd(a0, factor, add);
    a1 = hn::MulAdd(a1, factor, add);
    a2 = hn::MulAdd(a2, factor, add);
    a3 = hn::MulAdd(a3, factor, add);
    a4 = hn::MulAdd(a4, factor, add);
    a5 = hn::MulAdd(a5, factor, add);
    a6 = hn::MulAdd(a6, factor, add);
    a7 = hn::MulAdd(a7, factor, add);
    a8 = hn::MulAdd(a8, factor, add);
    a9 = hn::MulAdd(a9, factor, add);
    a10 = hn::MulAdd(a10, factor, add);
    a11 = hn::MulAdd(a11, factor, add);
  }
  const auto s0 = hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), s1 = hn::Add(hn::Add(a4, a5), hn::Add(a6, a7));
  return hn::GetLane(hn::Add(hn::Add(s0, s1), hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "kernels/gemm/gemm.h"

namespace tenon::kernels {
HWY_EXPORT(MultiplyAdds);

namespace {

double peak_gflops() {
  static const double peak = [] {
    const auto run = TENON_POINTER(MultiplyAdds);
    double best = 0;
    for (int i = 0; i < 200; ++i) {
      const auto start = std::chrono::steady_clock::now();
      constexpr int64_t kTurns = 20000;
      benchmark::DoNotOptimize(run(kTurns, 1.0f));
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      best = std::max(best, 24e-9 * kTurns * float_lanes() / seconds);
    }
    return best;
  }();
  return peak;
}

struct Buffer {
  explicit Buffer(int64_t floats) : data(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(floats * 4 + 127) / 64 * 64))) {
    for (int64_t i = 0; i < floats; ++i) data[i] = static_cast<float>((i * 2654435761u >> 8) % 1000) * 1e-3f - 0.5f;
  }
  ~Buffer() { std::free(data); }
  float* data;
};

/// Args: m, n, k; `packed`: weights packed ahead, else B packed on every call as for two dynamic operands.
void product(benchmark::State& state, bool packed, bool trans_b, bool gelu) {
  GemmParams p{.m = state.range(0), .n = state.range(1), .k = state.range(2)};
  p.a_m = p.k;
  p.b_k = trans_b ? 1 : p.n;
  p.b_n = trans_b ? p.k : 1;
  p.c_m = p.n;
  p.addend = gelu;
  p.d_n = 1;
  if (gelu) p.tile = unary_tile(UnaryKind::kGelu);
  const Buffer a(p.m * p.k), b(p.k * p.n), c(p.m * p.n), bias(p.n), panels(packed_floats(gemm_format(), p.k, p.n));
  GemmPackParams pack{.format = gemm_format(), .k = p.k, .n = p.n, .b_k = p.b_k, .b_n = p.b_n};
  const void* src[] = {a.data, b.data, bias.data};
  const void* packed_src[] = {a.data, panels.data, bias.data};
  void* dst[] = {c.data};
  Fault fault;
  Call packing{.src = src, .dst = dst, .fault = &fault, .shared = reinterpret_cast<std::byte*>(panels.data)};
  p.format = gemm_format();
  const auto run_pack = GemmPackPointer();
  run_pack(pack, packing, {0, pack.parts()});
  plan_gemm(p);
  const Buffer scratch(gemm_scratch(p) / 4);
  Call call{.src = packed_src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(scratch.data), .fault = &fault};
  Kernel<GemmParams> kernel = nullptr;
  for (const auto& row : gemm) {
    if (row.refuse(p) == nullptr) {
      kernel = row.pointer();
      state.SetLabel(row.name);
      break;
    }
  }
  double best = 1e30;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    if (!packed) run_pack(pack, packing, {0, pack.parts()});
    kernel(p, call, {0, p.parts()});
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double work = 2e-9 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  state.counters["best_us"] = best * 1e6;
  state.counters["GFLOPS"] = work / best;
  state.counters["percent_of_peak"] = 100 * work / best / peak_gflops();
  if (p.m <= kFewRows) state.counters["GB_per_s"] = 4e-9 * static_cast<double>(p.k * p.n) / best;
  state.counters["peak"] = peak_gflops();
}

BENCHMARK_CAPTURE(product, packed, true, false, false)
    ->Args({64, 64, 64})->Args({128, 128, 128})->Args({256, 256, 256})->Args({512, 512, 512})->Args({768, 768, 768})
    ->Args({1024, 1024, 1024})->Args({2048, 2048, 2048})
    ->Args({128, 768, 768})->Args({128, 3072, 768})->Args({128, 768, 3072})->Args({64, 384, 1536})->Args({1500, 384, 384})
    ->Args({17, 1000, 512})->Args({8, 1024, 1024})->Args({5, 4096, 1024})
    ->Args({1, 1000, 2048})->Args({1, 1024, 1024})->Args({1, 4096, 4096})->Args({2, 4096, 4096})->Args({4, 4096, 4096})->Args({1, 64, 64});
BENCHMARK_CAPTURE(product, gelu, true, false, true)->Args({128, 3072, 768})->Args({512, 512, 512});
BENCHMARK_CAPTURE(product, dynamic, false, false, false)->Args({128, 64, 128})->Args({512, 512, 512})->Args({1024, 1024, 1024});
BENCHMARK_CAPTURE(product, dynamic_transposed, false, true, false)->Args({128, 128, 64})->Args({512, 512, 512})->Args({1024, 1024, 1024});

}  // namespace
}  // namespace tenon::kernels

BENCHMARK_MAIN();
#endif
