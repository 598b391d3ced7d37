// The rows of oneDNN beside the engine's own, one thread, interleaved and paired: what kernels/onednn/choice.cc is made from. Shapes are
// those of the zoo's convolutions and products, with the epilogues they have there. `own/onednn` is the median of the ratios; above 1
// oneDNN is the faster one. TENON_MAX_ISA=avx2 measures the other tier.
//   onednn_benchmark [--json] [part of a name]
// --json: a line of JSON for every row, with the nanoseconds of every round.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/gemm.h"
#include "kernels/onednn/choice.h"
#include "kernels/onednn/onednn.h"

namespace {

using namespace tenon;
using namespace tenon::kernels;

bool as_json = false;

/// CPU time of this thread, which another program's turn on the core does not lengthen.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
double seconds(const std::function<void()>& f) {
  const double start = now();
  f();
  return now() - start;
}
double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

std::string list(const std::vector<double>& v) {
  std::string text;
  for (const double x : v) text += (text.empty() ? "" : ", ") + std::to_string(x * 1e9);
  return "[" + text + "]";
}

void report(const std::string& name, double work, const char* row, const char* refusal, const std::function<void()>& own,
            const std::function<void()>& other) {
  std::vector<double> a, b, ratio;
  const int rounds = static_cast<int>(std::clamp(1e9 / std::max(work, 1.0), 9.0, 301.0));
  own(), other();
  for (int i = 0; i < rounds; ++i) {
    // The order alternates, so that neither always finds the caches the other left.
    const double first = seconds(i % 2 == 0 ? own : other), second = seconds(i % 2 == 0 ? other : own);
    a.push_back(i % 2 == 0 ? first : second);
    b.push_back(i % 2 == 0 ? second : first);
    ratio.push_back(a.back() / b.back());
  }
  if (as_json) {
    std::printf(R"({"case": "%s", "kernel": "%s", "refusal": "%s", "own": %s, "onednn": %s})"
                "\n",
                name.c_str(), row, refusal != nullptr ? refusal : "", list(a).c_str(), list(b).c_str());
    return;
  }
  std::printf("%-34s %-15s %9.1f us %6.1f | oneDNN %9.1f us %6.1f gmac | own/onednn %5.2f  %s\n", name.c_str(), row, median(a) * 1e6,
              work / median(a) / 1e9, median(b) * 1e6, work / median(b) / 1e9, median(ratio), refusal != nullptr ? refusal : "chosen");
  std::fflush(stdout);
}

template <class Params>
const Row<Params>& row_of(const Table<Params>& table, const Params& p) {
  return *std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.refuse(p) == nullptr; });
}

enum Ending { kNothing, kRelu, kAddRelu };

