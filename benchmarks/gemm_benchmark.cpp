// Matrix products against the multiply-add peak of one core, measured in the same process. One thread.
//   gemm_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#include "benchmarks/measure.h"
#include "kernels/gemm/bits.h"

namespace tenon::kernels {
namespace {

using benchmarks::Numbers;
using Floats = Numbers<float>;

/// Args: m, n, k; `packed`: weights packed ahead, else B packed on every call as for two dynamic operands. Panels and scratch of float64
/// take the room of twice as many floats.
template <class T>
void product(benchmark::State& state, T, bool packed, bool trans_b, bool gelu) {
  GemmParams p{.dtype = dtype_of<T>, .m = state.range(0), .n = state.range(1), .k = state.range(2)};
  p.a_m = p.k;
  p.b_k = trans_b ? 1 : p.n;
  p.b_n = trans_b ? p.k : 1;
  p.c_m = p.n;
  p.addend = gelu;
  p.d_n = 1;
  if (gelu) p.tile = unary_tile(UnaryKind::kGelu);
  const Numbers<T> a(p.m * p.k), b(p.k * p.n), c(p.m * p.n), bias(p.n);
  const benchmarks::Memory<std::byte> panels(packed_elements(gemm_format(), p.k, p.n, p.dtype) * packed_bytes(p.dtype));
  GemmPackParams pack{.dtype = p.dtype, .format = gemm_format(), .k = p.k, .n = p.n, .b_k = p.b_k, .b_n = p.b_n};
  const void* src[] = {a.data, b.data, bias.data};
  const void* packed_src[] = {a.data, panels.data, bias.data};
  void* dst[] = {c.data};
  Fault fault;
  Call packing{.src = src, .dst = dst, .fault = &fault, .shared = panels.data};
  p.format = gemm_format();
  const auto run_pack = GemmPackPointer();
  run_pack(pack, packing, {0, pack.parts()});
  plan_gemm(p);
  const benchmarks::Memory<std::byte> scratch(gemm_scratch(p));
  Call call{.src = packed_src, .dst = dst, .scratch = scratch.data, .fault = &fault};
  const auto kernel = benchmarks::chosen(state, gemm, p);
  const auto taken = benchmarks::taken(state, [&] {
    if (!packed) run_pack(pack, packing, {0, pack.parts()});
    kernel(p, call, {0, p.parts()});
  });
  const double work = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  state.counters["best_us"] = taken.best * 1e6;
  state.counters["GFLOPS"] = 1e-9 * work / taken.best;
  // A vector holds half as many float64 as float32.
  state.counters["percent_of_peak"] = 100 * work / taken.operations * static_cast<double>(packed_bytes(p.dtype)) / 4;
  if (p.m <= kFewRows)
    state.counters["GB_per_s"] = 1e-9 * static_cast<double>(packed_bytes(p.dtype)) * static_cast<double>(p.k * p.n) / taken.best;
}

// clang-format off
BENCHMARK_CAPTURE(product, packed, float(), true, false, false)
    ->Args({64, 64, 64})->Args({128, 128, 128})->Args({256, 256, 256})->Args({512, 512, 512})->Args({768, 768, 768})
    ->Args({1024, 1024, 1024})->Args({2048, 2048, 2048})
    ->Args({128, 768, 768})->Args({128, 3072, 768})->Args({128, 768, 3072})->Args({64, 384, 1536})->Args({1500, 384, 384})
    ->Args({17, 1000, 512})->Args({8, 1024, 1024})->Args({5, 4096, 1024})
    ->Args({1, 1000, 2048})->Args({1, 1024, 1024})->Args({1, 4096, 4096})->Args({2, 4096, 4096})->Args({4, 4096, 4096})->Args({1, 64, 64})
    ->Args({8, 4096, 4096})->Args({16, 4096, 4096})->Args({128, 4096, 4096})->Args({512, 4096, 4096});
// clang-format on
BENCHMARK_CAPTURE(product, gelu, float(), true, false, true)->Args({128, 3072, 768})->Args({512, 512, 512});
BENCHMARK_CAPTURE(product, dynamic, float(), false, false, false)->Args({128, 64, 128})->Args({512, 512, 512})->Args({1024, 1024, 1024});
BENCHMARK_CAPTURE(product, dynamic_transposed, float(), false, true, false)
    ->Args({128, 128, 64})
    ->Args({512, 512, 512})
    ->Args({1024, 1024, 1024});

// clang-format off
BENCHMARK_CAPTURE(product, packed_float64, double(), true, false, false)
    ->Args({128, 128, 128})->Args({512, 512, 512})->Args({1024, 1024, 1024})->Args({64, 768, 768})->Args({17, 1000, 512})->Args({1, 2048, 2048});
BENCHMARK_CAPTURE(product, dynamic_float64, double(), false, false, false)->Args({128, 64, 128})->Args({512, 512, 512})->Args({1024, 1024, 1024});
BENCHMARK_CAPTURE(product, packed_float16, Float16(), true, false, false)->Args({128, 768, 768})->Args({512, 512, 512});
BENCHMARK_CAPTURE(product, dynamic_float16, Float16(), false, false, false)->Args({128, 64, 128})->Args({512, 512, 512});
// clang-format on

/// Args: m, n, k, bits, block. Weights packed in their bits; bytes are those that are read of them, scales included.
void few_bits(benchmark::State& state) {
  GemmParams p{.m = state.range(0), .n = state.range(1), .k = state.range(2)};
  const BitsFormat format{.bits = static_cast<int>(state.range(3)), .block = state.range(4), .panels = gemm_format()};
  p.format = bits_format(format);
  p.a_m = p.k;
  p.c_m = p.n;
  plan_gemm(p);
  const int64_t words = format.words(p.k, p.n);
  const Floats a(p.m * p.k), b(words), c(p.m * p.n), scratch(gemm_scratch(p) / 4), shared(bits_floats(p));
  const void* src[] = {a.data, b.data};
  void* dst[] = {c.data};
  Fault fault;
  const Call call{.src = src,
                  .dst = dst,
                  .scratch = reinterpret_cast<std::byte*>(scratch.data),
                  .fault = &fault,
                  .shared = reinterpret_cast<std::byte*>(shared.data)};
  const auto kernel = benchmarks::chosen(state, gemm, p);
  const auto taken = benchmarks::taken(state, [&] {
    if (takes_few_bits(p)) GemmBitsRowsPointer()(p, call, {0, 1});
    kernel(p, call, {0, p.parts()});
  });
  const double work = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  state.counters["best_us"] = taken.best * 1e6;
  state.counters["GFLOPS"] = 1e-9 * work / taken.best;
  state.counters["percent_of_peak"] = 100 * work / taken.operations;
  state.counters["GB_per_s"] = 4e-9 * static_cast<double>(words) / taken.best;
}

// clang-format off
BENCHMARK(few_bits)
    ->Args({1, 4096, 4096, 4, 32})->Args({1, 4096, 4096, 4, 128})->Args({1, 4096, 4096, 8, 32})->Args({1, 4096, 4096, 2, 32})
    ->Args({2, 4096, 4096, 4, 32})->Args({4, 4096, 4096, 4, 32})->Args({8, 4096, 4096, 4, 32})->Args({8, 4096, 4096, 8, 32})
    ->Args({9, 4096, 4096, 4, 32})->Args({16, 4096, 4096, 4, 32})->Args({128, 4096, 4096, 4, 32})->Args({128, 4096, 4096, 8, 32})
    ->Args({512, 4096, 4096, 4, 32});
// clang-format on

}  // namespace
}  // namespace tenon::kernels

BENCHMARK_MAIN();
