// Every row of the gemm table on every instruction set, against sums in double.
#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/small_float.h"
#include "kernels/gemm/blocking.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

using test::for_each_target;

struct Case {
  int64_t m, n, k;
  bool trans_a = false, trans_b = false;
  bool packed = false;
  bool halves = true;  // those of 16 bits as they are, where the instruction set takes them
  int addend = 0;      // 0 none, 1 row, 2 matrix, 3 column, 4 scalar
  bool residual = false;
  float alpha = 1, beta = 1;
  bool relu = false;
  bool gelu = false;
  int64_t batch = 1;
  bool shared_batch_b = false;
};

std::string describe(const Case& c) {
  return std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) + (c.trans_a ? " tA" : "") + (c.trans_b ? " tB" : "") +
         (c.packed ? " packed" : "") + (c.halves ? "" : " as floats") + " addend " + std::to_string(c.addend) +
         (c.residual ? " residual" : "") + (c.relu ? " relu" : "") + (c.gelu ? " gelu" : "") + " batch " + std::to_string(c.batch);
}

template <class T>
double to_double(T x) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(x));
  } else {
    return static_cast<double>(x);
  }
}

template <class T>
std::vector<T> random_values(int64_t count, uint32_t seed) {
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) {
    if constexpr (std::is_integral_v<T>) {
      x = static_cast<T>(gen() % 64) - (std::is_signed_v<T> ? 32 : 0);
    } else {
      x = static_cast<T>(dist(gen));
    }
  }
  return v;
}

void pack(const GemmParams& p, const void* b, int64_t batch, int64_t batch_step, std::vector<float>& out) {
  GemmPackParams pack{.dtype = p.dtype, .format = p.format, .input = 0, .to_shared = false, .k = p.k, .n = p.n, .b_k = p.b_k, .b_n = p.b_n};
  pack.batch_rank = 1;
  pack.batch[0] = batch;
  pack.b_batch[0] = batch_step;
  const int64_t bytes = packed_elements(p.format, p.k, p.n, p.dtype) * batch * packed_bytes(p.format, p.dtype);
  out.assign(static_cast<size_t>((bytes + 3) / 4 + 16), NAN);
  const void* src[] = {b};
  void* dst[] = {out.data()};
  Fault fault;
  Call call{.src = src, .dst = dst, .fault = &fault};
  const int64_t parts = pack.parts();
  for (int64_t i = 0; i < parts; ++i) GemmPackPointer()(pack, call, {i, i + 1});
}

template <class T>
void check(const Case& c);
/// In both types that have kernels of their own.
void check_both(const Case& c) {
  check<float>(c);
  check<double>(c);
}

