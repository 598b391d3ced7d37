// Blocked convolution kernels on every instruction set, against a plain double-precision convolution written here.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/pair.h"
#include "kernels/dispatch.h"
#include "kernels/onednn/choice.h"
#include "kernels/onednn/onednn.h"
#include "kernels/reorder/reorder.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

struct Case {
  int64_t batch, groups, channels, filters;
  int64_t in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
  bool bias = true, residual = false, relu = false;
  UnaryTile tile = nullptr;
};

std::vector<float> Random(int64_t n, unsigned seed) {
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  std::vector<float> v(n);
  for (auto& x : v) x = dist(gen);
  return v;
}

int64_t Pixels(const int64_t* d) { return d[0] * d[1] * d[2]; }

ConvParams ParamsOf(const Case& c, ConvFormat format) {
  ConvParams p;
  p.batch = c.batch, p.groups = c.groups, p.channels = c.channels, p.filters = c.filters;
  for (int i = 0; i < 3; ++i) {
    p.in[i] = c.in[i], p.kernel[i] = c.kernel[i], p.stride[i] = c.stride[i], p.dilation[i] = c.dilation[i], p.pad[i] = c.pad[i];
    p.out[i] = (c.in[i] + c.pad[i] + c.pad_end[i] - c.dilation[i] * (c.kernel[i] - 1) - 1) / c.stride[i] + 1;
  }
  p.format = format;
  p.epilogue.bias = c.bias;
  p.epilogue.residual = c.residual;
  if (c.relu) p.epilogue.low = 0;
  p.epilogue.tile = c.tile;
  return p;
}

std::vector<double> Reference(const ConvParams& p, const std::vector<float>& x, const std::vector<float>& w, const std::vector<float>& b,
                              const std::vector<float>& res) {
  std::vector<double> y(p.batch * p.filters * Pixels(p.out));
  const int64_t gc = p.channels / p.groups, gf = p.filters / p.groups;
  size_t o = 0;
  for (int64_t n = 0; n < p.batch; ++n)
    for (int64_t f = 0; f < p.filters; ++f)
      for (int64_t z = 0; z < p.out[0]; ++z)
        for (int64_t yy = 0; yy < p.out[1]; ++yy)
          for (int64_t xx = 0; xx < p.out[2]; ++xx, ++o) {
            double s = p.epilogue.bias ? b[f] : 0;
            for (int64_t c = 0; c < gc; ++c)
              for (int64_t kz = 0; kz < p.kernel[0]; ++kz)
                for (int64_t ky = 0; ky < p.kernel[1]; ++ky)
                  for (int64_t kx = 0; kx < p.kernel[2]; ++kx) {
                    const int64_t iz = z * p.stride[0] - p.pad[0] + kz * p.dilation[0];
                    const int64_t iy = yy * p.stride[1] - p.pad[1] + ky * p.dilation[1];
                    const int64_t ix = xx * p.stride[2] - p.pad[2] + kx * p.dilation[2];
                    if (iz < 0 || iz >= p.in[0] || iy < 0 || iy >= p.in[1] || ix < 0 || ix >= p.in[2]) continue;
                    s += double(x[(((n * p.channels + f / gf * gc + c) * p.in[0] + iz) * p.in[1] + iy) * p.in[2] + ix]) *
                         w[(((f * gc + c) * p.kernel[0] + kz) * p.kernel[1] + ky) * p.kernel[2] + kx];
                  }
            if (p.epilogue.residual) s += res[o];
            if (s < p.epilogue.low) s = p.epilogue.low;
            if (p.epilogue.tile != nullptr) s = s * 2 + 1;
            y[o] = s;
          }
  return y;
}

std::vector<float> Reordered(const std::vector<float>& from, int64_t batch, int64_t channels, int64_t pixels, bool to_blocked) {
  ReorderParams p;
  p.to_blocked = to_blocked, p.batch = batch, p.channels = channels, p.pixels = pixels, p.block = channel_block();
  plan_reorder(p);
  const int64_t blocked = batch * ((channels + p.block - 1) / p.block) * p.block * pixels;
  std::vector<float> to(to_blocked ? blocked : batch * channels * pixels);
  const void* src[] = {from.data()};
  void* dst[] = {to.data()};
  Call call{src, dst};
  ReorderPointer()(p, call, {0, p.parts()});
  return to;
}

