// Moving rows of operands into float32 blocks. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_ROWS_INL_H_
#undef TENON_KERNELS_GEMM_ROWS_INL_H_
#else
#define TENON_KERNELS_GEMM_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "base/dtype.h"
#include "hwy/highway.h"
#include "kernels/elementwise/half.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// dst[i] = src[i * step] for n elements.
template <class T>
HWY_INLINE void CopyRow(const T* HWY_RESTRICT src, int64_t step, int64_t n, T* HWY_RESTRICT dst) {
  if (step == 1) {
    std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(T));
  } else {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i * step];
  }
}

/// dst[i] = src[from + i * step] for n elements, of float64; or of float32, float16 or bfloat16 as float32.
HWY_NOINLINE inline void LoadRow(DType, const void* src, int64_t from, int64_t step, int64_t n, double* HWY_RESTRICT dst) {
  CopyRow(static_cast<const double*>(src) + from, step, n, dst);
}
HWY_NOINLINE inline void LoadRow(DType dtype, const void* src, int64_t from, int64_t step, int64_t n, float* HWY_RESTRICT dst) {
  if (dtype == DType::kFloat32) return CopyRow(static_cast<const float*>(src) + from, step, n, dst);
  const uint16_t* const s = static_cast<const uint16_t*>(src) + from;
  const Widen widen = widen_half(dtype);
  if (step == 1) return widen(s, dst, n);
  constexpr int64_t kPiece = 64;
  uint16_t piece[kPiece];
  for (int64_t i = 0; i < n; i += kPiece) {
    const int64_t m = std::min(kPiece, n - i);
    CopyRow(s + i * step, step, m, piece);
    widen(piece, dst + i, m);
  }
}

/// Element from + i * step of bfloat16 src as half i of the words of dst, for n elements; after an odd number of them a zero.
HWY_NOINLINE inline void LoadPairs(const void* src, int64_t from, int64_t step, int64_t n, float* dst) {
  auto* const to = reinterpret_cast<uint16_t*>(dst);
  CopyRow(static_cast<const uint16_t*>(src) + from, step, n, to);
  if (n % 2 != 0) to[n] = 0;
}

// What converts halves by one instruction does so a row of a panel at a time, which is too little for a call.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr bool kConvertsHalves = true;
#else
constexpr bool kConvertsHalves = false;
#endif

/// dst[r * dst_step + i] = src[from + r * src_step + i] for n elements of each row, of float32, float16 or bfloat16.
HWY_NOINLINE inline void LoadRows(DType dtype, const void* src, int64_t from, int64_t src_step, int64_t rows, int64_t n,
                                  float* HWY_RESTRICT dst, int64_t dst_step) {
  if constexpr (kConvertsHalves) {
    const hn::ScalableTag<float> d;
    const hn::Rebind<hwy::float16_t, decltype(d)> d16;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    if (dtype == DType::kFloat16 && n % lanes == 0) {
      const auto* s = static_cast<const hwy::float16_t*>(src) + from;
      for (int64_t r = 0; r < rows; ++r, s += src_step, dst += dst_step) {
        for (int64_t i = 0; i < n; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, s + i)), d, dst + i);
      }
      return;
    }
  }
  for (int64_t r = 0; r < rows; ++r) LoadRow(dtype, src, from + r * src_step, 1, n, dst + r * dst_step);
}

/// n float32 to dst[at ...] of float32, float16 or bfloat16.
HWY_INLINE void StoreRow(DType dtype, const float* HWY_RESTRICT src, int64_t n, void* dst, int64_t at) {
  if (dtype == DType::kFloat32) {
    std::memcpy(static_cast<float*>(dst) + at, src, static_cast<size_t>(n) * sizeof(float));
  } else {
    narrow_half(dtype)(src, static_cast<uint16_t*>(dst) + at, n);
  }
}

/// dst[i * dst_step + j] = src[j * src_step + i]: rows of dst are columns of src, which is contiguous along i.
template <class T>
requires(sizeof(T) == 8) HWY_NOINLINE
    void Transpose(const T* HWY_RESTRICT src, int64_t src_step, int64_t rows, int64_t columns, T* HWY_RESTRICT dst, int64_t dst_step) {
  const hn::FixedTag<T, 2> d;
  const int64_t whole = rows / 2 * 2;
  int64_t j = 0;
  for (; j + 2 <= columns; j += 2) {
    const T* s = src + j * src_step;
    for (int64_t i = 0; i < whole; i += 2) {
      const auto r0 = hn::LoadU(d, s + i), r1 = hn::LoadU(d, s + src_step + i);
      T* to = dst + i * dst_step + j;
      hn::StoreU(hn::InterleaveLower(d, r0, r1), d, to);
      hn::StoreU(hn::InterleaveUpper(d, r0, r1), d, to + dst_step);
    }
    for (int64_t i = whole; i < rows; ++i) {
      for (int64_t c = 0; c < 2; ++c) dst[i * dst_step + j + c] = s[c * src_step + i];
    }
  }
  for (; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) dst[i * dst_step + j] = src[j * src_step + i];
  }
}
template <class T>
requires(sizeof(T) == 4) HWY_NOINLINE
    void Transpose(const T* HWY_RESTRICT src, int64_t src_step, int64_t rows, int64_t columns, T* HWY_RESTRICT dst, int64_t dst_step) {
  const hn::FixedTag<T, 4> d;
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const T* s = src + j * src_step;
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      const auto r0 = hn::LoadU(d, s + i), r1 = hn::LoadU(d, s + src_step + i);
      const auto r2 = hn::LoadU(d, s + 2 * src_step + i), r3 = hn::LoadU(d, s + 3 * src_step + i);
      const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);  // r0[0] r2[0] r0[1] r2[1]
      const auto e = hn::InterleaveUpper(d, r0, r2), f = hn::InterleaveUpper(d, r1, r3);
      T* to = dst + i * dst_step + j;
      hn::StoreU(hn::InterleaveLower(d, a, b), d, to);
      hn::StoreU(hn::InterleaveUpper(d, a, b), d, to + dst_step);
      hn::StoreU(hn::InterleaveLower(d, e, f), d, to + 2 * dst_step);
      hn::StoreU(hn::InterleaveUpper(d, e, f), d, to + 3 * dst_step);
    }
    for (; i < rows; ++i) {
      for (int64_t c = 0; c < 4; ++c) dst[i * dst_step + j + c] = s[c * src_step + i];
    }
  }
  for (; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) dst[i * dst_step + j] = src[j * src_step + i];
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_ROWS_INL_H_
