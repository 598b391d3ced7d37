// Matrix products against the multiply-add peak of a core, or what it can read, measured in the same process; on one thread but for
// `on_threads`, and those of oneDNN.
//   gemm_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#include "base/parallel.h"
#include "benchmarks/measure.h"
#include "kernels/gemm/bits.h"

namespace tenon::kernels {
namespace {

using benchmarks::Numbers;
using Floats = Numbers<float>;

/// Of m by n by k, with its operands. B is packed, and may be again; panels and scratch of float64 take the room of twice as many floats.
template <class T>
class Product {
 public:
  /// B as weights are packed, or else as an operand of a run.
  Product(int64_t m, int64_t n, int64_t k, int threads = 1, bool trans_b = false, bool gelu = false, bool weights = true)
      : params(sizes(m, n, k, trans_b, gelu, weights)),
        a(m * k),
        b(k * n),
        c(m * n),
        bias(n),
        panels(panels_bytes()),
        packing{.dtype = params.dtype, .format = params.format, .k = k, .n = n, .b_k = params.b_k, .b_n = params.b_n},
        scratch_bytes((gemm_scratch(params) + 63) / 64 * 64),
        scratch(scratch_bytes * threads) {
    pack();
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  void pack() {
    const void* plain[] = {a.data, b.data, bias.data};
    GemmPackPointer()(packing, {.src = plain, .dst = dst, .fault = &fault, .shared = panels.data}, {0, packing.parts()});
  }
  /// On a thread's own scratch.
  void run(Kernel<GemmParams> kernel, Range parts, int thread = 0) {
    kernel(params, {.src = src, .dst = dst, .scratch = scratch.data + thread * scratch_bytes, .fault = &fault}, parts);
  }
  int64_t panels_bytes() const {
    return packed_elements(params.format, params.k, params.n, params.dtype) * packed_bytes(params.format, params.dtype);
  }

  static GemmParams sizes(int64_t m, int64_t n, int64_t k, bool trans_b, bool gelu, bool weights) {
    GemmParams p{.dtype = dtype_of<T>, .format = weights ? weights_format(dtype_of<T>) : gemm_format(), .m = m, .n = n, .k = k};
    p.a_m = k;
    p.b_k = trans_b ? 1 : n;
    p.b_n = trans_b ? k : 1;
    p.c_m = n;
    p.addend = gelu;
    p.d_n = 1;
    if (gelu) p.tile = unary_tile(UnaryKind::kGelu);
    plan_gemm(p);
    return p;
  }

  const GemmParams params;
  const Numbers<T> a, b, c, bias;
  const benchmarks::Memory<std::byte> panels;
  const GemmPackParams packing;
  const int64_t scratch_bytes;  ///< of a thread
  const benchmarks::Memory<std::byte> scratch;
  const void* src[3] = {a.data, panels.data, bias.data};
  void* dst[1] = {c.data};
  Fault fault;
};

double operations(int64_t m, int64_t n, int64_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

/// The counters of a product on one thread: few rows live on reading the weights, which are passed over in turn with them, others on
/// multiply-adds. `element`: bytes of a float that vectors hold.
template <class Run>
void time_product(benchmark::State& state, int64_t m, int64_t n, int64_t k, int64_t element, const std::byte* weights, int64_t bytes,
                  Run&& run) {
  if (m <= kFewRows) {
    const auto taken = benchmarks::taken(state, run, [&] { return benchmarks::burst_read(weights, bytes); });
    benchmarks::count(state, taken, static_cast<double>(bytes), "read");
    state.counters["GB_per_s"] = 1e-9 * static_cast<double>(bytes) / taken.usual;
  } else {
    const auto taken = benchmarks::taken(state, run);
    // A vector holds half as many float64 as float32.
    benchmarks::count(state, taken, operations(m, n, k) * static_cast<double>(element) / 4);
    state.counters["GFLOPS"] = 1e-9 * operations(m, n, k) / taken.usual;
  }
}

/// Args: m, n, k; `packed`: weights packed ahead, else B packed on every call as for two dynamic operands.
template <class T>
void product(benchmark::State& state, T, bool packed, bool trans_b, bool gelu) {
  Product<T> product(state.range(0), state.range(1), state.range(2), 1, trans_b, gelu, packed);
  const GemmParams& p = product.params;
  const auto kernel = benchmarks::chosen(state, gemm, p);
  time_product(state, p.m, p.n, p.k, packed_bytes(p.dtype), product.panels.data, product.panels_bytes(), [&] {
    if (!packed) product.pack();
    product.run(kernel, {0, p.parts()});
  });
}

constexpr double kLook = 1e-3;  // seconds

/// Times f(begin, end, thread) on parts that a team shares out as the engine's does, in clock time. The limit is so many times the peak of
/// one thread alone; beside it stands what the threads reach at once, which is less where they share a core or a budget of power.
template <class F>
void time_on_threads(benchmark::State& state, int threads, double work, int64_t parts, F f) {
  std::vector<double> together;
  const auto leader = [&](Team& team) {
    const auto piece = [](void* g, int64_t begin, int64_t end, int thread) { (*static_cast<F*>(g))(begin, end, thread); };
    const auto speed = [&] {
      // Long enough for the other threads to have gone to sleep by the middle of it.
      const double alone = benchmarks::gflops_at_once(1, kLook);
      together.push_back(benchmarks::gflops_at_once(threads, kLook) / (threads * alone));
      team.parallel_for(parts, piece, &f);  // wakes them
      return threads * alone;
    };
    const auto taken = benchmarks::taken(
        state, [&] { team.parallel_for(parts, piece, &f); }, speed, benchmarks::wall_seconds);
    benchmarks::count(state, taken, work);
    state.counters["percent_of_peak_at_once"] = 100 * work / taken.limit / benchmarks::median(together);
    state.counters["GFLOPS"] = 1e-9 * work / taken.usual;
  };
  auto* context = &leader;
  Team::enter(
      nullptr, threads, [](void* g, Team& team) { (**static_cast<decltype(context)*>(g))(team); }, &context);
}

/// Args: m, n, k, threads. Packed weights.
void on_threads(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(3));
  Product<float> product(state.range(0), state.range(1), state.range(2), threads);
  const GemmParams& p = product.params;
  const auto kernel = benchmarks::chosen(state, gemm, p);
  time_on_threads(state, threads, operations(p.m, p.n, p.k), p.parts(), [&](int64_t begin, int64_t end, int thread) {
    product.run(kernel, {begin, end}, thread);
  });
}

/// Args: m, n, k, threads. oneDNN's product of float32 with weights that it packed ahead, a primitive a thread for its rows.
void by_onednn(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2), threads = state.range(3), rows = m / threads;
  const onednn::Api* const api = onednn::module();
  onednn::Primitive* const primitive = api != nullptr ? api->matmul({rows, n, k, k, n, n, 1, false}) : nullptr;
  if (primitive == nullptr) return benchmarks::skip_onednn(state);
  state.SetLabel(api->implementation(primitive));
  const Floats a(m * k), b(k * n), c(m * n);
  const auto bytes = static_cast<int64_t>(api->weights_bytes(primitive));
  const int64_t scratch_bytes = (static_cast<int64_t>(api->scratch_bytes(primitive)) + 63) / 64 * 64;
  const benchmarks::Memory<std::byte> weights(bytes), scratch(scratch_bytes * threads + 64);
  api->pack(primitive, b.data, weights.data);
  const auto run = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      std::byte* const own = scratch.data + thread * scratch_bytes;
      api->execute(primitive, {a.data + i * rows * k, weights.data, nullptr, c.data + i * rows * n, own});
    }
  };
  if (threads == 1) {
    time_product(state, m, n, k, 4, weights.data, bytes, [&] { run(0, 1, 0); });
  } else {
    time_on_threads(state, static_cast<int>(threads), operations(m, n, k), threads, run);
  }
  api->release(primitive);
}

