// Methods of 3x3 convolution with stride 1 side by side, one thread, interleaved: what the constants of winograd_format are fitted to.
// Times are medians, as parts of the direct sum's; last what winograd_format chooses, and what that loses beside the fastest.
// TENON_MAX_ISA=avx2 measures the other tier.
//   winograd_benchmark [part of a name]
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/measure.h"
#include "kernels/conv/conv.h"
#include "kernels/dispatch.h"

namespace {

using namespace tenon::kernels;
using tenon::benchmarks::Memory;

struct Shape {
  int64_t channels, filters, height, width;
};
constexpr Shape kShapes[] = {
    // clang-format off
    {16, 16, 32, 32}, {16, 16, 112, 112}, {32, 32, 16, 16}, {32, 32, 28, 28}, {32, 32, 56, 56}, {32, 32, 160, 160}, {32, 64, 112, 112},
    {64, 32, 28, 28}, {64, 64, 1, 64}, {64, 64, 7, 7}, {64, 64, 8, 100}, {64, 64, 14, 14}, {64, 64, 28, 28}, {64, 64, 56, 56},
    {64, 64, 72, 72}, {64, 64, 80, 80}, {64, 64, 112, 112}, {64, 64, 224, 224}, {96, 96, 35, 35}, {128, 32, 7, 7}, {128, 32, 14, 14},
    {128, 32, 28, 28}, {128, 32, 56, 56}, {128, 64, 128, 128}, {128, 128, 6, 6}, {128, 128, 7, 7}, {128, 128, 14, 14},
    {128, 128, 28, 28}, {128, 128, 40, 40}, {128, 128, 56, 56}, {128, 128, 112, 112}, {192, 192, 13, 13}, {256, 256, 4, 4},
    {256, 256, 6, 6}, {256, 256, 7, 7}, {256, 256, 10, 10}, {256, 256, 14, 14}, {256, 256, 19, 19}, {256, 256, 20, 20},
    {256, 256, 28, 28}, {256, 256, 32, 32}, {256, 256, 56, 56}, {512, 512, 2, 2}, {512, 512, 3, 3}, {512, 512, 4, 4}, {512, 512, 5, 5},
    {512, 512, 6, 6}, {512, 512, 7, 7}, {512, 512, 8, 8}, {512, 512, 10, 10}, {512, 512, 12, 12}, {512, 512, 14, 14},
    {512, 512, 28, 28}, {1024, 1024, 7, 7},
    // clang-format on
};

/// One method of one shape, with buffers of its own.
class Method {
 public:
  Method(const Shape& s, ConvFormat format, const float* weights) : p_(params(s, format)) {
    parts_ = plan_conv(p_);
    pack();
    pack_conv_weights(p_, weights, w_->data);
    kernel_ = std::find_if(conv.begin(), conv.end(), [&](const auto& row) { return row.refuse(p_) == nullptr; })->pointer();
  }
  double run() {
    const void* in[] = {x_->data, w_->data, b_->data, nullptr};
    void* out[] = {y_->data};
    const Call call{in, out, scratch_->data, nullptr, shared_->data};
    const double start = tenon::benchmarks::thread_seconds();
    if (p_.patches > 0) ConvWinogradPatchesPointer()(p_, call, {0, patch_parts(p_)});
    kernel_(p_, call, {0, parts_});
    return tenon::benchmarks::thread_seconds() - start;
  }

 private:
  static ConvParams params(const Shape& s, ConvFormat format) {
    ConvParams p;
    p.channels = s.channels, p.filters = s.filters, p.format = format;
    p.in[1] = p.out[1] = s.height, p.in[2] = p.out[2] = s.width;
    for (int i = 1; i < 3; ++i) p.kernel[i] = 3, p.pad[i] = 1;
    p.epilogue.bias = true, p.epilogue.low = 0;
    return p;
  }
  void pack() {
    const int64_t pixels = p_.in[1] * p_.in[2];
    x_ = std::make_unique<Memory<float>>((p_.channels + 16) * pixels, 0.5f);
    y_ = std::make_unique<Memory<float>>((p_.filters + 16) * pixels);
    w_ = std::make_unique<Memory<float>>(packed_conv_weights(p_));
    b_ = std::make_unique<Memory<float>>(p_.filters + 16);
    scratch_ = std::make_unique<Memory<std::byte>>(p_.scratch + 64);
    shared_ = std::make_unique<Memory<std::byte>>(p_.patches + 64);
    if (p_.patches > 0) p_.shared_patches = 0;
  }

  ConvParams p_;
  int64_t parts_ = 0;
  Kernel<ConvParams> kernel_ = nullptr;
  std::unique_ptr<Memory<float>> x_, y_, w_, b_;
  std::unique_ptr<Memory<std::byte>> scratch_, shared_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string filter = argc > 1 ? argv[1] : "";
  constexpr ConvFormat kFormats[] = {ConvFormat::kDirect, ConvFormat::kWinograd2, ConvFormat::kWinograd4, ConvFormat::kWinograd6};
  constexpr size_t kMethods = std::size(kFormats);
  std::printf("%-22s %10s %6s %6s %6s\n", "channels-filters-image", "direct us", "F(2,3)", "F(4,3)", "F(6,3)");
  int shapes = 0, right = 0;
  double all_lost = 0, most_lost = 0;
  for (const Shape& s : kShapes) {
    const std::string name =
        std::to_string(s.channels) + "-" + std::to_string(s.filters) + "-" + std::to_string(s.height) + "x" + std::to_string(s.width);
    if (name.find(filter) == std::string::npos) continue;
    const Memory<float> weights(s.channels * s.filters * 9, 0.5f);
    std::vector<Method> methods;
    for (const ConvFormat format : kFormats) methods.emplace_back(s, format, weights.data);
    std::vector<double> times[kMethods];
    for (Method& method : methods) method.run();
    double spent = 0;
    for (size_t round = 0; round < 300 && (round < 5 || spent < 0.4); ++round) {
      for (size_t i = 0; i < kMethods; ++i) {
        const size_t m = (i + round) % kMethods;
        times[m].push_back(methods[m].run());
        spent += times[m].back();
      }
    }
    const double direct = tenon::benchmarks::median(times[0]);
    const ConvFormat format = winograd_format(s.channels, s.filters, s.height, s.width);
    double fastest = direct, chosen = direct;
    std::printf("%-22s %10.1f", name.c_str(), direct * 1e6);
    for (size_t i = 1; i < kMethods; ++i) {
      const double time = tenon::benchmarks::median(times[i]);
      fastest = std::min(fastest, time);
      if (kFormats[i] == format) chosen = time;
      std::printf(" %6.3f", time / direct);
    }
    const double lost = chosen / fastest - 1;
    ++shapes, right += lost == 0 ? 1 : 0, all_lost += lost, most_lost = std::max(most_lost, lost);
    std::printf("  F(%d,3) loses %4.1f %%\n", static_cast<int>(std::max<int64_t>(winograd_tile(format), 1)), 100 * lost);
    std::fflush(stdout);
  }
  std::printf("chosen the fastest method for %d of %d shapes, lost %.1f %% on average, %.1f %% at most\n", right, shapes,
              100 * all_lost / std::max(shapes, 1), 100 * most_lost);
}