template <class T>
void check(const Case& c) {
  SCOPED_TRACE(describe(c));
  const int64_t m = c.m, n = c.n, k = c.k, batch_b = c.shared_batch_b ? 1 : c.batch;
  const auto a = random_values<T>(m * k * c.batch, 1), b = random_values<T>(k * n * batch_b, 2);
  const auto d = random_values<T>(std::max<int64_t>(1, m * n), 3), r = random_values<T>(m * n * c.batch, 4);
  GemmParams p{.dtype = dtype_of<T>, .m = m, .n = n, .k = k};
  p.a_m = c.trans_a ? 1 : k;
  p.a_k = c.trans_a ? m : 1;
  p.b_k = c.trans_b ? 1 : n;
  p.b_n = c.trans_b ? k : 1;
  p.c_m = n;
  p.addend = c.addend != 0;
  p.d_m = c.addend == 2 ? n : c.addend == 3 ? 1 : 0;
  p.d_n = c.addend == 1 || c.addend == 2 ? 1 : 0;
  p.residual = c.residual;
  p.alpha = c.alpha;
  p.beta = c.beta;
  if (c.relu) p.low = 0;
  if (c.gelu) p.tile = unary_tile(UnaryKind::kGelu);
  p.batch_rank = 1;
  p.batch[0] = c.batch;
  p.a_batch[0] = m * k;
  p.b_batch[0] = c.shared_batch_b ? 0 : k * n;
  p.c_batch[0] = m * n;
  std::vector<float> panels;
  if (c.packed) {
    p.format = c.halves ? weights_format(p.dtype) : gemm_format();
    pack(p, b.data(), batch_b, k * n, panels);
    p.b_batch[0] = c.shared_batch_b ? 0 : packed_elements(p.format, k, n, p.dtype);
  }
  plan_gemm(p);

  std::vector<double> expected(static_cast<size_t>(m * n * c.batch)), magnitude(expected.size());
  for (int64_t g = 0; g < c.batch; ++g) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, size = 0;
        for (int64_t l = 0; l < k; ++l) {
          const double term = to_double(a[static_cast<size_t>(g * m * k + i * p.a_m + l * p.a_k)]) *
                              to_double(b[static_cast<size_t>((c.shared_batch_b ? 0 : g * k * n) + l * p.b_k + j * p.b_n)]);
          sum += term;
          size += std::fabs(term);
        }
        sum *= c.alpha;
        if (c.addend != 0) sum += c.beta * to_double(d[static_cast<size_t>(i * p.d_m + j * p.d_n)]);
        const auto at = static_cast<size_t>(g * m * n + i * n + j);
        if (c.residual) sum += to_double(r[at]);
        if (c.relu) sum = std::max(sum, 0.0);
        if (c.gelu) sum = 0.5 * sum * (1 + std::erf(sum / std::sqrt(2.0)));
        expected[at] = sum;
        magnitude[at] = size + 1;
      }
    }
  }

  for (const auto& row : gemm) {
    if (row.refuse(p) != nullptr) continue;
    SCOPED_TRACE(row.name);
    std::vector<T> out(static_cast<size_t>(m * n * c.batch) + 8, T(7));
    // The smallest buffer that the kernel may ask for, with marks behind it.
    std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4 + 8, NAN);
    for (size_t i = scratch.size() - 8; i < scratch.size(); ++i) scratch[i] = 12345;
    const void* src[] = {a.data(), c.packed ? static_cast<const void*>(panels.data()) : b.data(), d.data(), r.data()};
    void* dst[] = {out.data()};
    Fault fault;
    Call call{.src = src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(scratch.data()), .fault = &fault};
    const int64_t parts = p.parts();
    for (int64_t i = 0; i < parts; i += 3) row.pointer()(p, call, {i, std::min(parts, i + 3)});
    for (size_t i = scratch.size() - 8; i < scratch.size(); ++i) ASSERT_EQ(scratch[i], 12345);
    for (size_t i = 0; i < 8; ++i) ASSERT_EQ(to_double(out[expected.size() + i]), 7);
    const double unit = std::is_same_v<T, Float16> ? 1e-3 : std::is_same_v<T, BFloat16> ? 8e-3 : std::is_same_v<T, double> ? 1e-14 : 2e-6;
    for (size_t i = 0; i < expected.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        ASSERT_EQ(out[i], static_cast<T>(static_cast<int64_t>(expected[i]))) << i;
      } else {
        ASSERT_NEAR(to_double(out[i]), expected[i], unit * magnitude[i]) << i;
      }
    }
  }
}

TEST(Gemm, EveryShapeOfTile) {
  for_each_target([] {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 29}) {
      for (int64_t n : {1, 2, 5, 8, 15, 16, 17, 31, 32, 33, 70}) {
        for (int64_t k : {1, 3, 17}) {
          for (bool packed : {false, true}) check_both({.m = m, .n = n, .k = k, .packed = packed, .addend = 1});
        }
      }
    }
  });
}

