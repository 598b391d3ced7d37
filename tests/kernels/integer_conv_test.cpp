// Every row of the table of integer convolutions on every instruction set, against sums in 64 bits.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/integer/conv.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

using test::for_each_target;

struct Case {
  int64_t batch = 1, groups = 1, channels = 3, filters = 5;
  std::vector<int64_t> in = {}, kernel = {}, stride = {}, dilation = {}, pads = {};  // of the last dims; pads: before and after
  DType x = DType::kUint8, w = DType::kInt8, y = DType::kInt32;
  int zeros = 1;  // 0 none, 1 one an operand, 2 one a filter
  bool scales = false, bias = false;
  bool quads = false;  // x and y lie as quads
};

int64_t value(DType dtype, uint8_t byte) { return dtype == DType::kInt8 ? static_cast<int8_t>(byte) : byte; }

std::vector<uint8_t> random_bytes(int64_t count, uint32_t seed) {
  std::mt19937 gen(seed);
  std::vector<uint8_t> v(static_cast<size_t>(count));
  for (uint8_t& b : v) b = static_cast<uint8_t>(gen());
  return v;
}

struct Aligned {
  explicit Aligned(int64_t bytes) : bytes_(static_cast<size_t>(bytes) + 72, std::byte{0x55}), size_(static_cast<size_t>(bytes)) {}
  std::byte* data() { return bytes_.data() + (64 - reinterpret_cast<uintptr_t>(bytes_.data()) % 64) % 64; }
  bool intact() { return data()[size_] == std::byte{0x55} && data()[size_ + 7] == std::byte{0x55}; }

 private:
  std::vector<std::byte> bytes_;
  size_t size_;
};

/// A plain tensor [batch, channels, pixels] as quads, int8 with 128 added; what fills the last one is nothing in particular.
std::vector<uint8_t> in_quads(const std::vector<uint8_t>& plain, DType dtype, int64_t batch, int64_t channels, int64_t pixels) {
  const int64_t quads = (channels + 3) / 4;
  std::vector<uint8_t> out(static_cast<size_t>(batch * quads * pixels * 4), 0x5b);
  for (int64_t i = 0; i < batch * channels * pixels; ++i) {
    const int64_t n = i / pixels / channels, c = i / pixels % channels, at = ((n * quads + c / 4) * pixels + i % pixels) * 4 + c % 4;
    out[static_cast<size_t>(at)] = static_cast<uint8_t>(plain[static_cast<size_t>(i)] ^ (dtype == DType::kInt8 ? 0x80 : 0));
  }
  return out;
}

/// Back by the kernel.
std::vector<uint8_t> from_quads(const std::vector<uint8_t>& quads, DType dtype, int64_t batch, int64_t channels, int64_t pixels) {
  std::vector<uint8_t> out(static_cast<size_t>(batch * channels * pixels));
  const QuadRowsParams p{.dtype = dtype, .batch = batch, .channels = channels, .pixels = pixels};
  const void* src[] = {quads.data()};
  void* dst[] = {out.data()};
  Fault fault;
  QuadRowsPointer()(p, {.src = src, .dst = dst, .fault = &fault}, {0, p.parts()});
  return out;
}

/// The sum less zero points for filter f at one pixel, straight from the definition.
int64_t sum_at(const IntegerConvParams& p, const std::vector<uint8_t>& x, const std::vector<uint8_t>& w, int64_t xz, int64_t wz, int64_t n,
               int64_t f, const int64_t* pixel) {
  const int64_t channels = p.channels / p.groups, first = f / (p.filters / p.groups) * channels;
  int64_t sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < p.kernel[0]; ++i) {
      for (int64_t j = 0; j < p.kernel[1]; ++j) {
        for (int64_t k = 0; k < p.kernel[2]; ++k) {
          const int64_t z = pixel[0] * p.stride[0] - p.pad[0] + i * p.dilation[0],
                        y = pixel[1] * p.stride[1] - p.pad[1] + j * p.dilation[1],
                        at = pixel[2] * p.stride[2] - p.pad[2] + k * p.dilation[2];
          if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1] || at < 0 || at >= p.in[2]) continue;
          const auto xi = static_cast<size_t>((((n * p.channels + first + c) * p.in[0] + z) * p.in[1] + y) * p.in[2] + at);
          const auto wi = static_cast<size_t>((((f * channels + c) * p.kernel[0] + i) * p.kernel[1] + j) * p.kernel[2] + k);
          sum += (value(p.x, x[xi]) - xz) * (value(p.w, w[wi]) - wz);
        }
      }
    }
  }
  return sum;
}