struct ConvShape {
  const char* model;
  int64_t channels, filters, size, kernel, stride, groups;
  Ending ending;
};
constexpr ConvShape kConvs[] = {
    {"resnet stem", 3, 64, 224, 7, 2, 1, kRelu},
    {"resnet", 64, 64, 56, 1, 1, 1, kRelu},
    {"resnet", 64, 256, 56, 1, 1, 1, kAddRelu},
    {"resnet", 64, 256, 56, 1, 1, 1, kNothing},
    {"resnet", 256, 64, 56, 1, 1, 1, kRelu},
    {"resnet", 256, 128, 56, 1, 1, 1, kRelu},
    {"resnet", 128, 512, 28, 1, 1, 1, kAddRelu},
    {"resnet", 512, 128, 28, 1, 1, 1, kRelu},
    {"resnet", 256, 1024, 14, 1, 1, 1, kAddRelu},
    {"resnet", 1024, 256, 14, 1, 1, 1, kRelu},
    {"resnet", 512, 2048, 7, 1, 1, 1, kAddRelu},
    {"resnet", 2048, 512, 7, 1, 1, 1, kRelu},
    {"resnet", 256, 512, 56, 1, 2, 1, kNothing},
    {"resnet", 512, 1024, 28, 1, 2, 1, kNothing},
    {"resnet", 1024, 2048, 14, 1, 2, 1, kNothing},
    {"resnet", 64, 64, 56, 3, 1, 1, kRelu},
    {"resnet", 128, 128, 28, 3, 1, 1, kRelu},
    {"resnet", 256, 256, 14, 3, 1, 1, kRelu},
    {"resnet", 512, 512, 7, 3, 1, 1, kRelu},
    {"resnet", 128, 128, 56, 3, 2, 1, kRelu},
    {"resnet", 256, 256, 28, 3, 2, 1, kRelu},
    {"resnet", 512, 512, 14, 3, 2, 1, kRelu},
    {"resnet18", 64, 128, 56, 3, 2, 1, kRelu},
    {"resnet18", 64, 128, 56, 1, 2, 1, kNothing},
    {"vgg", 3, 64, 224, 3, 1, 1, kRelu},
    {"vgg", 64, 64, 224, 3, 1, 1, kRelu},
    {"vgg", 256, 256, 56, 3, 1, 1, kRelu},
    {"vgg", 512, 512, 28, 3, 1, 1, kRelu},
    {"vgg", 512, 512, 14, 3, 1, 1, kRelu},
    {"mobilenet stem", 3, 32, 224, 3, 2, 1, kRelu},
    {"mobilenet", 32, 16, 112, 1, 1, 1, kNothing},
    {"mobilenet", 16, 96, 112, 1, 1, 1, kRelu},
    {"mobilenet", 96, 32, 56, 1, 1, 1, kNothing},
    {"mobilenet", 32, 192, 28, 1, 1, 1, kRelu},
    {"mobilenet", 192, 32, 28, 1, 1, 1, kNothing},
    {"mobilenet", 64, 384, 14, 1, 1, 1, kRelu},
    {"mobilenet", 384, 64, 14, 1, 1, 1, kNothing},
    {"mobilenet", 384, 96, 14, 1, 1, 1, kNothing},
    {"mobilenet", 576, 96, 14, 1, 1, 1, kNothing},
    {"mobilenet", 96, 576, 14, 1, 1, 1, kRelu},
    {"mobilenet", 576, 160, 7, 1, 1, 1, kNothing},
    {"mobilenet", 160, 960, 7, 1, 1, 1, kRelu},
    {"mobilenet", 960, 320, 7, 1, 1, 1, kNothing},
    {"mobilenet", 320, 1280, 7, 1, 1, 1, kRelu},
    {"mobilenet", 32, 32, 112, 3, 1, 32, kRelu},
    {"mobilenet", 96, 96, 112, 3, 2, 96, kRelu},
    {"mobilenet", 144, 144, 56, 3, 1, 144, kRelu},
    {"mobilenet", 144, 144, 56, 3, 2, 144, kRelu},
    {"mobilenet", 192, 192, 28, 3, 1, 192, kRelu},
    {"mobilenet", 384, 384, 14, 3, 1, 384, kRelu},
    {"mobilenet", 576, 576, 14, 3, 1, 576, kRelu},
    {"mobilenet", 576, 576, 14, 3, 2, 576, kRelu},
    {"mobilenet", 960, 960, 7, 3, 1, 960, kRelu},
    {"efficientnet", 96, 96, 56, 5, 2, 96, kNothing},
    {"efficientnet", 240, 240, 28, 5, 1, 240, kNothing},
    {"efficientnet", 480, 480, 14, 3, 1, 480, kNothing},
    {"efficientnet", 480, 480, 14, 5, 1, 480, kNothing},
    {"efficientnet", 672, 672, 14, 5, 2, 672, kNothing},
    {"efficientnet", 1152, 1152, 7, 5, 1, 1152, kNothing},
    {"resnext", 256, 256, 28, 3, 1, 4, kRelu},
    {"unet", 64, 64, 128, 3, 1, 1, kRelu},
    {"unet", 128, 64, 128, 3, 1, 1, kRelu},
    {"unet", 64, 16, 128, 1, 1, 1, kNothing},
    {"other", 64, 64, 28, 5, 1, 1, kRelu},
    {"other", 64, 64, 56, 7, 1, 1, kRelu},
    {"other", 128, 128, 14, 5, 1, 1, kNothing},
};

