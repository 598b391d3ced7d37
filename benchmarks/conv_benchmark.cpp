// Blocked convolution over the shapes of ResNet-50, MobileNetV2 and VGG-16, one thread, and oneDNN's beside it, as percentages of the fused
// multiply-add peak measured beside them.
#include <string>

#include "benchmarks/measure.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/pair.h"
#include "kernels/dispatch.h"

namespace {

using namespace tenon::kernels;

struct Shape {
  const char* name;
  int64_t channels, filters, size, kernel, stride, groups;
};
constexpr Shape kShapes[] = {
    // clang-format off
    {"resnet50/stem", 3, 64, 224, 7, 2, 1}, {"resnet50/64-64-56-1", 64, 64, 56, 1, 1, 1}, {"resnet50/64-256-56-1", 64, 256, 56, 1, 1, 1},
    {"resnet50/256-64-56-1", 256, 64, 56, 1, 1, 1}, {"resnet50/512-128-28-1", 512, 128, 28, 1, 1, 1},
    {"resnet50/256-1024-14-1", 256, 1024, 14, 1, 1, 1}, {"resnet50/1024-256-14-1", 1024, 256, 14, 1, 1, 1},
    {"resnet50/512-2048-7-1", 512, 2048, 7, 1, 1, 1}, {"resnet50/2048-512-7-1", 2048, 512, 7, 1, 1, 1},
    {"resnet50/256-512-56-1s2", 256, 512, 56, 1, 2, 1}, {"resnet50/64-64-56-3", 64, 64, 56, 3, 1, 1},
    {"resnet50/128-128-28-3", 128, 128, 28, 3, 1, 1}, {"resnet50/256-256-14-3", 256, 256, 14, 3, 1, 1},
    {"resnet50/512-512-7-3", 512, 512, 7, 3, 1, 1}, {"resnet50/128-128-56-3s2", 128, 128, 56, 3, 2, 1},
    {"vgg16/3-64-224", 3, 64, 224, 3, 1, 1}, {"vgg16/64-64-224", 64, 64, 224, 3, 1, 1}, {"vgg16/256-256-56", 256, 256, 56, 3, 1, 1},
    {"vgg16/512-512-28", 512, 512, 28, 3, 1, 1}, {"vgg16/512-512-14", 512, 512, 14, 3, 1, 1},
    {"mobilenet/32-16-112-1", 32, 16, 112, 1, 1, 1}, {"mobilenet/16-96-112-1", 16, 96, 112, 1, 1, 1},
    {"mobilenet/96-24-56-1", 96, 24, 56, 1, 1, 1}, {"mobilenet/24-144-56-1", 24, 144, 56, 1, 1, 1},
    {"mobilenet/384-64-14-1", 384, 64, 14, 1, 1, 1}, {"mobilenet/320-1280-7-1", 320, 1280, 7, 1, 1, 1},
    {"mobilenet/dw96-112-3s2", 96, 96, 112, 3, 2, 96}, {"mobilenet/dw144-56-3", 144, 144, 56, 3, 1, 144},
    {"mobilenet/dw576-14-3", 576, 576, 14, 3, 1, 576}, {"mobilenet/dw960-7-3", 960, 960, 7, 3, 1, 960},
    {"efficientnet/dw240-28-5", 240, 240, 28, 5, 1, 240}, {"resnext/g32-128-56-3", 128, 128, 56, 3, 1, 32},
    {"resnext/g32-256-28-3", 256, 256, 28, 3, 1, 32}, {"resnext/g32-256-56-3s2", 256, 256, 56, 3, 2, 32},
    {"resnext/g32-512-14-3", 512, 512, 14, 3, 1, 32}, {"resnext/g32-1024-7-3", 1024, 1024, 7, 3, 1, 32},
    {"shufflenet/g3-240-60-28-1", 240, 60, 28, 1, 1, 3},
    // clang-format on
};

ConvParams ParamsOf(const Shape& s, ConvFormat format) {
  ConvParams p;
  p.channels = s.channels, p.filters = s.filters, p.groups = s.groups;
  for (int i = 1; i < 3; ++i) {
    p.in[i] = s.size, p.kernel[i] = s.kernel, p.stride[i] = s.stride, p.pad[i] = s.kernel / 2;
    p.out[i] = (s.size - 1) / s.stride + 1;
  }
  p.format = format;
  p.epilogue.bias = true;
  p.epilogue.low = 0;
  return p;
}

void Run(benchmark::State& state, const Shape& shape, ConvFormat format) {
  ConvParams p = ParamsOf(shape, format);
  const auto slices = format == ConvFormat::kOneDnn ? onednn::convolution(p) : nullptr;
  if (format == ConvFormat::kOneDnn && slices == nullptr) return tenon::benchmarks::skip_onednn(state);
  p.slices = slices.get();
  const double work = double(p.filters) * p.out[1] * p.out[2] * (p.channels / p.groups) * p.taps();
  const int64_t in_size = p.in[1] * p.in[2], out_size = p.out[1] * p.out[2];
  const int64_t parts = plan_conv(p);
  using tenon::benchmarks::Memory;
  const int64_t weights = slices != nullptr ? static_cast<int64_t>(slices->weights_bytes()) / 4 : packed_conv_weights(p);
  const Memory<float> x((p.channels + 16) * in_size, 0.5f), w(weights, 0.5f), b(p.filters), y((p.filters + 16) * out_size);
  const Memory<std::byte> scratch(p.scratch + 64), shared(p.patches);
  const void* in[] = {x.data, w.data, b.data, nullptr};
  void* out[] = {y.data};
  const Call call{in, out, scratch.data, nullptr, shared.data};
  if (p.patches > 0) p.shared_patches = 0;
  const auto kernel = tenon::benchmarks::chosen(state, conv, p);
  const auto taken = tenon::benchmarks::taken(state, [&] {
    if (p.patches > 0) ConvWinogradPatchesPointer()(p, call, {0, patch_parts(p)});
    kernel(p, call, {0, parts});
  });
  state.counters["gmac"] = work / taken.best / 1e9;
  tenon::benchmarks::count(state, taken, 2 * work);
  state.counters["parts"] = double(parts);
  state.counters["block"] = channel_block();
}

/// A 1x1 convolution and the depthwise one over its result: `together` as a pair, else one after the other.
struct Pair {
  const char* name;
  int64_t channels, filters, size, kernel, stride;
};
constexpr Pair kPairs[] = {
    {"mobilenet/16-96-112", 16, 96, 112, 3, 2},   {"mobilenet/24-144-56", 24, 144, 56, 3, 1},
    {"mobilenet/24-144-56s2", 24, 144, 56, 3, 2}, {"efficientnet/24-144-56-5s2", 24, 144, 56, 5, 2},
    {"mobilenet/32-192-28", 32, 192, 28, 3, 1},   {"mobilenet/64-384-14", 64, 384, 14, 3, 1},
};

void RunPair(benchmark::State& state, const Pair& pair, bool together) {
  ConvParams e = ParamsOf({"", pair.channels, pair.filters, pair.size, 1, 1, 1}, ConvFormat::kDirect);
  ConvParams d = ParamsOf({"", pair.filters, pair.filters, pair.size, pair.kernel, pair.stride, pair.filters}, ConvFormat::kGrouped);
  ConvPairParams both{.expand = e, .depthwise = d};
  plan_conv_pair(both);
  const int64_t e_parts = plan_conv(e), d_parts = plan_conv(d), image = pair.size * pair.size;
  using tenon::benchmarks::Memory;
  const Memory<float> x((pair.channels + 16) * image, 0.5f), t((pair.filters + 16) * image), y((pair.filters + 16) * image);
  const Memory<float> we(packed_conv_weights(e), 0.5f), wd(packed_conv_weights(d), 0.5f), b(pair.filters);
  const Memory<std::byte> scratch(both.scratch + 64);
  const void *in[] = {x.data, we.data, b.data, wd.data, b.data}, *between[] = {t.data, wd.data, b.data};
  void *out[] = {y.data}, *t_out[] = {t.data};
  const auto taken = tenon::benchmarks::taken(state, [&] {
    if (together) return conv_pair(both, {.src = in, .dst = out, .scratch = scratch.data}, {0, both.parts()});
    ConvPointwisePointer()(e, {.src = in, .dst = t_out}, {0, e_parts});
    ConvDepthwisePointer()(d, {.src = between, .dst = out}, {0, d_parts});
  });
  const double work = double(pair.filters) * double(image) * double(pair.channels) +
                      double(pair.filters) * double(d.out[1] * d.out[2]) * double(pair.kernel * pair.kernel);
  state.counters["gmac"] = work / taken.best / 1e9;
  tenon::benchmarks::count(state, taken, 2 * work);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Shape& s : kShapes) {
    const bool whole = s.channels / s.groups % channel_block() == 0 && s.filters / s.groups % channel_block() == 0;
    const ConvFormat direct = s.groups > 1 && !whole ? ConvFormat::kGrouped
                              : s.channels < 8       ? ConvFormat::kPlainInput
                                                     : ConvFormat::kDirect;
    if (s.kernel == 3 && s.stride == 1 && s.groups == 1 && s.channels >= 16) {
      benchmark::RegisterBenchmark((std::string(s.name) + "/winograd").c_str(), [s](benchmark::State& state) {
        Run(state, s, winograd_format(s.channels, s.filters, s.size, s.size));
      })->Unit(benchmark::kMicrosecond);
    }
    if (s.groups == 1 && direct == ConvFormat::kDirect) {
      benchmark::RegisterBenchmark((std::string(s.name) + "/onednn").c_str(), [s](benchmark::State& state) {
        Run(state, s, ConvFormat::kOneDnn);
      })->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark(s.name, [s, direct](benchmark::State& state) { Run(state, s, direct); })->Unit(benchmark::kMicrosecond);
  }
  for (const Pair& pair : kPairs) {
    for (const bool together : {false, true}) {
      benchmark::RegisterBenchmark((std::string(pair.name) + (together ? "/pair" : "/apart")).c_str(), [pair, together](auto& state) {
        RunPair(state, pair, together);
      })->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
