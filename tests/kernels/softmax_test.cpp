// Softmax over the last axis on every instruction set: each part writes its own rows alone, whatever their length.
#include "kernels/normalization/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
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

}  // namespace
}  // namespace tenon::kernels