// clang-format off
BENCHMARK_CAPTURE(product, packed, float(), true, false, false)
    ->Args({64, 64, 64})->Args({128, 128, 128})->Args({256, 256, 256})->Args({512, 512, 512})->Args({768, 768, 768})
    ->Args({1024, 1024, 1024})->Args({2048, 2048, 2048})->Args({12, 4096, 4096})->Args({64, 4096, 4096})
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
BENCHMARK_CAPTURE(product, packed_float16, Float16(), true, false, false)
    ->Args({128, 768, 768})->Args({512, 512, 512})->Args({8, 768, 3072})->Args({16, 768, 3072})->Args({1, 768, 3072})->Args({1, 4096, 4096})
    ->Args({4, 4096, 4096});
BENCHMARK_CAPTURE(product, packed_bfloat16, BFloat16(), true, false, false)
    ->Args({128, 768, 768})->Args({512, 512, 512})->Args({8, 768, 3072})->Args({16, 768, 3072})->Args({1, 768, 3072})->Args({1, 4096, 4096})
    ->Args({4, 4096, 4096});
BENCHMARK_CAPTURE(product, dynamic_float16, Float16(), false, false, false)->Args({128, 64, 128})->Args({512, 512, 512});
// clang-format on

// clang-format off
BENCHMARK(on_threads)->Args({512, 512, 512, 2})->Args({1024, 1024, 1024, 2})->Args({2048, 2048, 2048, 2});
BENCHMARK(by_onednn)
    ->Args({512, 512, 512, 1})->Args({1024, 1024, 1024, 1})->Args({2048, 2048, 2048, 1})->Args({1, 4096, 4096, 1})
    ->Args({512, 512, 512, 2})->Args({1024, 1024, 1024, 2})->Args({2048, 2048, 2048, 2});
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
  benchmarks::count(state, taken, operations(p.m, p.n, p.k));
  state.counters["GFLOPS"] = 1e-9 * operations(p.m, p.n, p.k) / taken.usual;
  state.counters["GB_per_s"] = 4e-9 * static_cast<double>(words) / taken.usual;
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
