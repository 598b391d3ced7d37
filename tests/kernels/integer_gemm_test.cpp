// Every row of the table of integer products on every instruction set, against sums in 64 bits.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/integer/integer.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

using test::for_each_target;

struct Case {
  int64_t m, n, k;
  DType a = DType::kUint8, b = DType::kInt8, c = DType::kInt32;
  int zeros = 1;        // 0 none, 1 one an operand, 2 one a row of A and a column of B
  bool scales = false;  // one a row of A and a column of B
  bool bias = false;
  int64_t batch = 1;
  bool extremes = false;  // only the ends of the range
};

std::string describe(const Case& c) {
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + " " + std::string(name_of(c.a)) + " " +
         std::string(name_of(c.b)) + " to " + std::string(name_of(c.c)) + " zeros " + std::to_string(c.zeros) +
         (c.scales ? " scales" : "") + (c.bias ? " bias" : "") + " batch " + std::to_string(c.batch);
}

std::vector<uint8_t> random_bytes(int64_t count, uint32_t seed, bool extremes = false) {
  std::mt19937 gen(seed);
  std::vector<uint8_t> v(static_cast<size_t>(count));
  for (uint8_t& x : v) x = extremes ? (gen() % 2 != 0 ? 0x80 : gen() % 2 != 0 ? 0x7f : 0xff) : static_cast<uint8_t>(gen());
  return v;
}

int64_t value(DType dtype, uint8_t byte) { return dtype == DType::kInt8 ? static_cast<int8_t>(byte) : byte; }

void check(const Case& c) {
  SCOPED_TRACE(describe(c));
  const auto a = random_bytes(c.batch * c.m * c.k + 1, 1, c.extremes), b = random_bytes(c.batch * c.k * c.n + 1, 2, c.extremes);
  const auto az = random_bytes(std::max<int64_t>(1, c.m), 3), bz = random_bytes(std::max<int64_t>(1, c.n), 4), cz = random_bytes(1, 5);
  std::vector<float> as(static_cast<size_t>(c.m)), bs(static_cast<size_t>(c.n)), bias(bs.size());
  for (size_t i = 0; i < as.size(); ++i) as[i] = 0.01f + 0.001f * static_cast<float>(i);
  for (size_t i = 0; i < bs.size(); ++i) bs[i] = 0.02f + 0.003f * static_cast<float>(i % 7), bias[i] = static_cast<float>(i % 5) - 2;
  const float cs = 3.7f;

  IntegerGemmParams p{.a = c.a, .b = c.b, .c = c.c, .m = c.m, .n = c.n, .k = c.k};
  p.a_zero = p.b_zero = c.zeros != 0;
  p.c_zero = true;
  p.a_zeros.step = p.b_zeros.step = c.zeros == 2 ? 1 : 0;
  p.a_scales.step = p.b_scales.step = c.scales ? 1 : 0;
  p.bias = c.bias;
  p.batch_rank = 1;
  p.batch[0] = c.batch;
  p.a_batch[0] = c.m * c.k;
  p.c_batch[0] = c.m * c.n;

  std::vector<uint8_t> packed(static_cast<size_t>(integer_panels_bytes(integer_panels(), c.k, c.n) * c.batch) + 64, 0xcd);
  auto* panels = packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64) % 64;
  {
    IntegerPackParams q{.dtype = c.b, .format = integer_panels(), .input = 0, .to_shared = false, .k = c.k, .n = c.n, .rows = c.k};
    q.matrices = c.batch;
    const void* src[] = {b.data()};
    void* dst[] = {panels};
    Fault fault;
    const Call call{.src = src, .dst = dst, .fault = &fault};
    for (int64_t i = 0; i < q.parts(); ++i) IntegerPackPointer()(q, call, {i, i + 1});
  }

  for (const bool pack : {true, false}) {
    p.format = pack ? integer_panels() : IntegerFormat::kNone;
    p.b_batch[0] = pack ? integer_panels_bytes(p.format, c.k, c.n) : c.k * c.n;
    plan_integer_gemm(p);
    for (const auto& row : integer_gemm) {
      if (row.refuse(p) != nullptr) continue;
      SCOPED_TRACE(row.name);
      const size_t count = static_cast<size_t>(c.batch * c.m * c.n), width = c.c == DType::kInt32 || c.c == DType::kFloat32 ? 4 : 1;
      std::vector<uint8_t> out(count * width + 8, 0x77);
      const size_t need = static_cast<size_t>(integer_gemm_scratch(p));
      std::vector<uint8_t> scratch(need + 72, 0x55);
      auto* room = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
      const void* src[] = {a.data(), as.data(), az.data(),  pack ? static_cast<const void*>(panels) : b.data(), bs.data(), bz.data(),
                           &cs,      cz.data(), bias.data()};
      void* dst[] = {out.data()};
      Fault fault;
      const Call call{.src = src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(room), .fault = &fault};
      for (int64_t i = 0; i < p.parts(); i += 3) row.pointer()(p, call, {i, std::min(p.parts(), i + 3)});
      for (size_t i = 0; i < 8; ++i) ASSERT_EQ(room[need + i], 0x55);
      for (size_t i = 0; i < 8; ++i) ASSERT_EQ(out[count * width + i], 0x77);
      for (int64_t g = 0; g < c.batch; ++g) {
        for (int64_t i = 0; i < c.m; ++i) {
          for (int64_t j = 0; j < c.n; ++j) {
            const int64_t za = c.zeros == 0 ? 0 : value(c.a, az[c.zeros == 2 ? static_cast<size_t>(i) : 0]);
            const int64_t zb = c.zeros == 0 ? 0 : value(c.b, bz[c.zeros == 2 ? static_cast<size_t>(j) : 0]);
            int64_t sum = 0;
            for (int64_t l = 0; l < c.k; ++l) {
              sum += (value(c.a, a[static_cast<size_t>((g * c.m + i) * c.k + l)]) - za) *
                     (value(c.b, b[static_cast<size_t>((g * c.k + l) * c.n + j)]) - zb);
            }
            const auto at = static_cast<size_t>((g * c.m + i) * c.n + j);
            const double scaled = static_cast<double>(sum) * static_cast<double>(as[c.scales ? static_cast<size_t>(i) : 0]) *
                                  static_cast<double>(bs[c.scales ? static_cast<size_t>(j) : 0]);
            if (c.c == DType::kInt32) {
              ASSERT_EQ(reinterpret_cast<const int32_t*>(out.data())[at], static_cast<int32_t>(static_cast<uint64_t>(sum)))
                  << i << " " << j;
            } else if (c.c == DType::kFloat32) {
              const double want = scaled + (c.bias ? static_cast<double>(bias[static_cast<size_t>(j)]) : 0);
              ASSERT_NEAR(static_cast<double>(reinterpret_cast<const float*>(out.data())[at]), want, 1e-6 * (std::fabs(scaled) + 10));
            } else {
              // Rounded from float32, so a tie in double may fall either way.
              const double exact = scaled / static_cast<double>(cs) + static_cast<double>(value(c.c, cz[0])),
                           low = c.c == DType::kInt8 ? -128 : 0;
              ASSERT_NEAR(static_cast<double>(value(c.c, out[at])), std::min(std::max(exact, low), low + 255), 0.5001);
            }
          }
        }
      }
    }
  }
}