void check(const Case& c) {
  IntegerConvParams p;
  p.x = c.x, p.w = c.w, p.y = c.y, p.batch = c.batch, p.groups = c.groups, p.channels = c.channels, p.filters = c.filters;
  p.x_zero = p.w_zero = c.zeros != 0, p.y_zero = true, p.bias = c.bias, p.w_zeros = c.zeros == 2, p.w_scales = c.scales;
  const size_t spatial = c.in.size();
  for (size_t i = 0; i < spatial; ++i) {
    const size_t at = 3 - spatial + i;
    p.in[at] = c.in[i], p.kernel[at] = c.kernel[i];
    if (!c.stride.empty()) p.stride[at] = c.stride[i];
    if (!c.dilation.empty()) p.dilation[at] = c.dilation[i];
    if (!c.pads.empty()) p.pad[at] = c.pads[i];
    const int64_t both = c.pads.empty() ? 0 : c.pads[i] + c.pads[spatial + i];
    p.out[at] = (p.in[at] + both - (p.kernel[at] - 1) * p.dilation[at] - 1) / p.stride[at] + 1;
  }
  SCOPED_TRACE("in " + std::to_string(p.in[0]) + "x" + std::to_string(p.in[1]) + "x" + std::to_string(p.in[2]) + " kernel " +
               std::to_string(p.kernel[1]) + "x" + std::to_string(p.kernel[2]) + " channels " + std::to_string(p.channels) + " filters " +
               std::to_string(p.filters) + " groups " + std::to_string(p.groups) + " " + std::string(name_of(c.x)) + " " +
               std::string(name_of(c.w)) + " to " + std::string(name_of(c.y)));
  const auto x = random_bytes(p.batch * p.channels * p.in[0] * p.in[1] * p.in[2], 1), w = random_bytes(p.filters * p.depth(), 2);
  const auto xz = random_bytes(1, 3), wz = random_bytes(p.filters, 4), yz = random_bytes(1, 5);
  std::vector<float> ws(static_cast<size_t>(p.filters));
  std::vector<int32_t> bias(ws.size());
  for (size_t i = 0; i < ws.size(); ++i)
    ws[i] = 0.02f + 0.003f * static_cast<float>(i % 7), bias[i] = static_cast<int32_t>(i * 1000) - 3000;
  const float xs = 0.3f, ys = 3.7f;

  for (const IntegerFormat format : {integer_filters(true), integer_filters(false), IntegerFormat::kNone}) {
    p.format = format;
    p.x_quads = p.y_quads = c.quads && format != IntegerFormat::kNone;
    ASSERT_TRUE(plan_integer_conv(p));
    for (const auto& row : integer_conv) {
      if (row.refuse(p) != nullptr) continue;
      SCOPED_TRACE(row.name);
      Fault fault;
      Aligned shared(p.image_bytes()), scratch(integer_conv_scratch(p)),
          rows(format == IntegerFormat::kNone ? 0 : integer_filters_bytes(p));
      if (format != IntegerFormat::kNone) {
        const void* src[] = {w.data()};
        void* dst[] = {rows.data()};
        for (int64_t i = 0; i < integer_filters_parts(p); ++i)
          IntegerFiltersPointer()(p, {.src = src, .dst = dst, .fault = &fault}, {i, i + 1});
      }
      const size_t count = static_cast<size_t>(p.batch * p.filters * p.pixels()),
                   width = c.y == DType::kInt32 || c.y == DType::kFloat32 ? 4 : 1;
      const size_t room = !p.y_quads ? count * width : static_cast<size_t>(p.batch * ((p.filters + 3) / 4) * 4 * p.pixels());
      std::vector<uint8_t> out(room + 8, 0x77);
      const std::vector<uint8_t> given = p.x_quads ? in_quads(x, c.x, p.batch, p.channels, p.in[0] * p.in[1] * p.in[2]) : x;
      const void* src[] = {
          given.data(), &xs,       xz.data(), format == IntegerFormat::kNone ? static_cast<const void*>(w.data()) : rows.data(),
          ws.data(),    wz.data(), &ys,       yz.data(),
          bias.data()};
      void* dst[] = {out.data()};
      const Call call{.src = src, .dst = dst, .scratch = scratch.data(), .fault = &fault, .shared = shared.data()};
      if (!p.in_place) IntegerImagePointer()(p, call, {0, p.image_parts()});
      for (int64_t i = 0; i < p.parts(); i += 2) row.pointer()(p, call, {i, std::min(p.parts(), i + 2)});
      ASSERT_TRUE(scratch.intact() && rows.intact());
      for (size_t i = 0; i < 8; ++i) ASSERT_EQ(out[room + i], 0x77);
      if (p.y_quads) out = from_quads(out, c.y, p.batch, p.filters, p.pixels());
      for (size_t at = 0; at < count; ++at) {
        const auto i = static_cast<int64_t>(at), f = i / p.pixels() % p.filters, n = i / p.pixels() / p.filters;
        const int64_t pixel[3] = {i / p.out[2] / p.out[1] % p.out[0], i / p.out[2] % p.out[1], i % p.out[2]};
        const int64_t sum = sum_at(p, x, w, c.zeros == 0 ? 0 : value(c.x, xz[0]),
                                   c.zeros == 0 ? 0 : value(c.w, wz[c.zeros == 2 ? static_cast<size_t>(f) : 0]), n, f, pixel) +
                            (c.bias ? bias[static_cast<size_t>(f)] : 0);
        const double scaled =
            static_cast<double>(sum) * static_cast<double>(xs) * static_cast<double>(ws[c.scales ? static_cast<size_t>(f) : 0]);
        if (c.y == DType::kInt32) {
          ASSERT_EQ(reinterpret_cast<const int32_t*>(out.data())[at], static_cast<int32_t>(sum)) << at;
        } else if (c.y == DType::kFloat32) {
          ASSERT_NEAR(static_cast<double>(reinterpret_cast<const float*>(out.data())[at]), scaled, 1e-6 * (std::fabs(scaled) + 10)) << at;
        } else {
          const double exact = scaled / static_cast<double>(ys) + static_cast<double>(value(c.y, yz[0])),
                       low = c.y == DType::kInt8 ? -128 : 0;
          ASSERT_NEAR(static_cast<double>(value(c.y, out[at])), std::min(std::max(exact, low), low + 255), 0.5001) << at;
        }
      }
    }
  }
}

