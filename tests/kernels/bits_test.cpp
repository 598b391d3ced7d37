// Products with weights of 2, 4 and 8 bits on every instruction set, against sums in double.
#include "kernels/gemm/bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/small_float.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

struct Case {
  int64_t m, n, k;
  int bits = 4;
  int64_t block = 32;  // 0: all rows
  bool zeros = false;
  bool addend = false, residual = false, relu = false, gelu = false;
  bool trans_a = false;
};

std::string describe(const Case& c) {
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + " bits " + std::to_string(c.bits) + " block " +
         std::to_string(c.block) + (c.zeros ? " zeros" : "") + (c.addend ? " addend" : "") + (c.residual ? " residual" : "") +
         (c.relu ? " relu" : "") + (c.gelu ? " gelu" : "") + (c.trans_a ? " tA" : "");
}

double to_double(float x) { return static_cast<double>(x); }
double to_double(Float16 x) { return static_cast<double>(static_cast<float>(x)); }
double to_double(BFloat16 x) { return static_cast<double>(static_cast<float>(x)); }

struct Weights {
  std::vector<uint8_t> codes;        // [n, column_bytes]
  std::vector<float> scales, zeros;  // [n, blocks]
  std::vector<double> values;        // [k, n]
  std::vector<uint32_t> packed;
  GemmFormat format;
};

/// Random weights, as they are and packed for the target in use.
Weights weights(const Case& c) {
  std::mt19937 gen(static_cast<uint32_t>(c.n * 31 + c.k));
  BitsFormat f{.bits = c.bits, .offsets = c.zeros, .block = c.block, .panels = gemm_format()};
  const int64_t blocks = f.blocks(c.k), column_bytes = c.block == 0 ? (c.k * c.bits + 7) / 8 : blocks * c.block * c.bits / 8;
  Weights w;
  w.codes.resize(static_cast<size_t>(c.n * column_bytes));
  for (uint8_t& x : w.codes) x = static_cast<uint8_t>(gen());
  std::uniform_real_distribution<float> scale(0.01f, 0.1f);
  for (int64_t i = 0; i < c.n * blocks; ++i) {
    w.scales.push_back(scale(gen));
    w.zeros.push_back(c.zeros ? static_cast<float>(gen() % (1u << c.bits)) : static_cast<float>(1 << (c.bits - 1)));
  }
  w.values.resize(static_cast<size_t>(c.k * c.n));
  for (int64_t n = 0; n < c.n; ++n) {
    for (int64_t k = 0; k < c.k; ++k) {
      const auto s = static_cast<size_t>(n * blocks + (c.block == 0 ? 0 : k / c.block));
      const int code = w.codes[static_cast<size_t>(n * column_bytes + k * c.bits / 8)] >> (k * c.bits % 8) & ((1 << c.bits) - 1);
      w.values[static_cast<size_t>(k * c.n + n)] = (code - to_double(w.zeros[s])) * to_double(w.scales[s]);
    }
  }
  const int64_t width = panel_width(f.panels);
  w.packed.assign(static_cast<size_t>(f.words(c.k, c.n)), 0xffffffffu);
  for (int64_t column = 0; column < c.n; column += width) {
    pack_bits({.format = f,
               .k = c.k,
               .columns = std::min(width, c.n - column),
               .codes = w.codes.data() + column * column_bytes,
               .column_bytes = column_bytes,
               .scales = w.scales.data() + column * blocks,
               .zeros = w.zeros.data() + column * blocks},
              w.packed.data() + column / width * f.panel_words(c.k));
  }
  w.format = bits_format(f);
  return w;
}

template <class T>
void check(const Case& c) {
  SCOPED_TRACE(describe(c));
  const Weights w = weights(c);
  std::mt19937 gen(7);
  std::uniform_real_distribution<float> dist(-1, 1);
  const auto random = [&](int64_t count) {
    std::vector<T> v;
    for (int64_t i = 0; i < count; ++i) v.push_back(T(dist(gen)));
    return v;
  };
  const std::vector<T> a = random(c.m * c.k), d = random(c.n), r = random(c.m * c.n);
  GemmParams p{.dtype = dtype_of<T>, .format = w.format, .m = c.m, .n = c.n, .k = c.k};
  p.a_m = c.trans_a ? 1 : c.k;
  p.a_k = c.trans_a ? c.m : 1;
  p.c_m = c.n;
  p.addend = c.addend;
  p.d_n = 1;
  p.residual = c.residual;
  if (c.relu) p.low = 0;
  if (c.gelu) p.tile = unary_tile(UnaryKind::kGelu);
  plan_gemm(p);
  std::vector<T> out(static_cast<size_t>(c.m * c.n) + 8, T(7.0f));
  std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4 + 8, NAN);  // as small as may be, with marks behind it
  for (size_t i = scratch.size() - 8; i < scratch.size(); ++i) scratch[i] = 12345;
  const void* src[] = {a.data(), w.packed.data(), d.data(), r.data()};
  void* dst[] = {out.data()};
  Fault fault;
  std::vector<float> shared(takes_few_bits(p) ? static_cast<size_t>(bits_floats(p)) : 0, NAN);
  const Call call{.src = src,
                  .dst = dst,
                  .scratch = reinterpret_cast<std::byte*>(scratch.data()),
                  .fault = &fault,
                  .shared = reinterpret_cast<std::byte*>(shared.data())};
  if (takes_few_bits(p)) GemmBitsRowsPointer()(p, call, {0, 1});
  const Row<GemmParams>* chosen = nullptr;
  for (const auto& row : gemm) {
    if (row.refuse(p) != nullptr) continue;
    chosen = &row;
    break;
  }
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(std::string(chosen->name), c.m <= kFewBitRows ? "GemmFewBits" : "GemmBits");
  const int64_t parts = p.parts();
  for (int64_t i = 0; i < parts; i += 3) chosen->pointer()(p, call, {i, std::min(parts, i + 3)});
  for (size_t i = scratch.size() - 8; i < scratch.size(); ++i) ASSERT_EQ(scratch[i], 12345);
  for (size_t i = 0; i < 8; ++i) ASSERT_EQ(to_double(out[static_cast<size_t>(c.m * c.n) + i]), 7);
  const double unit = std::is_same_v<T, Float16> ? 1e-3 : std::is_same_v<T, BFloat16> ? 8e-3 : 2e-6;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0, size = 1;
      for (int64_t k = 0; k < c.k; ++k) {
        const double x = to_double(a[static_cast<size_t>(i * p.a_m + k * p.a_k)]), y = w.values[static_cast<size_t>(k * c.n + j)];
        sum += x * y;
        size += std::fabs(x) * (std::fabs(y) + 0.1 * (1 << c.bits));  // decoding may subtract the middle late
      }
      const auto at = static_cast<size_t>(i * c.n + j);
      if (c.addend) sum += to_double(d[static_cast<size_t>(j)]);
      if (c.residual) sum += to_double(r[at]);
      if (c.relu) sum = std::max(sum, 0.0);
      if (c.gelu) sum = 0.5 * sum * (1 + std::erf(sum / std::sqrt(2.0)));
      ASSERT_NEAR(to_double(out[at]), sum, unit * size) << i << ", " << j;
    }
  }
}