/// Fills the lanes beyond the last channel with NaN: no kernel may let them through.
void Poison(std::vector<float>& blocked, int64_t channels, int64_t pixels) {
  const int64_t block = channel_block(), blocks = (channels + block - 1) / block;
  for (size_t i = 0; i < blocked.size(); ++i) {
    const int64_t channel = static_cast<int64_t>(i) / block / pixels % blocks * block + static_cast<int64_t>(i) % block;
    if (channel >= channels) blocked[i] = std::nanf("");
  }
}

constexpr auto kDirect = ConvFormat::kDirect, kPlainInput = ConvFormat::kPlainInput, kGrouped = ConvFormat::kGrouped,
               kOneDnn = ConvFormat::kOneDnn, kOneDnnPlainInput = ConvFormat::kOneDnnPlainInput;

std::vector<float> Run(const Case& c, ConvFormat format, const std::vector<float>& x, const std::vector<float>& w,
                       const std::vector<float>& b, const std::vector<float>& res) {
  ConvParams p = ParamsOf(c, format);
  const ConvParams sizes = p;
  std::shared_ptr<const onednn::Slices> slices;
  std::vector<float> packed;
  if (format == kOneDnn || format == kOneDnnPlainInput) {
    slices = onednn::convolution(p);
    if (slices == nullptr) return {};
    p.slices = slices.get();
    packed.resize(slices->weights_bytes() / 4);
    EXPECT_TRUE(slices->pack(w.data(), p.channels / p.groups * p.taps() * 4, packed.data(), {0, slices->count()}));
  }
  const int64_t parts = plan_conv(p);
  if (slices == nullptr) {
    packed.resize(packed_conv_weights(p));
    pack_conv_weights(p, w.data(), packed.data());
  }
  std::vector<float> src = x;
  if (!takes_plain_input(format)) {
    src = Reordered(x, c.batch, c.channels, Pixels(sizes.in), true);
    Poison(src, c.channels, Pixels(sizes.in));
  }
  std::vector<float> add;
  if (c.residual) add = Reordered(res, c.batch, c.filters, Pixels(sizes.out), true), Poison(add, c.filters, Pixels(sizes.out));
  const int64_t block = channel_block();
  std::vector<float> dst(c.batch * ((c.filters + block - 1) / block) * block * Pixels(sizes.out), std::nanf(""));
  std::vector<std::byte> scratch(p.scratch + 64);
  const void* in[] = {src.data(), packed.data(), c.bias ? b.data() : nullptr, add.data()};
  void* out[] = {dst.data()};
  std::vector<std::byte> shared(p.patches + 64);
  Fault fault;
  Call call{in, out, scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64, &fault, shared.data()};
  if (p.patches > 0) {
    p.shared_patches = 64;
    for (int64_t i = patch_parts(p) - 1; i >= 0; --i) ConvWinogradPatchesPointer()(p, call, {i, i + 1});
  }
  for (const auto& row : conv) {
    if (row.refuse(p) != nullptr) continue;
    for (int64_t i = parts - 1; i >= 0; --i) row.pointer()(p, call, {i, i + 1});
    break;
  }
  EXPECT_EQ(fault.kind.load(), Fault::kNone);
  return Reordered(dst, c.batch, c.filters, Pixels(sizes.out), false);
}