constexpr DType kBoth[] = {DType::kUint8, DType::kInt8};

TEST(IntegerConv, KernelsStridesDilationsAndPads) {
  for_each_target([] {
    for (const int64_t kernel : {1, 2, 3, 5}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t dilation : {1, 2}) {
          for (const int64_t pad : {0, 1, 2}) {
            check({.in = {11, 13},
                   .kernel = {kernel, kernel},
                   .stride = {stride, stride},
                   .dilation = {dilation, dilation},
                   .pads = {pad, 0, 1, pad}});
          }
        }
      }
    }
  });
}

TEST(IntegerConv, OneAndThreeDims) {
  for_each_target([] {
    check({.channels = 7, .in = {50}, .kernel = {4}, .stride = {2}, .pads = {1, 2}});
    check({.channels = 2, .in = {5, 6, 7}, .kernel = {3, 2, 3}, .stride = {1, 2, 2}, .dilation = {2, 1, 1}, .pads = {1, 0, 2, 1, 1, 0}});
    check({.batch = 2, .in = {1, 1, 1}, .kernel = {1, 1, 1}});
  });
}

TEST(IntegerConv, SignsZeroPointsAndResults) {
  for_each_target([] {
    for (const DType x : kBoth) {
      for (const DType w : kBoth) {
        for (const int zeros : {0, 1, 2}) {
          for (const DType y : {DType::kInt32, DType::kFloat32, DType::kInt8, DType::kUint8}) {
            check({.channels = 4,
                   .filters = 20,
                   .in = {6, 7},
                   .kernel = {3, 3},
                   .pads = {1, 1, 1, 1},
                   .x = x,
                   .w = w,
                   .y = y,
                   .zeros = zeros,
                   .scales = zeros == 2,
                   .bias = zeros != 1});
          }
        }
      }
    }
  });
}

TEST(IntegerConv, GroupsBatchesAndManyParts) {
  for_each_target([] {
    check({.batch = 2, .groups = 6, .channels = 6, .filters = 6, .in = {9, 40}, .kernel = {3, 3}, .pads = {1, 1, 1, 1}});
    check({.batch = 3, .groups = 2, .channels = 8, .filters = 34, .in = {5, 5}, .kernel = {1, 1}, .stride = {2, 2}});
    check({.channels = 40, .filters = 64, .in = {30, 30}, .kernel = {3, 3}, .pads = {1, 1, 1, 1}, .zeros = 2});
    check({.channels = 300, .filters = 150, .in = {7, 7}, .kernel = {3, 3}, .pads = {1, 1, 1, 1}});
    check({.channels = 0, .filters = 3, .in = {4, 4}, .kernel = {1, 1}, .bias = true});
    check({.channels = 0, .filters = 32, .in = {4, 4}, .kernel = {1, 1}, .y = DType::kUint8, .bias = true});
  });
}

