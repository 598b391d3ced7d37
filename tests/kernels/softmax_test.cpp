// Softmax over the last axis on every instruction set: each part writes its own rows alone, whatever their length.
#include "kernels/normalization/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "support/targets.h"

namespace tenon::kernels {
namespace {

/// `rows` rows of n numbers, one part, in memory of exactly that size for a sanitizer to watch; `apart` or in place.
template <class T>
void check(SoftmaxKind kind, DType dtype, int64_t rows, int64_t n, bool apart) {
  const auto count = static_cast<size_t>(rows * n);
  const std::unique_ptr<T[]> x(new T[count]), y(new T[count]);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<T>(std::sin(static_cast<double>(i + 1)) * 5);
  const std::vector<T> numbers(x.get(), x.get() + count);
  constexpr int64_t kBefore = 2, kAfter = 3;
  // Rows around those of the part, which stay as they are.
  std::vector<T> all(static_cast<size_t>((kBefore + rows + kAfter) * n), T(77));
  const SoftmaxParams p{.kind = kind, .dtype = dtype, .outer = rows, .n = n, .chunk = rows};
  for (const auto& row : softmax) {
    if (row.refuse(p) != nullptr) continue;
    const void* src[] = {x.get()};
    void* exact[] = {apart ? y.get() : x.get()};
    row.pointer()(p, {.src = src, .dst = exact}, {0, 1});
    void* among[] = {all.data() + kBefore * n};
    const void* again[] = {numbers.data()};
    row.pointer()(p, {.src = again, .dst = among}, {0, 1});
    const T* const got = static_cast<const T*>(exact[0]);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(numbers[static_cast<size_t>(r * n + i)]));
      for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(r * n + i);
        const double log = static_cast<double>(numbers[at]) - std::log(sum), want = kind == SoftmaxKind::kSoftmax ? std::exp(log) : log;
        ASSERT_NEAR(got[at], want, sizeof(T) == 4 ? 4e-6 : 1e-13) << rows << " rows of " << n << ", row " << r << " at " << i;
        ASSERT_EQ(got[at], all[at + static_cast<size_t>(kBefore * n)]);
      }
    }
    for (size_t i = 0; i < all.size(); ++i) {
      const auto row_at = static_cast<int64_t>(i) / n;
      if (row_at >= kBefore && row_at < kBefore + rows) continue;
      ASSERT_EQ(all[i], T(77)) << rows << " rows of " << n << ", outside at " << i;
    }
    return;
  }
  FAIL() << "no kernel";
}

TEST(Softmax, PartsWriteTheirOwnRowsAlone) {
  test::for_each_target([] {
    for (const SoftmaxKind kind : {SoftmaxKind::kSoftmax, SoftmaxKind::kLogSoftmax}) {
      for (const bool apart : {true, false}) {
        for (int64_t n = 1; n <= 40; ++n) {
          for (const int64_t rows : {1, 2, 3, 4, 7, 9, 200}) {
            check<float>(kind, DType::kFloat32, rows, n, apart);
            check<double>(kind, DType::kFloat64, rows, n, apart);
          }
        }
        for (const int64_t n : {63, 64, 65, 127, 128, 129, 600}) {
          check<float>(kind, DType::kFloat32, 9, n, apart);
          check<double>(kind, DType::kFloat64, 9, n, apart);
        }
      }
    }
  });
}

/// A row's results follow from its elements alone, whatever the rows around it hold: other orders of magnitude, infinities, NaN.
TEST(Softmax, RowsDoNotDependOnTheirNeighbours) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr size_t kRows = 6;
  test::for_each_target([] {
    for (const size_t n : {3, 20, 129, 148, 600}) {
      std::vector<float> x(kRows * n), y(x.size()), alone(n);
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(std::sin(static_cast<double>(i + 1)) * 5 + 100.0 * static_cast<double>(i / n));
      for (size_t i = 0; i < n; ++i) x[n + i] = -kInf;                        // row 1: nothing is left
      for (size_t i = 0; i < n; i += 2) x[2 * n + i] = -kInf;                 // row 2: half is left
      x[3 * n + n / 2] = kNaN;                                                // row 3
      for (size_t i = 0; i < n; ++i) x[4 * n + i] = i == 1 ? 1e30f : -1e30f;  // row 4: one stands out
      const auto run = [&](const float* src, float* dst, size_t rows) {
        const auto count = static_cast<int64_t>(rows);
        const SoftmaxParams p{.dtype = DType::kFloat32, .outer = count, .n = static_cast<int64_t>(n), .chunk = count};
        const void* in = src;
        void* out = dst;
        for (const auto& row : softmax) {
          if (row.refuse(p) == nullptr) return row.pointer()(p, {.src = &in, .dst = &out}, {0, 1});
        }
        FAIL() << "no kernel";
      };
      run(x.data(), y.data(), kRows);
      for (size_t r = 0; r < kRows; ++r) {
        run(x.data() + r * n, alone.data(), 1);
        for (size_t i = 0; i < n; ++i) {
          const float got = y[r * n + i];
          if (r == 1 || r == 3) {
            EXPECT_TRUE(std::isnan(got) && std::isnan(alone[i])) << "row " << r << " of " << n << " at " << i;
          } else {
            EXPECT_EQ(got, alone[i]) << "row " << r << " of " << n << " at " << i;
          }
        }
      }
      for (size_t i = 0; i < n; i += 2) EXPECT_EQ(y[2 * n + i], 0);
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(y[4 * n + i], i == 1 ? 1 : 0);
    }
  });
}

}  // namespace
}  // namespace tenon::kernels