TEST(Gemm, WeightsOf16Bits) {
  const auto check_halves = [](const Case& c) {
    check<Float16>(c);
    check<BFloat16>(c);
  };
  for_each_target([&] {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 29}) {
      for (int64_t n : {1, 8, 15, 16, 17, 32, 33, 70}) {
        for (int64_t k : {1, 2, 3, 5, 64, 67}) {
          for (bool trans_b : {false, true}) check_halves({.m = m, .n = n, .k = k, .trans_b = trans_b, .packed = true, .addend = 1});
        }
      }
    }
    for (int64_t m : {1, 3, 5, 20, 130}) {
      for (int64_t k : {127, 129, 768, 769, 1024, 1025, 1535, 1537, 2048, 2049, 3100}) {
        check_halves({.m = m, .n = 90, .k = k, .packed = true, .addend = 1, .residual = true, .alpha = 0.5f, .gelu = true});
        check_halves({.m = m, .n = 90, .k = k, .trans_a = true, .trans_b = true, .packed = true, .relu = true});
      }
      for (bool shared : {false, true}) {
        check_halves({.m = m, .n = 33, .k = 21, .trans_b = true, .packed = true, .addend = 1, .batch = 5, .shared_batch_b = shared});
      }
      check_halves({.m = m, .n = 40, .k = 0, .packed = true, .addend = 1});
      check_halves({.m = m, .n = 40, .k = 31, .packed = true, .halves = false});
    }
  });
}

// The element beside the last of an odd number of rows is of no effect, whatever it is.
TEST(Gemm, PairsPastTheEndOfARowAreZeros) {
  for_each_target([] {
    for (int64_t m : {2, 7}) {
      constexpr int64_t n = 40, k = 5;
      std::vector<BFloat16> a(static_cast<size_t>(m * (k + 1)), BFloat16(1.0f)), b(static_cast<size_t>(n * k), BFloat16(1.0f));
      for (int64_t r = 0; r < m; ++r) a[static_cast<size_t>(r * (k + 1) + k)] = BFloat16(INFINITY);
      GemmParams p{.dtype = DType::kBFloat16, .format = weights_format(DType::kBFloat16), .m = m, .n = n, .k = k};
      p.a_m = k + 1, p.b_k = p.c_m = n;
      std::vector<float> panels;
      pack(p, b.data(), 1, 0, panels);
      plan_gemm(p);
      for (const auto& row : gemm) {
        if (row.refuse(p) != nullptr) continue;
        std::vector<BFloat16> c(static_cast<size_t>(m * n));
        std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4, NAN);
        const void* src[] = {a.data(), panels.data()};
        void* dst[] = {c.data()};
        Fault fault;
        Call call{.src = src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(scratch.data()), .fault = &fault};
        row.pointer()(p, call, {0, p.parts()});
        for (const BFloat16 x : c) ASSERT_EQ(static_cast<float>(x), 5) << row.name;
      }
    }
  });
}

TEST(Gemm, DeepAndManyParts) {
  for_each_target([] {
    check_both({.m = 250, .n = 300, .k = 385, .packed = true, .addend = 1});
    for (int64_t m : {1, 4, 5, 40}) {
      for (int64_t k : {383, 384, 385, 512, 513, 767, 768, 769, 1023, 1024, 1025, 1600}) {
        for (bool relu : {false, true}) check_both({.m = m, .n = 300, .k = k, .packed = true, .addend = 1, .residual = true, .relu = relu});
      }
    }
    check_both({.m = 30, .n = 40, .k = 9000, .packed = true});
  });
}