ConvParams params_of(const ConvShape& s) {
  ConvParams p;
  p.channels = s.channels, p.filters = s.filters, p.groups = s.groups;
  for (int i = 1; i < 3; ++i) {
    p.in[i] = s.size, p.kernel[i] = s.kernel, p.stride[i] = s.stride, p.pad[i] = s.kernel / 2, p.out[i] = (s.size - 1) / s.stride + 1;
  }
  p.epilogue.bias = true;
  p.epilogue.residual = s.ending == kAddRelu;
  if (s.ending != kNothing) p.epilogue.low = 0;
  return p;
}

struct Buffer {
  std::vector<float> memory;
  explicit Buffer(int64_t floats) : memory(static_cast<size_t>(floats) + 32) {
    for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i % 7) / 8 - 0.25f;
  }
  /// Both halves of every float.
  void fill(uint32_t bits) { std::fill(memory.begin(), memory.end(), std::bit_cast<float>(bits)); }
  float* data() { return memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64 / 4; }
};

void conv_case(const ConvShape& s, const std::string& filter) {
  const ConvParams sizes = params_of(s);
  const int64_t block = channel_block();
  const bool depthwise = s.groups == s.channels;
  std::vector<ConvFormat> formats{s.channels < 8                                                       ? ConvFormat::kPlainInput
                                  : s.groups == 1 || (!depthwise && s.filters / s.groups % block == 0) ? ConvFormat::kDirect
                                                                                                       : ConvFormat::kGrouped};
  if (s.kernel == 3 && s.stride == 1 && s.groups == 1 && s.channels >= 16) {
    const ConvFormat fastest = winograd_format(s.channels, s.filters, s.size, s.size);
    if (fastest != ConvFormat::kDirect) formats.push_back(fastest);
  }
  for (const ConvFormat format : formats) {
    const std::string name = std::string(s.model) + " " + std::to_string(s.channels) + "-" + std::to_string(s.filters) + "-" +
                             std::to_string(s.size) + " k" + std::to_string(s.kernel) + "s" + std::to_string(s.stride) +
                             (s.groups > 1 ? " g" + std::to_string(s.groups) : "") +
                             (s.ending == kRelu      ? " relu"
                              : s.ending == kAddRelu ? " add relu"
                                                     : "");
    if (name.find(filter) == std::string::npos) continue;
    ConvParams own = sizes, other = sizes;
    own.format = format;
    other.format = takes_plain_input(format) ? ConvFormat::kOneDnnPlainInput : ConvFormat::kOneDnn;
    const auto slices = onednn::convolution(other);
    if (slices == nullptr) {
      if (!as_json) std::printf("%-34s oneDNN has no kernel for it\n", name.c_str());
      continue;
    }
    other.slices = slices.get();
    const char* const why = onednn::slower(own);
    const bool gathers = gathers_pixels(own);
    const GatherPixelsParams gather{own};
    if (gathers) {
      own.shared_input = 0;
      for (int i = 0; i < 3; ++i) own.in[i] = own.out[i], own.stride[i] = 1;
    }
    const int64_t parts[] = {plan_conv(own), plan_conv(other)};
    const auto round = [&](int64_t c) { return (c + block - 1) / block * block; };
    const int64_t filters = round(s.filters), pixels = sizes.out[1] * sizes.out[2];
    Buffer x(round(s.channels) * s.size * s.size), y(filters * pixels), y2(filters * pixels), residual(filters * pixels), bias(filters);
    Buffer plain(s.filters * (s.channels / s.groups) * s.kernel * s.kernel), w(packed_conv_weights(own)),
        w2(static_cast<int64_t>(slices->weights_bytes()) / 4);
    pack_conv_weights(own, plain.data(), w.data());
    slices->pack(plain.data(), s.channels / s.groups * s.kernel * s.kernel * 4, w2.data(), {0, slices->count()});
    Buffer scratch((own.scratch + other.scratch) / 4), shared((own.patches + (gathers ? gather.bytes() : 0)) / 4);
    if (own.patches > 0) own.shared_patches = 0;
    const void *in[] = {x.data(), w.data(), bias.data(), residual.data()}, *in2[] = {x.data(), w2.data(), bias.data(), residual.data()};
    void *out[] = {y.data()}, *out2[] = {y2.data()};
    Fault fault;
    const Call call{in, out, reinterpret_cast<std::byte*>(scratch.data()), &fault, reinterpret_cast<std::byte*>(shared.data())},
        call2{in2, out2, reinterpret_cast<std::byte*>(scratch.data()), &fault};
    const auto& row = row_of(conv, own);
    const auto kernel = row.pointer(), kernel2 = ConvOneDnnPointer();
    const int64_t filter = s.channels / s.groups * s.kernel * s.kernel;
    const double work = static_cast<double>(s.filters * pixels * filter);
    report(
        name, work, row.name, why,
        [&] {
          if (gathers) GatherPixelsPointer()(gather, call, {0, gather.parts()});
          if (own.patches > 0) ConvWinogradPatchesPointer()(own, call, {0, patch_parts(own)});
          kernel(own, call, {0, parts[0]});
        },
        [&] {
          kernel2(other, call2, {0, parts[1]});
        });
  }
}