void CheckOnEveryTarget(const Case& c, std::initializer_list<ConvFormat> formats) {
  const ConvParams p = ParamsOf(c, ConvFormat::kDirect);
  const auto x = Random(c.batch * c.channels * Pixels(p.in), 1), w = Random(c.filters * (c.channels / c.groups) * p.taps(), 2);
  const auto b = Random(c.filters, 3), res = Random(c.batch * c.filters * Pixels(p.out), 4);
  const auto want = Reference(p, x, w, b, res);
  const double root = std::sqrt(double(c.channels / c.groups * p.taps()));
  // Winograd's transforms cost a digit, those of 6x6 outputs half another.
  const auto tolerance = [&](ConvFormat format) {
    const int64_t tile = winograd_tile(format);
    return (tile == 6 ? 4e-5 : tile == 4 ? 2e-5 : 3e-6) * root + 1e-5;
  };
  int64_t targets[8];
  const int n = supported_targets(targets);
  for (int t = 0; t < n; ++t) {
    force_target(targets[t]);
    for (const ConvFormat format : formats) {
      const bool other = format == kOneDnn || format == kOneDnnPlainInput;
      if (other && float_lanes() < 8) continue;  // no kernel of oneDNN is taken there
      const auto got = Run(c, format, x, w, b, res);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], tolerance(format))
            << "target " << hwy::TargetName(targets[t]) << " format " << int(format) << " element " << i;
      }
    }
  }
  force_target(0);
}

Case Conv2d(int64_t channels, int64_t filters, int64_t h, int64_t w, int64_t k, int64_t stride = 1, int64_t pad = 0, int64_t groups = 1) {
  return {1, groups, channels, filters, {1, h, w}, {1, k, k}, {1, stride, stride}, {1, 1, 1}, {0, pad, pad}, {0, pad, pad}};
}
/// A pair on every target, its parts in reverse order, against one plain convolution after the other.
void CheckPair(const Case& first, const Case& second) {
  const ConvParams e = ParamsOf(first, kDirect), d = ParamsOf(second, kGrouped);
  const auto x = Random(e.batch * e.channels * Pixels(e.in), 1), we = Random(e.filters * e.channels, 2), be = Random(e.filters, 3);
  const auto wd = Random(d.filters * d.taps(), 4), bd = Random(d.filters, 5);
  const auto between = Reference(e, x, we, be, {});
  const auto want = Reference(d, std::vector<float>(between.begin(), between.end()), wd, bd, {});
  int64_t targets[8];
  const int n = supported_targets(targets);
  for (int t = 0; t < n; ++t) {
    force_target(targets[t]);
    ConvPairParams p{.expand = e, .depthwise = d};
    std::vector<float> packed_e(packed_conv_weights(e)), packed_d(packed_conv_weights(d));
    pack_conv_weights(e, we.data(), packed_e.data());
    pack_conv_weights(d, wd.data(), packed_d.data());
    plan_conv_pair(p);
    EXPECT_GE(p.parts(), std::min<int64_t>(8, d.out[1])) << "too few parts to share out";
    auto src = Reordered(x, e.batch, e.channels, Pixels(e.in), true);
    Poison(src, e.channels, Pixels(e.in));
    const int64_t block = channel_block();
    std::vector<float> dst(d.batch * ((d.filters + block - 1) / block) * block * Pixels(d.out), std::nanf(""));
    std::vector<std::byte> scratch(p.scratch + 64);
    const void* in[] = {src.data(), packed_e.data(), first.bias ? be.data() : nullptr, packed_d.data(), second.bias ? bd.data() : nullptr};
    void* out[] = {dst.data()};
    Fault fault;
    const Call call{in, out, scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64, &fault};
    for (int64_t i = p.parts() - 1; i >= 0; --i) conv_pair(p, call, {i, i + 1});
    const auto got = Reordered(dst, d.batch, d.filters, Pixels(d.out), false);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(got[i], want[i], 1e-4) << "target " << hwy::TargetName(targets[t]) << " element " << i;
    }
  }
  force_target(0);
}