TEST(Gemm, PanelsOfAPartInGroups) {
  constexpr int64_t kRows = 160, kColumns = 1000, kDepth = 1600;
  const auto a = random_values<float>(kRows * kDepth, 1), b = random_values<float>(kDepth * kColumns, 2);
  for_each_target([&] {
    GemmParams p{.m = kRows, .n = kColumns, .k = kDepth, .a_m = kDepth, .a_k = 1, .b_k = kColumns, .b_n = 1, .c_m = kColumns};
    p.format = gemm_format();
    std::vector<float> panels, c(static_cast<size_t>(kRows * kColumns));
    pack(p, b.data(), 1, 0, panels);
    plan_gemm(p);
    p.col_parts = 1;
    ASSERT_LT(group_panels(p), ceil_div(p.n, p.panel));
    std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4, NAN);
    const void* src[] = {a.data(), panels.data()};
    void* dst[] = {c.data()};
    Fault fault;
    Call call{.src = src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(scratch.data()), .fault = &fault};
    GemmPanelsPointer()(p, call, {0, p.parts()});
    for (int64_t i = 0; i < kRows; i += 7) {
      for (int64_t j = i % 11; j < kColumns; j += 11) {
        double sum = 0, size = 1;
        for (int64_t k = 0; k < kDepth; ++k) {
          const double term = static_cast<double>(a[static_cast<size_t>(i * kDepth + k)]) * b[static_cast<size_t>(k * kColumns + j)];
          sum += term, size += std::fabs(term);
        }
        ASSERT_NEAR(c[static_cast<size_t>(i * kColumns + j)], sum, 2e-6 * size) << i << " " << j;
      }
    }
  });
}

TEST(Gemm, TransposedOperands) {
  for_each_target([] {
    for (int64_t m : {1, 3, 6, 37}) {
      for (int64_t n : {1, 3, 6, 37, 64}) {
        for (int64_t k : {1, 5, 64, 401}) {
          for (int t = 0; t < 4; ++t) {
            for (bool packed : {false, true})
              check_both({.m = m, .n = n, .k = k, .trans_a = (t & 1) != 0, .trans_b = (t & 2) != 0, .packed = packed});
          }
        }
      }
    }
  });
}

TEST(Gemm, Addends) {
  for_each_target([] {
    for (int64_t m : {2, 9}) {
      for (int64_t n : {7, 32, 45}) {
        for (int addend = 0; addend <= 4; ++addend) {
          for (bool residual : {false, true}) {
            for (float beta : {1.0f, -0.5f}) {
              for (bool packed : {false, true}) {
                check_both(
                    {.m = m, .n = n, .k = 11, .packed = packed, .addend = addend, .residual = residual, .alpha = 1.5f, .beta = beta});
                check<float>({.m = m, .n = n, .k = 11, .packed = packed, .addend = addend, .residual = residual, .gelu = true});
              }
            }
          }
        }
      }
    }
  });
}

TEST(Gemm, Batches) {
  for_each_target([] {
    for (int64_t m : {1, 4, 20}) {
      for (bool packed : {false, true}) {
        for (bool shared : {false, true})
          check_both({.m = m, .n = 33, .k = 20, .trans_b = true, .packed = packed, .batch = 5, .shared_batch_b = shared});
      }
    }
  });
}

TEST(Gemm, EveryDtype) {
  for_each_target([] {
    for (bool packed : {false, true}) {
      for (int64_t m : {2, 17}) {
        for (bool trans : {false, true}) {
          const Case c{.m = m, .n = 37, .k = 401, .trans_a = trans, .trans_b = trans, .packed = packed, .addend = 1, .residual = true};
          check<Float16>(c);
          check<BFloat16>(c);
        }
      }
    }
    const Case c{.m = 5, .n = 70, .k = 33, .trans_b = true, .addend = 1, .residual = true};
    check<double>(c);
    check<int32_t>(c);
    check<uint32_t>(c);
    check<int64_t>(c);
    check<uint64_t>(c);
  });
}