TEST(IntegerConv, OneFilterAChannel) {
  for_each_target([] {
    for (const int64_t kernel : {1, 2, 3, 5}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int zeros : {0, 1, 2}) {
          const DType x = kBoth[stride % 2], w = kBoth[kernel % 2];
          for (const int64_t channels : {1, 6, 8}) {
            check({.batch = 2,
                   .groups = channels,
                   .channels = channels,
                   .filters = channels,
                   .in = {9, 40},
                   .kernel = {kernel, kernel},
                   .stride = {stride, stride},
                   .dilation = {1, kernel == 2 ? 3 : 1},
                   .pads = {kernel / 2, 1, 0, kernel / 2},
                   .x = x,
                   .w = w,
                   .y = kBoth[zeros % 2],
                   .zeros = zeros,
                   .scales = zeros != 1,
                   .bias = zeros != 2});
          }
        }
      }
    }
    check({.groups = 5, .channels = 5, .filters = 5, .in = {90, 130}, .kernel = {3, 3}, .pads = {1, 1, 1, 1}, .y = DType::kUint8});
    for (const int64_t rows : {2, 3, 4}) {  // columns of the kernel side by side
      check({.groups = 8,
             .channels = 8,
             .filters = 8,
             .in = {9, 33},
             .kernel = {rows, 3},
             .pads = {1, 2, 1, 2},
             .y = DType::kUint8,
             .zeros = 2});
      check({.groups = 8, .channels = 8, .filters = 8, .in = {9, 33}, .kernel = {rows, 3}, .dilation = {2, 1}, .y = DType::kInt8});
    }
    check({.groups = 3, .channels = 3, .filters = 3, .in = {3, 5, 4}, .kernel = {2, 3, 2}, .y = DType::kInt8});
  });
}

TEST(IntegerConv, Quads) {
  EXPECT_EQ(from_quads({0, 1, 2, 3, 4, 5, 6, 7}, DType::kUint8, 1, 3, 2), (std::vector<uint8_t>{0, 4, 1, 5, 2, 6}));
  EXPECT_EQ(from_quads({0, 1, 2, 3, 4, 5, 6, 7}, DType::kInt8, 1, 3, 2), (std::vector<uint8_t>{128, 132, 129, 133, 130, 134}));
  for_each_target([] {
    for (const DType x : kBoth) {
      for (const DType y : kBoth) {
        for (const int zeros : {0, 2}) {
          Case c{.batch = 2, .in = {6, 7}, .kernel = {3, 3}, .pads = {1, 1, 1, 1}, .x = x, .w = y, .y = y, .zeros = zeros, .quads = true};
          c.channels = 7, c.filters = 6;
          check(c);
          c.filters = 48;
          check(c);
          c.kernel = {1, 1}, c.pads = {};
          check(c);  // read where it lies
          c.stride = {2, 2};
          check(c);
          c.in = {3, 3}, c.stride = {};
          check(c);
          c.in = {5, 2}, c.kernel = {3, 3}, c.pads = {1, 1, 1, 1};
          check(c);  // rows of fewer than four pixels
          c.in = {3, 3}, c.kernel = {1, 1}, c.pads = {};
          c.channels = 16, c.groups = 2;
          check(c);
          c.groups = 1, c.channels = 8, c.in = {5, 41}, c.kernel = {3, 3}, c.stride = {2, 2}, c.pads = {0, 1, 1, 0};
          check(c);
          c.stride = {}, c.pads = {};
          c.channels = c.filters = c.groups = 10, c.in = {9, 5}, c.kernel = {3, 3};
          check(c);
        }
      }
    }
  });
}

TEST(IntegerConv, ManyFiltersMeetPlacesTileByTile) {
  for_each_target([] {
    check({.channels = 1200,
           .filters = 90,
           .in = {9, 9},
           .kernel = {3, 3},
           .pads = {1, 1, 1, 1},
           .y = DType::kUint8,
           .zeros = 0,
           .bias = true});
  });
}

TEST(IntegerConv, ImagesTooLargeAreRefused) {
  IntegerConvParams p;
  p.out[2] = 2, p.kernel[2] = 2, p.dilation[2] = p.stride[2] = int64_t{1} << 40;
  EXPECT_FALSE(plan_integer_conv(p));
}

}  // namespace
}  // namespace tenon::kernels