TEST(Conv, Pairs) {
  const auto twice = [](float, float, const float* s, float* d, int64_t n) {
    for (int64_t i = 0; i < n; ++i) d[i] = s[i] * 2 + 1;
  };
  for (const int64_t k : {2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t pad : {int64_t{0}, k / 2, k}) {
        Case e = Conv2d(10, 90, 17, 13, 1), d = Conv2d(90, 90, 17, 13, k, stride, pad, 90);
        e.batch = d.batch = 2;
        e.relu = pad == 0, d.bias = stride != 2, e.tile = k == 3 ? +twice : nullptr, d.tile = k == 5 ? +twice : nullptr;
        CheckPair(e, d);
      }
    }
  }
  Case e = Conv2d(6, 40, 30, 9, 1), d = Conv2d(40, 40, 30, 9, 3, 1, 2, 40);
  d.dilation[1] = 4, d.dilation[2] = 2, d.stride[1] = 2, d.pad_end[1] = 40;  // bands that lie in the pads alone
  CheckPair(e, d);
  CheckPair(Conv2d(3, 70, 20, 900, 1), Conv2d(70, 70, 20, 900, 3, 1, 1, 70));  // a row is as much as a band may hold
}
TEST(Conv, Pointwise) {
  for (int64_t channels : {1, 7, 16, 33}) {
    for (int64_t filters : {1, 16, 24, 40, 64, 100}) CheckOnEveryTarget(Conv2d(channels, filters, 5, 7, 1), {kDirect, kPlainInput});
  }
  CheckOnEveryTarget(Conv2d(32, 48, 8, 8, 1, 2), {kDirect});
  CheckOnEveryTarget(Conv2d(700, 16, 3, 3, 1), {kDirect});  // several chunks
  Case ragged = Conv2d(300, 40, 13, 11, 1);
  ragged.residual = true;
  ConvParams p = ParamsOf(ragged, kDirect);
  plan_conv(p);
  EXPECT_GT(p.lacking, 0) << "no row is shorter than the others";
  CheckOnEveryTarget(ragged, {kDirect});
}
TEST(Conv, Kernels) {
  for (int64_t k : {2, 3, 5, 7}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t pad : {int64_t{0}, k / 2, k}) CheckOnEveryTarget(Conv2d(20, 36, 9, 13, k, stride, pad), {kDirect, kPlainInput});
    }
  }
}
constexpr auto kWinograds = {ConvFormat::kWinograd2, ConvFormat::kWinograd4, ConvFormat::kWinograd6};
TEST(Conv, Winograd) {
  for (int64_t w : {1, 2, 3, 4, 6, 7, 13, 31}) CheckOnEveryTarget(Conv2d(19, 72, 9, w, 3, 1, 1), kWinograds);
  for (int64_t pad : {0, 2}) CheckOnEveryTarget(Conv2d(33, 20, 12, 30, 3, 1, pad), kWinograds);
  // Wide tiles, several chunks, patches transformed before.
  CheckOnEveryTarget(Conv2d(150, 104, 26, 25, 3, 1, 1), kWinograds);
  CheckOnEveryTarget(Conv2d(70, 40, 8, 8, 3, 1, 1), kWinograds);  // narrow tiles
  // Enough groups that each part transforms its own patches: of the smaller tiles, and of all.
  CheckOnEveryTarget(Conv2d(17, 72, 90, 170, 3, 1, 1), kWinograds);
  CheckOnEveryTarget(Conv2d(17, 24, 117, 118, 3, 1, 1), kWinograds);
  for (const bool tile : {false, true}) {
    Case c = Conv2d(8, 24, 40, 41, 3, 1, 1);
    c.batch = 2, c.residual = true, c.relu = true;
    if (tile)
      c.tile = [](float, float, const float* s, float* d, int64_t n) {
        for (int64_t i = 0; i < n; ++i) d[i] = s[i] * 2 + 1;
      };
    CheckOnEveryTarget(c, kWinograds);
  }
}
/// The largest error of any output, as a part of the largest output.
TEST(Conv, ErrorOfEachMethod) {
  struct Bound {
    ConvFormat format;
    double error;
  };
  for (const int64_t channels : {64, 256, 512}) {
    const Case c = Conv2d(channels, 16, 24, 24, 3, 1, 1);
    const ConvParams p = ParamsOf(c, kDirect);
    const auto x = Random(channels * Pixels(p.in), 1), w = Random(c.filters * channels * p.taps(), 2), b = Random(c.filters, 3);
    const auto want = Reference(p, x, w, b, {});
    double largest = 0;
    for (const double v : want) largest = std::max(largest, std::abs(v));
    tenon::test::for_each_target([&] {
      for (const auto& [format, bound] : {Bound{kDirect, 3e-6}, Bound{ConvFormat::kWinograd2, 3e-6}, Bound{ConvFormat::kWinograd4, 2e-5},
                                          Bound{ConvFormat::kWinograd6, 4e-5}}) {
        const auto got = kernels::Run(c, format, x, w, b, {});
        double error = 0;
        for (size_t i = 0; i < want.size(); ++i) error = std::max(error, std::abs(got[i] - want[i]));
        EXPECT_LT(error / largest, bound) << "format " << int(format) << ", " << channels << " channels";
      }
    });
  }
}
TEST(Conv, FastestMethods) {
  tenon::test::for_each_target([] {
    EXPECT_EQ(winograd_tile(winograd_format(512, 512, 2, 2)), 0);
    EXPECT_EQ(winograd_tile(winograd_format(256, 256, 4, 4)), 2);
    EXPECT_EQ(winograd_tile(winograd_format(256, 256, 14, 14)), 4);
    EXPECT_EQ(winograd_tile(winograd_format(128, 128, 112, 112)), 6);
    EXPECT_EQ(winograd_tile(winograd_format(64, 64, 1, 64)), 0);
    winograd_format(64, 64, int64_t{1} << 40, int64_t{1} << 40);  // overflows nothing
    winograd_format(64, 64, 0, 0);
  });
}
TEST(Conv, EveryRowLength) {
  for (int64_t w = 1; w < 30; ++w) CheckOnEveryTarget(Conv2d(9, 72, 2, w, 3, 1, 1), {kDirect, kPlainInput});
}
TEST(Conv, ImagesLargerThanWeights) {
  for (int64_t k : {1, 3}) {
    for (int64_t stride : {1, 2}) {
      for (int64_t groups : {1, 2}) {
        Case c = Conv2d(32, groups == 1 ? 72 : 96, 26, 50, k, stride, k / 2, groups);
        c.batch = 2;
        ConvParams p = ParamsOf(c, kDirect);
        plan_conv(p);
        EXPECT_TRUE(p.rows_first) << "rows come before filters";
        EXPECT_GT(p.row_parts(), 1);
        CheckOnEveryTarget(c, {kDirect, kPlainInput});
      }
    }
  }
  Case c = Conv2d(40, 40, 20, 11, 5, 2, 2, 40);
  c.batch = 2;
  CheckOnEveryTarget(c, {kGrouped});
  c.in[1] = 50;  // 25 rows of results
  CheckOnEveryTarget(c, {kGrouped});
}
TEST(Conv, AsymmetricPadsDilationsStrides) {
  Case c = Conv2d(17, 33, 11, 12, 3);
  c.kernel[1] = 2, c.kernel[2] = 5, c.stride[1] = 2, c.dilation[1] = 3, c.dilation[2] = 2;
  c.pad[1] = 1, c.pad_end[1] = 2, c.pad[2] = 6, c.pad_end[2] = 0;
  CheckOnEveryTarget(c, {kDirect, kPlainInput});
}
TEST(Conv, ThreeDims) {
  Case c = Conv2d(10, 20, 6, 7, 3, 1, 1);
  c.batch = 2, c.in[0] = 5, c.kernel[0] = 3, c.stride[0] = 2, c.pad[0] = 2, c.pad_end[0] = 1;
  CheckOnEveryTarget(c, {kDirect, kPlainInput});
  c.groups = 5;
  CheckOnEveryTarget(c, {kGrouped});
}
TEST(Conv, Epilogues) {
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true}) {
      for (const bool tile : {false, true}) {
        Case c = Conv2d(24, 40, 6, 6, 3, 1, 1);
        c.batch = 2, c.bias = bias, c.residual = residual, c.relu = true;
        if (tile)
          c.tile = [](float, float, const float* s, float* d, int64_t n) {
            for (int64_t i = 0; i < n; ++i) d[i] = s[i] * 2 + 1;
          };
        CheckOnEveryTarget(c, {kDirect, kPlainInput});
        c.groups = 8;
        CheckOnEveryTarget(c, {kGrouped});
        c.groups = c.channels = c.filters = 21;
        CheckOnEveryTarget(c, {kGrouped});
      }
    }
  }
}
/// Pixels that lie apart in a larger result, as those of one phase of a transposed convolution, are those of the plain convolution, and
/// what lies between them stays.
TEST(Conv, PixelsApart) {
  int64_t targets[8];
  const int n = supported_targets(targets);
  for (int t = 0; t < n; ++t) {
    force_target(targets[t]);
    for (const int64_t kernel : {1, 3}) {
      for (const int64_t filters : {9, 70}) {
        Case c = Conv2d(400, filters, 5, 17, kernel, 1, kernel / 2);
        c.residual = c.relu = true;
        const ConvParams sizes = ParamsOf(c, kDirect);
        const int64_t pixels = Pixels(sizes.out), block = channel_block(), blocks = (filters + block - 1) / block;
        const auto x = Random(c.channels * pixels, 1), w = Random(filters * c.channels * sizes.taps(), 2), b = Random(filters, 3),
                   res = Random(filters * pixels, 4);
        const auto want = tenon::kernels::Run(c, kDirect, x, w, b, res);
        ConvParams p = sizes;
        for (int i = 1; i < 3; ++i) p.out_step[i] = i + 1, p.out_first[i] = i - 1, p.out_size[i] = p.out[i] * (i + 1) + 1;
        const int64_t plane = p.out_size[1] * p.out_size[2];
        const auto at = [&](int64_t f, int64_t pixel) {
          const int64_t y = pixel / 17 * 2, xx = pixel % 17 * 3 + 1;
          return (f / block * plane + y * p.out_size[2] + xx) * block + f % block;
        };
        p.out_size[0] = 1;
        const int64_t parts = plan_conv(p);
        std::vector<float> packed(packed_conv_weights(p)), add(blocks * plane * block, 1e9f), dst(add.size(), 7.0f);
        pack_conv_weights(p, w.data(), packed.data());
        for (int64_t i = 0; i < filters * pixels; ++i) add[at(i / pixels, i % pixels)] = res[i];
        const auto src = Reordered(x, 1, c.channels, pixels, true);
        std::vector<std::byte> scratch(p.scratch + 64);
        const void* in[] = {src.data(), packed.data(), b.data(), add.data()};
        void* out[] = {dst.data()};
        const Call call{in, out, scratch.data()};
        for (const auto& row : conv) {
          if (row.refuse(p) != nullptr) continue;
          row.pointer()(p, call, {0, parts});
          break;
        }
        for (int64_t i = 0; i < filters * pixels; ++i) {
          float& got = dst[at(i / pixels, i % pixels)];
          ASSERT_EQ(got, want[i]) << hwy::TargetName(targets[t]) << " kernel " << kernel << " element " << i;
          got = 7.0f;
        }
        for (int64_t i = 0; i < static_cast<int64_t>(dst.size()); ++i) {
          const bool beyond = i / block / plane * block + i % block >= filters;  // lanes that hold anything
          ASSERT_TRUE(beyond || dst[i] == 7.0f) << hwy::TargetName(targets[t]) << " between pixels, at " << i;
        }
      }
    }
  }
  force_target(0);
}
TEST(Conv, WholeBlockGroups) {
  CheckOnEveryTarget(Conv2d(64, 96, 5, 6, 3, 1, 1, 2), {kDirect, kGrouped});
  CheckOnEveryTarget(Conv2d(64, 32, 5, 6, 3, 1, 1, 2), {kDirect, kPlainInput});
}
TEST(Conv, Depthwise) {
  for (int64_t channels : {1, 8, 19, 32}) {
    for (int64_t k : {1, 3, 5, 7}) {
      for (int64_t stride : {1, 2}) CheckOnEveryTarget(Conv2d(channels, channels, 12, 25, k, stride, k / 2, channels), {kGrouped});
    }
  }
  for (int64_t w = 1; w < 22; ++w) {
    for (int64_t k : {3, 5, 7}) {
      for (int64_t pad : {int64_t{0}, k / 2, k + 1}) {
        if (w + 2 * pad >= k) CheckOnEveryTarget(Conv2d(9, 9, 6, w, k, 1 + w % 2, pad, 9), {kGrouped});
      }
    }
  }
  Case c = Conv2d(24, 24, 4, 3, 3, 1, 4, 24);
  c.dilation[1] = c.dilation[2] = 2;
  CheckOnEveryTarget(c, {kGrouped});
}
/// An image of NaN alone comes out as such through a Relu.
void ExpectNanKept(Case c, ConvFormat format) {
  c.relu = true;
  const auto weights = c.filters * c.channels / c.groups * c.kernel[0] * c.kernel[1] * c.kernel[2];
  const std::vector<float> w = Random(weights, 2), b(static_cast<size_t>(c.filters)), none;
  const std::vector<float> x(static_cast<size_t>(c.channels * Pixels(c.in)), std::nanf(""));
  const std::vector<float> y = tenon::kernels::Run(c, format, x, w, b, none);
  ASSERT_FALSE(y.empty());
  for (const float v : y) ASSERT_TRUE(std::isnan(v)) << "format " << static_cast<int>(format);
}
TEST(Conv, OneDnn) {
  if (onednn::module() == nullptr) GTEST_SKIP() << onednn::description();
  for (int64_t k : {1, 3, 5}) {
    for (int64_t stride : {1, 2}) {
      CheckOnEveryTarget(Conv2d(32, 96, 13, 11, k, stride, k / 2), {kOneDnn});
      CheckOnEveryTarget(Conv2d(3, 32, 13, 11, k, stride, k / 2), {kOneDnnPlainInput});
      CheckOnEveryTarget(Conv2d(48, 48, 13, 11, k, stride, k / 2, 48), {kOneDnn});
    }
  }
  CheckOnEveryTarget(Conv2d(64, 96, 5, 6, 3, 1, 1, 2), {kOneDnn});
  for (const bool bias : {false, true}) {
    for (const bool residual : {false, true}) {
      for (const bool tile : {false, true}) {
        Case c = Conv2d(32, 288, 24, 24, 3, 1, 1);  // several slices, not all of one size
        c.batch = 2, c.bias = bias, c.residual = residual, c.relu = true;
        if (tile)
          c.tile = [](float, float, const float* s, float* d, int64_t n) {
            for (int64_t i = 0; i < n; ++i) d[i] = s[i] * 2 + 1;
          };
        CheckOnEveryTarget(c, {kOneDnn});
        c.channels = 3;
        CheckOnEveryTarget(c, {kOneDnnPlainInput});
        c.groups = c.channels = c.filters = 112, c.in[1] = c.in[2] = 40;
        CheckOnEveryTarget(c, {kOneDnn});
      }
    }
  }
  Case c = Conv2d(32, 32, 6, 7, 3, 1, 1);
  c.batch = 2, c.in[0] = 5, c.kernel[0] = 3, c.stride[0] = 2, c.pad[0] = 2, c.pad_end[0] = 1;
  CheckOnEveryTarget(c, {kOneDnn});
  c = Conv2d(32, 32, 11, 12, 3);
  c.kernel[1] = 2, c.kernel[2] = 4, c.stride[1] = 2, c.dilation[1] = 3, c.dilation[2] = 2, c.pad[1] = 1, c.pad_end[1] = 2, c.pad[2] = 3;
  CheckOnEveryTarget(c, {kOneDnn});
}
TEST(Conv, OneDnnKeepsNan) {
  if (onednn::module() == nullptr) GTEST_SKIP() << onednn::description();
  if (float_lanes() < 8) GTEST_SKIP() << "no kernel of oneDNN is taken there";
  ExpectNanKept(Conv2d(32, 32, 4, 4, 1), kOneDnn);
}
TEST(Conv, ClampsKeepNan) {
  tenon::test::for_each_target([] {
    ExpectNanKept(Conv2d(32, 32, 9, 11, 1), kDirect);
    ExpectNanKept(Conv2d(32, 32, 9, 11, 3), kDirect);
    ExpectNanKept(Conv2d(3, 32, 9, 11, 3), kPlainInput);
    ExpectNanKept(Conv2d(32, 32, 9, 11, 3, 1, 1, 8), kGrouped);
    ExpectNanKept(Conv2d(32, 32, 9, 11, 3, 1, 1, 32), kGrouped);
    for (const ConvFormat format : kWinograds) ExpectNanKept(Conv2d(32, 32, 9, 11, 3), format);
  });
}
TEST(Conv, OneDnnRefusesPartsOfBlocks) {
  if (onednn::module() == nullptr) GTEST_SKIP() << onednn::description();
  EXPECT_EQ(onednn::convolution(ParamsOf(Conv2d(20, 32, 5, 5, 3), kOneDnn)), nullptr);
  EXPECT_EQ(onednn::convolution(ParamsOf(Conv2d(32, 20, 5, 5, 3), kOneDnn)), nullptr);
  EXPECT_EQ(onednn::convolution(ParamsOf(Conv2d(32, 32, 5, 5, 3, 1, 1, 8), kOneDnn)), nullptr);
}
TEST(Conv, SmallGroupsAndMultipliers) {
  CheckOnEveryTarget(Conv2d(32, 32, 7, 9, 3, 1, 1, 8), {kGrouped});   // 4 a group
  CheckOnEveryTarget(Conv2d(30, 30, 7, 9, 3, 2, 1, 10), {kGrouped});  // 3 a group
  CheckOnEveryTarget(Conv2d(10, 30, 7, 9, 3, 1, 1, 10), {kGrouped});  // multiplier 3
  CheckOnEveryTarget(Conv2d(40, 8, 7, 9, 3, 1, 1, 8), {kGrouped});    // 5 to 1
  CheckOnEveryTarget(Conv2d(72, 48, 7, 9, 3, 1, 1, 3), {kGrouped});   // 24 to 16: groups begin within blocks
  CheckOnEveryTarget(Conv2d(24, 36, 5, 31, 1, 1, 0, 6), {kGrouped});
  CheckOnEveryTarget(Conv2d(24, 36, 6, 31, 1, 2, 1, 6), {kGrouped});   // the stride skips pixels that no tap reads
  CheckOnEveryTarget(Conv2d(200, 20, 9, 70, 5, 1, 2, 2), {kGrouped});  // several chunks of channels
  for (int64_t w = 1; w < 33; ++w) CheckOnEveryTarget(Conv2d(12, 20, 3, w, 3, 1 + w % 2, 1, 4), {kGrouped});
  Case c = Conv2d(20, 30, 11, 12, 3, 1, 0, 5);
  c.batch = 2;
  c.kernel[1] = 2, c.kernel[2] = 5, c.stride[1] = 2, c.dilation[1] = 3, c.dilation[2] = 2;
  c.pad[1] = 9, c.pad_end[1] = 8, c.pad[2] = 16, c.pad_end[2] = 1;  // whole windows beyond the image
  CheckOnEveryTarget(c, {kGrouped});
}

TEST(Conv, OneDnnIsChosenForLargeKernelsWithAvx2) {
  test::for_each_target([] {
    const auto chosen = [](int64_t filters, int64_t size, int64_t k, int64_t stride) {
      return onednn::slower(ParamsOf(Conv2d(128, filters, size, size, k, stride, k / 2), ConvFormat::kDirect)) == nullptr;
    };
    const bool avx2 = float_lanes() == 8;
    EXPECT_EQ(chosen(128, 14, 5, 1), avx2);
    EXPECT_EQ(chosen(64, 28, 7, 1), avx2);
    EXPECT_FALSE(chosen(96, 14, 5, 1));  // three slices, of which one thread gets two
    EXPECT_FALSE(chosen(128, 4, 5, 1));  // next to nothing to do
    EXPECT_FALSE(chosen(128, 28, 5, 2));
    EXPECT_FALSE(chosen(128, 28, 1, 1));
  });
}

}  // namespace
}  // namespace tenon::kernels