/// Transposed convolutions have no row: they are timed as a whole, packed, beside the engine's phases.
void transposed_case(int64_t channels, int64_t filters, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                     const std::string& filter) {
  const std::string name = "transposed " + std::to_string(channels) + "-" + std::to_string(filters) + "-" + std::to_string(size) + " k" +
                           std::to_string(kernel) + "s" + std::to_string(stride);
  if (name.find(filter) == std::string::npos || onednn::module() == nullptr) return;
  TransposedParams t;
  onednn::ConvSizes sizes{};
  sizes.groups = 1, sizes.channels = channels, sizes.filters = filters, sizes.block = channel_block(), sizes.transposed = true;
  t.conv.channels = channels, t.conv.filters = filters;
  for (int i = 0; i < 3; ++i) {
    const bool flat = i == 0;
    t.conv.in[i] = sizes.in[i] = flat ? 1 : size, t.conv.kernel[i] = sizes.kernel[i] = flat ? 1 : kernel;
    t.conv.stride[i] = sizes.stride[i] = flat ? 1 : stride, t.conv.pad[i] = sizes.pad[i] = flat ? 0 : pad;
    sizes.dilation[i] = 1;
    t.conv.out[i] = sizes.out[i] = flat ? 1 : (size - 1) * stride + kernel - 2 * pad;
  }
  onednn::Primitive* const primitive = onednn::module()->convolution(sizes);
  if (primitive == nullptr) return;
  std::vector<ConvParams> phases;
  std::vector<int64_t> parts;
  int64_t floats = 0;
  for (int64_t i = 0; i < t.phases(); ++i) {
    ConvParams p = transposed_phase(t, i).conv;
    p.weights_offset = floats;
    floats += packed_conv_weights(p);
    parts.push_back(plan_conv(p));
    phases.push_back(p);
  }
  Buffer x(channels * size * size), y(filters * sizes.out[1] * sizes.out[2]), y2(filters * sizes.out[1] * sizes.out[2]), w(floats);
  Buffer w2(static_cast<int64_t>(onednn::module()->weights_bytes(primitive)) / 4),
      scratch(static_cast<int64_t>(onednn::module()->scratch_bytes(primitive)) / 4);
  const void* in[] = {x.data(), w.data(), nullptr, nullptr};
  void* out[] = {y.data()};
  const Call call{in, out, reinterpret_cast<std::byte*>(scratch.data())};
  report(
      name, static_cast<double>(channels * filters * size * size * kernel * kernel), onednn::module()->implementation(primitive), "no row",
      [&] {
        for (size_t i = 0; i < phases.size(); ++i) row_of(conv, phases[i]).pointer()(phases[i], call, {0, parts[i]});
      },
      [&] {
        onednn::module()->execute(primitive, {x.data(), w2.data(), nullptr, y2.data(), scratch.data()});
      });
  onednn::module()->release(primitive);
}

