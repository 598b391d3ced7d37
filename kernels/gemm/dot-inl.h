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

/// Sums of M rows of A times N columns of B, all contiguous along k.
template <int M, int N>
HWY_NOINLINE void Dots(const float* HWY_RESTRICT a, int64_t a_m, const float* HWY_RESTRICT b, int64_t b_n, int64_t k,
                       float* HWY_RESTRICT out, int64_t out_m) {
  const DF d;
  VF acc[M][N];
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[m][n] = hn::Zero(d);
  // Rows of A stay in registers where there are enough beside the sums.
  constexpr bool kHeld = M * N + M < vector_registers(kLanes);
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    [[maybe_unused]] VF x[M];
#pragma GCC unroll 4
    for (int m = 0; kHeld && m < M; ++m) x[m] = hn::LoadU(d, a + m * a_m + i);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const VF y = hn::LoadU(d, b + n * b_n + i);
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) acc[m][n] = hn::MulAdd(kHeld ? x[m] : hn::LoadU(d, a + m * a_m + i), y, acc[m][n]);
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      float sum = hn::GetLane(hn::SumOfLanes(d, acc[m][n]));
      for (int64_t j = i; j < k; ++j) sum += a[m * a_m + j] * b[n * b_n + j];
      out[m * out_m + n] = sum;
    }
}

using DotsFunction = void (*)(const float*, int64_t, const float*, int64_t, int64_t, float*, int64_t);
inline constexpr DotsFunction kDots4[kFewRows + 1] = {nullptr, &Dots<1, 4>, &Dots<2, 4>, &Dots<3, 4>, &Dots<4, 4>};
inline constexpr DotsFunction kDots1[kFewRows + 1] = {nullptr, &Dots<1, 1>, &Dots<2, 1>, &Dots<3, 1>, &Dots<4, 1>};

/// out[m, n] for m <= kFewRows rows and any number of columns.
HWY_INLINE void DotRows(int64_t m, const float* a, int64_t a_m, const float* b, int64_t b_n, int64_t k, int64_t columns, float* out,
                        int64_t out_m) {
  int64_t n = 0;
  for (; n + 4 <= columns; n += 4) kDots4[m](a, a_m, b + n * b_n, b_n, k, out + n, out_m);
  for (; n < columns; ++n) kDots1[m](a, a_m, b + n * b_n, b_n, k, out + n, out_m);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_DOT_INL_H_