TEST(GemmBits, EveryShapeOfTile) {
  test::for_each_target([] {
    for (int bits : {2, 4, 8}) {
      for (int64_t m : {1, 2, 3, 4, 5, 8, 9, 15, 29}) {
        for (int64_t n : {1, 8, 16, 17, 33, 70}) {
          for (int64_t k : {1, 15, 16, 40, 77}) check<float>({.m = m, .n = n, .k = k, .bits = bits, .block = 16, .zeros = n % 2 == 1});
        }
      }
    }
  });
}

TEST(GemmBits, BlocksAndDepths) {
  test::for_each_target([] {
    for (int bits : {2, 4, 8}) {
      for (int64_t block : {0, 16, 32, 64, 128, 256, 1024}) {
        for (int64_t m : {1, 4, 20}) {
          for (int64_t k : {100, 384, 385, 1000}) {
            for (bool zeros : {false, true}) check<float>({.m = m, .n = 40, .k = k, .bits = bits, .block = block, .zeros = zeros});
          }
        }
      }
    }
  });
}

TEST(GemmBits, ManyPartsAndEpilogues) {
  test::for_each_target([] {
    for (int64_t m : {1, 6, 130}) {
      check<float>({.m = m, .n = 600, .k = 1500, .addend = true, .residual = true, .relu = true});
      check<float>({.m = m, .n = 600, .k = 400, .zeros = true, .addend = true, .gelu = true});
      check<float>({.m = m, .n = 50, .k = 70, .bits = 8, .addend = true, .trans_a = true});
      for (int bits : {2, 4, 8}) {
        check<Float16>({.m = m, .n = 70, .k = 200, .bits = bits, .zeros = true, .addend = true, .residual = true});
        check<BFloat16>({.m = m, .n = 70, .k = 200, .bits = bits, .addend = true});
      }
    }
  });
}

TEST(GemmBits, InfinityAndNanStayInTheirRow) {
  test::for_each_target([] {
    const Case c{.m = 2, .n = 40, .k = 64};
    const Weights w = weights(c);
    std::vector<float> a(static_cast<size_t>(c.m * c.k), 1), out(static_cast<size_t>(c.m * c.n));
    a[5] = NAN;
    GemmParams p{.format = w.format, .m = c.m, .n = c.n, .k = c.k, .a_m = c.k, .c_m = c.n};
    plan_gemm(p);
    std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4);
    const void* src[] = {a.data(), w.packed.data()};
    void* dst[] = {out.data()};
    Fault fault;
    std::vector<float> shared(static_cast<size_t>(bits_floats(p)));
    const Call call{.src = src,
                    .dst = dst,
                    .scratch = reinterpret_cast<std::byte*>(scratch.data()),
                    .fault = &fault,
                    .shared = reinterpret_cast<std::byte*>(shared.data())};
    GemmBitsRowsPointer()(p, call, {0, 1});
    GemmFewBitsPointer()(p, call, {0, p.parts()});
    for (int64_t j = 0; j < c.n; ++j) {
      EXPECT_TRUE(std::isnan(out[static_cast<size_t>(j)]));
      EXPECT_TRUE(std::isfinite(out[static_cast<size_t>(c.n + j)]));
    }
  });
}

TEST(GemmBits, FormatSaysEverything) {
  for (int bits : {2, 4, 8}) {
    for (int64_t block : {int64_t{0}, int64_t{16}, int64_t{128}, int64_t{1} << 32}) {
      for (bool offsets : {false, true}) {
        for (GemmFormat panels : {GemmFormat::kPanels8, GemmFormat::kPanels16, GemmFormat::kPanels32}) {
          const BitsFormat f{bits, offsets, block, panels}, back = bits_format(bits_format(f));
          EXPECT_TRUE(is_bits(bits_format(f)));
          EXPECT_EQ(back.bits, bits);
          EXPECT_EQ(back.block, block);
          EXPECT_EQ(back.offsets, offsets);
          EXPECT_EQ(back.panels, panels);
        }
      }
    }
  }
  EXPECT_FALSE(is_bits(GemmFormat::kHalves32));
}

}  // namespace
}  // namespace tenon::kernels