void product_case(int64_t m, int64_t n, int64_t k, bool bfloat16, const std::string& filter) {
  const std::string name =
      "product " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (bfloat16 ? " bfloat16" : " float32");
  if (name.find(filter) == std::string::npos || onednn::module() == nullptr) return;
  const DType dtype = bfloat16 ? DType::kBFloat16 : DType::kFloat32;
  GemmParams own{.dtype = dtype, .format = weights_format(dtype), .m = m, .n = n, .k = k};
  own.a_m = own.b_k = k, own.b_k = own.c_m = n;
  plan_gemm(own);
  const onednn::MatMulSizes sizes{m, n, k, k, n, n, 1, bfloat16};
  Buffer a(m * k), b(k * n), w(packed_elements(own.format, k, n, dtype) * packed_bytes(own.format, dtype) / 4), c(m * n), c2(m * n);
  if (bfloat16) {
    for (Buffer* buffer : {&a, &b, &w}) buffer->fill(0x3f003f80);  // 1 and a half
  }
  const auto& row = row_of(gemm, own);
  const auto kernel = row.pointer();
  const auto measure = [&](int64_t scratch_bytes, const void* packed, const std::function<void(const Call&)>& other) {
    Buffer scratch(std::max(scratch_bytes, gemm_scratch(own)) / 4);
    const void *in[] = {a.data(), w.data(), nullptr, nullptr}, *in2[] = {a.data(), packed, nullptr, nullptr};
    void *out[] = {c.data()}, *out2[] = {c2.data()};
    Fault fault;
    const Call call{in, out, reinterpret_cast<std::byte*>(scratch.data()), &fault},
        call2{in2, out2, reinterpret_cast<std::byte*>(scratch.data()), &fault};
    report(
        name, static_cast<double>(m * n * k), row.name, "no row",
        [&] {
          kernel(own, call, {0, own.parts()});
        },
        [&] { other(call2); });
  };
  onednn::Primitive* const primitive = onednn::module()->matmul(sizes);
  if (primitive == nullptr) return;
  Buffer packed(static_cast<int64_t>(onednn::module()->weights_bytes(primitive)) / 4);
  measure(static_cast<int64_t>(onednn::module()->scratch_bytes(primitive)), packed.data(), [&](const Call& call) {
    onednn::module()->execute(primitive, {call.src[0], call.src[1], nullptr, call.dst[0], call.scratch});
  });
  onednn::module()->release(primitive);
}

}  // namespace

int main(int argc, char** argv) {
  std::string filter;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--json") {
      as_json = true;
    } else if (argv[i][0] != '-') {
      filter = argv[i];
    }
  }
  if (!as_json) std::printf("%s, blocks of %d\n", onednn::description().c_str(), static_cast<int>(channel_block()));
  if (onednn::module() == nullptr) return 0;
  for (const ConvShape& s : kConvs) conv_case(s, filter);
  transposed_case(512, 256, 16, 2, 2, 0, filter);
  transposed_case(128, 64, 64, 2, 2, 0, filter);
  transposed_case(64, 32, 64, 4, 2, 1, filter);
  for (const bool bfloat16 : {false, true}) {
    for (const int64_t m : {1, 2, 4, 8, 16, 128}) {
      product_case(m, 768, 768, bfloat16, filter);
      product_case(m, 3072, 768, bfloat16, filter);
      product_case(m, 768, 3072, bfloat16, filter);
    }
    product_case(1500, 384, 384, bfloat16, filter);
    product_case(1500, 1536, 384, bfloat16, filter);
  }
}
