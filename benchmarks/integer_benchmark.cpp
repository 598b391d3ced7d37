// Products of 8-bit integers beside what one core can do: with VNNI four times the operations of its float32 multiply-adds, otherwise
// twice. One thread.
//   integer_benchmark [--benchmark_filter=...]; TENON_MAX_ISA=avx2 caps the instruction set.
#include <array>
#include <memory>

#include "benchmarks/measure.h"
#include "kernels/integer/conv.h"

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
  const auto taken = benchmarks::taken(state, [&] { kernel(p, call, {0, p.parts()}); });
  const double work = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  benchmarks::count(state, taken, work / (has_byte_products() ? 4 : 2));
  state.counters["GOPS"] = 1e-9 * work / taken.best;
  if (p.m <= kFewRows) state.counters["GB_per_s"] = 1e-9 * static_cast<double>(p.k * p.n) / taken.best;
}

/// A convolution of one image whose filters are packed, requantised: image and result in quads when `quads`, else plain. Args: channels,
/// filters, size, kernel, stride, groups.
void convolution(benchmark::State& state, bool bytes, bool quads) {
  IntegerConvParams p{.y = DType::kUint8, .x_zero = true, .w_scales = true};
  p.channels = state.range(0), p.filters = state.range(1), p.groups = state.range(5);
  for (int i = 1; i < 3; ++i) {
    p.in[i] = state.range(2), p.kernel[i] = state.range(3), p.stride[i] = state.range(4), p.pad[i] = p.kernel[i] / 2;
    p.out[i] = (p.in[i] + 2 * p.pad[i] - p.kernel[i]) / p.stride[i] + 1;
  }
  p.format = integer_filters(bytes);
  p.x_quads = p.y_quads = quads;
  if (!plan_integer_conv(p)) return state.SkipWithError("too large");
  const auto x = buffer((p.channels + 3) / 4 * 4 * p.in[1] * p.in[2]), w = buffer(p.filters * p.depth()),
             packed = buffer(integer_filters_bytes(p));
  const auto y = buffer((p.filters + 3) / 4 * 4 * p.pixels()), scales = buffer(p.filters * 4), image = buffer(p.image_bytes());
  const auto scratch = buffer(integer_conv_scratch(p));
  float one = 1;
  for (int64_t i = 0; i < p.filters; ++i) reinterpret_cast<float*>(scales.get())[i] = 0.0001f * static_cast<float>(i % 7 + 1);
  Fault fault;
  const void* plain[] = {w.get()};
  void* to[] = {packed.get()};
  IntegerFiltersPointer()(p, {.src = plain, .dst = to, .fault = &fault}, {0, integer_filters_parts(p)});
  const void* src[] = {x.get(), &one, x.get(), packed.get(), scales.get(), nullptr, &one, nullptr, nullptr};
  void* dst[] = {y.get()};
  const Call call{.src = src, .dst = dst, .scratch = scratch.get(), .fault = &fault, .shared = image.get()};
  const auto kernel = benchmarks::chosen(state, integer_conv, p);
  const auto taken = benchmarks::taken(state, [&] {
    if (!p.in_place) IntegerImagePointer()(p, call, {0, p.image_parts()});
    kernel(p, call, {0, p.parts()});
  });
  const double work = 2.0 * static_cast<double>(p.filters * p.pixels()) * static_cast<double>(p.depth());
  benchmarks::count(state, taken, work / (bytes && has_byte_products() ? 4 : 2));
  state.counters["GOPS"] = 1e-9 * work / taken.best;
}

// clang-format off
BENCHMARK_CAPTURE(product, sums, DType::kInt32)
    ->Args({64, 64, 64})->Args({128, 128, 128})->Args({256, 256, 256})->Args({512, 512, 512})->Args({1024, 1024, 1024})
    ->Args({128, 768, 768})->Args({128, 3072, 768})->Args({128, 768, 3072})->Args({17, 1000, 512})->Args({8, 1024, 1024})
    ->Args({1, 1024, 4096})->Args({1, 4096, 1024})->Args({2, 4096, 1024})->Args({4, 4096, 1024})->Args({1, 768, 768});
// clang-format on
BENCHMARK_CAPTURE(product, scaled, DType::kFloat32)->Args({128, 768, 768})->Args({128, 3072, 768})->Args({1, 4096, 1024});
BENCHMARK_CAPTURE(product, requantised, DType::kUint8)->Args({128, 768, 768})->Args({512, 512, 512});

void layers(benchmark::internal::Benchmark* b) {
  for (const auto& [channels, filters, size, kernel, stride, groups] : {std::array<int64_t, 6>{3, 64, 224, 7, 2, 1},
                                                                        {64, 64, 56, 1, 1, 1},
                                                                        {64, 64, 56, 3, 1, 1},
                                                                        {64, 256, 56, 1, 1, 1},
                                                                        {128, 128, 56, 3, 2, 1},
                                                                        {128, 128, 28, 3, 1, 1},
                                                                        {256, 256, 14, 3, 1, 1},
                                                                        {1024, 512, 14, 1, 1, 1},
                                                                        {512, 512, 7, 3, 1, 1},
                                                                        {96, 24, 56, 1, 1, 1},
                                                                        {96, 96, 56, 3, 1, 96},
                                                                        {96, 96, 112, 3, 2, 96}}) {
    b->Args({channels, filters, size, kernel, stride, groups});
  }
}
BENCHMARK_CAPTURE(convolution, bytes_quads, true, true)->Apply(layers);
BENCHMARK_CAPTURE(convolution, bytes_plain, true, false)->Apply(layers);
BENCHMARK_CAPTURE(convolution, words_quads, false, true)->Apply(layers);

}  // namespace
}  // namespace tenon::kernels

BENCHMARK_MAIN();
