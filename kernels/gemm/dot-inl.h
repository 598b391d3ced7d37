// Dot products of a few rows with many columns. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_DOT_INL_H_
#undef TENON_KERNELS_GEMM_DOT_INL_H_
#else
#define TENON_KERNELS_GEMM_DOT_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/gemm/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What the last k columns add to sums; k is less than a vector holds.
template <class T>
HWY_NOINLINE void AddDots(const T* a, int64_t a_m, const T* b, int64_t b_n, int64_t k, int64_t rows, int64_t columns, T* out,
                          int64_t out_m) {
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      T sum = out[m * out_m + n];
      for (int64_t j = 0; j < k; ++j) sum += a[m * a_m + j] * b[n * b_n + j];
      out[m * out_m + n] = sum;
    }
  }
}

/// Sums of M rows of A times N columns of B, all contiguous along k.
template <class T, int M, int N>
HWY_NOINLINE void Dots(const T* HWY_RESTRICT a, int64_t a_m, const T* HWY_RESTRICT b, int64_t b_n, int64_t k, T* HWY_RESTRICT out,
                       int64_t out_m) {
  constexpr int64_t kLanes = kLanesOf<T>;
  const TileTag<T> d;
  using V = hn::Vec<TileTag<T>>;
  V acc[M][N];
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[m][n] = hn::Zero(d);
  // Rows of A stay in registers where there are enough beside the sums.
  constexpr bool kHeld = M * N + M < vector_registers(kLanesOf<float>);
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    [[maybe_unused]] V x[M];
#pragma GCC unroll 4
    for (int m = 0; kHeld && m < M; ++m) x[m] = hn::LoadU(d, a + m * a_m + i);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const V y = hn::LoadU(d, b + n * b_n + i);
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) acc[m][n] = hn::MulAdd(kHeld ? x[m] : hn::LoadU(d, a + m * a_m + i), y, acc[m][n]);
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      out[m * out_m + n] = hn::GetLane(hn::SumOfLanes(d, acc[m][n]));
    }
  if (i < k) AddDots(a + i, a_m, b + i, b_n, k - i, M, N, out, out_m);
}

template <class T>
using DotsFunction = void (*)(const T*, int64_t, const T*, int64_t, int64_t, T*, int64_t);
template <class T, int N>
inline constexpr DotsFunction<T> kDots[kFewRows + 1] = {nullptr, &Dots<T, 1, N>, &Dots<T, 2, N>, &Dots<T, 3, N>, &Dots<T, 4, N>};

/// out[m, n] for m <= kFewRows rows and any number of columns.
template <class T>
HWY_INLINE void DotRows(int64_t m, const T* a, int64_t a_m, const T* b, int64_t b_n, int64_t k, int64_t columns, T* out, int64_t out_m) {
  int64_t n = 0;
  for (; n + 4 <= columns; n += 4) kDots<T, 4>[m](a, a_m, b + n * b_n, b_n, k, out + n, out_m);
  for (; n < columns; ++n) kDots<T, 1>[m](a, a_m, b + n * b_n, b_n, k, out + n, out_m);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_DOT_INL_H_