constexpr DType kBoth[] = {DType::kUint8, DType::kInt8};

TEST(IntegerGemm, EveryShapeOfTile) {
  for_each_target([] {
    for (const int64_t m : {1, 2, 3, 4, 6, 7, 13, 14, 15, 29}) {
      for (const int64_t n : {1, 7, 8, 16, 31, 32, 33, 70}) {
        for (const int64_t k : {1, 4, 7, 18}) check({.m = m, .n = n, .k = k});
      }
    }
  });
}

TEST(IntegerGemm, EverySignAndZeroPoint) {
  for_each_target([] {
    for (const DType a : kBoth) {
      for (const DType b : kBoth) {
        for (const int zeros : {0, 1, 2}) {
          check({.m = 9, .n = 37, .k = 21, .a = a, .b = b, .zeros = zeros});
          check({.m = 9, .n = 37, .k = 600, .a = a, .b = b, .zeros = zeros, .extremes = true});
        }
      }
    }
  });
}

TEST(IntegerGemm, EveryResult) {
  for_each_target([] {
    for (const DType c : {DType::kInt8, DType::kUint8, DType::kFloat32}) {
      for (const bool scales : {false, true}) {
        for (const int zeros : {0, 1, 2}) {
          check({.m = 17, .n = 45, .k = 33, .c = c, .zeros = zeros, .scales = scales, .bias = c == DType::kFloat32});
        }
      }
    }
  });
}

TEST(IntegerGemm, ManyPartsAndBatches) {
  for_each_target([] {
    check({.m = 230, .n = 130, .k = 515});
    check({.m = 3, .n = 700, .k = 1030, .c = DType::kFloat32, .scales = true, .bias = true});
    check({.m = 5, .n = 9, .k = 10, .batch = 6});
  });
}

TEST(IntegerGemm, SumsWrap) {
  for_each_target([] {
    // 2^16 products of 255 * 127 and more exceed 32 bits by far.
    check({.m = 2, .n = 3, .k = 140000, .zeros = 0, .extremes = true});
  });
}

TEST(IntegerGemm, NothingToSum) {
  for_each_target([] {
    check({.m = 3, .n = 5, .k = 0});
    check({.m = 3, .n = 5, .k = 0, .c = DType::kUint8});
  });
}

TEST(IntegerGemm, PiecesOfRowsPackLikeTheWhole) {
  for_each_target([] {
    const int64_t k = 45, n = 70;
    const auto b = random_bytes(k * n, 9);
    IntegerPackParams q{.format = integer_panels(), .input = 0, .to_shared = false, .k = k, .n = n, .rows = k};
    const auto size = static_cast<size_t>(integer_panels_bytes(q.format, k, n)) / 4;
    std::vector<int32_t> whole(size, 1), pieces(size, 2);
    Fault fault;
    const auto pack = [&](int64_t row, int64_t rows, bool sum, std::vector<int32_t>& to) {
      q.row = row, q.rows = rows, q.sum = sum;
      const void* src[] = {b.data() + row * n};
      void* dst[] = {to.data()};
      IntegerPackPointer()(q, {.src = src, .dst = dst, .fault = &fault}, {0, q.parts()});
    };
    pack(0, k, true, whole);
    pack(24, 21, false, pieces);
    pack(0, 24, false, pieces);
    pack(0, 0, true, pieces);
    EXPECT_EQ(whole, pieces);
  });
}

}  // namespace
}  // namespace tenon::kernels