TEST(Gemm, IntegersWrapAndScale) {
  const std::vector<int32_t> a{INT32_MAX, 2}, b{2, 3};
  std::vector<int32_t> c(1);
  GemmParams p{.dtype = DType::kInt32, .m = 1, .n = 1, .k = 2, .a_m = 2, .b_k = 1, .b_n = 1, .c_m = 1};
  plan_gemm(p);
  const void* src[] = {a.data(), b.data()};
  void* dst[] = {c.data()};
  Fault fault;
  Call call{.src = src, .dst = dst, .fault = &fault};
  GemmReferencePointer()(p, call, {0, 1});
  EXPECT_EQ(c[0], 4);  // 2 * (2^31 - 1) + 6 modulo 2^32
  p.alpha = 1e30f;
  GemmReferencePointer()(p, call, {0, 1});
  EXPECT_EQ(c[0], 0);
}

TEST(Gemm, EmptyDims) {
  for_each_target([] {
    for (bool packed : {false, true}) {
      check_both({.m = 3, .n = 40, .k = 0, .packed = packed, .addend = 1});
      check_both({.m = 20, .n = 40, .k = 0, .packed = packed, .addend = 1});
      check_both({.m = 0, .n = 40, .k = 3, .packed = packed});
      check_both({.m = 3, .n = 0, .k = 3, .packed = packed});
    }
  });
}

TEST(Gemm, NanAndInfinityPass) {
  for_each_target([] {
    for (bool packed : {false, true}) {
      for (int64_t m : {1, 8}) {
        std::vector<float> a(static_cast<size_t>(m), 1), b(40, 1), c(static_cast<size_t>(m * 40));
        b[0] = NAN;
        b[1] = INFINITY;
        b[39] = NAN;
        GemmParams p{.m = m, .n = 40, .k = 1, .a_m = 1, .b_k = 40, .c_m = 40, .low = 0, .high = 6};
        std::vector<float> panels;
        if (packed) {
          p.format = gemm_format();
          pack(p, b.data(), 1, 0, panels);
        }
        plan_gemm(p);
        std::vector<float> scratch(static_cast<size_t>(gemm_scratch(p)) / 4);
        const void* src[] = {a.data(), packed ? panels.data() : b.data()};
        void* dst[] = {c.data()};
        Fault fault;
        Call call{.src = src, .dst = dst, .scratch = reinterpret_cast<std::byte*>(scratch.data()), .fault = &fault};
        for (const auto& row : gemm) {
          if (row.refuse(p) != nullptr) continue;
          row.pointer()(p, call, {0, p.parts()});
          EXPECT_TRUE(std::isnan(c[0])) << row.name;
          EXPECT_EQ(c[1], 6) << row.name;
          EXPECT_EQ(c[2], 1) << row.name;
          EXPECT_TRUE(std::isnan(c[39])) << row.name;
        }
      }
    }
  });
}

TEST(Gemm, FewRowsFunction) {
  for_each_target([] {
    for (int64_t m : {1, 2, 3, 4, 7, 16}) {
      for (int64_t n : {5, 32, 50}) {
        const int64_t k = 37;
        const auto a = random_values<float>(m * k, 1), b = random_values<float>(k * n, 2), bias = random_values<float>(n, 3);
        GemmParams p{.format = gemm_format(), .m = m, .n = n, .k = k, .b_k = n};
        std::vector<float> panels, tile(static_cast<size_t>(m * panel_width(gemm_format()))), c(static_cast<size_t>(m * n));
        pack(p, b.data(), 1, 0, panels);
        gemm_few()({.a = a.data(),
                    .a_m = k,
                    .panels = panels.data(),
                    .bias = bias.data(),
                    .c = c.data(),
                    .c_m = n,
                    .tile = tile.data(),
                    .m = m,
                    .n = n,
                    .k = k});
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double sum = bias[static_cast<size_t>(j)];
            for (int64_t l = 0; l < k; ++l)
              sum += static_cast<double>(a[static_cast<size_t>(i * k + l)]) * static_cast<double>(b[static_cast<size_t>(l * n + j)]);
            ASSERT_NEAR(c[static_cast<size_t>(i * n + j)], sum, 1e-4);
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace tenon::kernels
