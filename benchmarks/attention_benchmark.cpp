// Attention over many queries against the multiply-add peak of one core, measured in the same process. One thread. K and V are packed
// outside the timing; only the two products count as operations.
//   attention_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#include "benchmarks/measure.h"
#include "kernels/attention/attention.h"

namespace tenon::kernels {
namespace {

using Floats = benchmarks::Numbers<float>;

void pack(const float* from, float* to, int64_t k, int64_t n, int64_t b_k, int64_t b_n) {
  const GemmPackParams p{.format = gemm_format(), .input = 0, .k = k, .n = n, .b_k = b_k, .b_n = b_n};
  const void* src[] = {from};
  Fault fault;
  GemmPackPointer()(p, {.src = src, .fault = &fault, .shared = reinterpret_cast<std::byte*>(to)}, {0, p.parts()});
}

/// Args: heads, queries, keys, size of a head. All heads read one K and V.
void attention(benchmark::State& state, bool masked) {
  AttentionParams p;
  p.batch = p.kv_heads = 1;
  p.heads = state.range(0);
  p.queries = state.range(1);
  p.keys = state.range(2);
  p.size = p.value_size = state.range(3);
  p.scale = 0.125f;
  p.q = p.y = {.batch = 0, .head = p.size, .row = p.heads * p.size};
  p.masked = masked;
  p.mask = {.row = p.keys};
  p.mask_key = 1;
  plan_attention(p);
  const auto format = gemm_format();
  const Floats q(p.heads * p.queries * p.size, 2), kv(p.keys * p.size, 2), y(p.heads * p.queries * p.size), mask(p.queries * p.keys);
  const benchmarks::Memory<std::byte> scratch(attention_scratch(p));
  p.v_at = packed_floats(format, p.size, p.keys);
  const Floats shared(p.v_at + packed_floats(format, p.keys, p.size));
  pack(kv.data, shared.data + p.k_at, p.size, p.keys, 1, p.size);
  pack(kv.data, shared.data + p.v_at, p.keys, p.size, p.size, 1);
  const void* src[] = {q.data, kv.data, kv.data, mask.data};
  void* dst[] = {y.data};
  Fault fault;
  const Call call{.src = src, .dst = dst, .scratch = scratch.data, .fault = &fault, .shared = reinterpret_cast<std::byte*>(shared.data)};
  const auto kernel = AttentionBlocksPointer();
  const auto taken = benchmarks::taken(state, [&] { kernel(p, call, {0, p.parts()}); });
  const double work = 4.0 * static_cast<double>(p.heads * p.queries) * static_cast<double>(p.keys * p.size);
  benchmarks::count(state, taken, work);
}

// clang-format off
BENCHMARK_CAPTURE(attention, plain, false)
    ->Args({12, 128, 128, 64})->Args({12, 128, 128, 32})->Args({6, 1500, 1500, 64})->Args({8, 512, 512, 64})->Args({8, 197, 197, 64})
    ->Args({8, 256, 1024, 128});
BENCHMARK_CAPTURE(attention, masked, true)->Args({12, 128, 128, 64})->Args({8, 512, 512, 64});
// clang-format on

}  // namespace
}  // namespace tenon::kernels

BENCHMARK_MAIN();
