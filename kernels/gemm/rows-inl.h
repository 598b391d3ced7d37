// Moving rows of operands into float32 blocks. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_ROWS_INL_H_
#undef TENON_KERNELS_GEMM_ROWS_INL_H_
#else
#define TENON_KERNELS_GEMM_ROWS_INL_H_
#endif

#include <cstring>

#include "base/dtype.h"
#include "base/small_float.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// dst[i] = src[from + i * step] as float32, for n elements of float32, float16 or bfloat16.
HWY_INLINE void LoadRow(DType dtype, const void* src, int64_t from, int64_t step, int64_t n, float* HWY_RESTRICT dst) {
  const hn::CappedTag<float, 16> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (dtype == DType::kFloat32) {
    const float* s = static_cast<const float*>(src) + from;
    if (step == 1) {
      std::memcpy(dst, s, static_cast<size_t>(n) * sizeof(float));
    } else {
      for (int64_t i = 0; i < n; ++i) dst[i] = s[i * step];
    }
    return;
  }
  const uint16_t* s = static_cast<const uint16_t*>(src) + from;
  int64_t i = 0;
  if (dtype == DType::kBFloat16) {
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const hn::RebindToUnsigned<decltype(d)> d32;
    if (step == 1) {
      for (; i + lanes <= n; i += lanes) {
        hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, s + i)))), d, dst + i);
      }
    }
    for (; i < n; ++i) {
      BFloat16 value;
      value.bits = s[i * step];
      dst[i] = static_cast<float>(value);
    }
  } else {
    const hn::Rebind<hwy::float16_t, decltype(d)> d16;
    if (step == 1) {
      for (; i + lanes <= n; i += lanes) {
        const hn::Rebind<uint16_t, decltype(d)> bits;
        hn::StoreU(hn::PromoteTo(d, hn::BitCast(d16, hn::LoadU(bits, s + i))), d, dst + i);
      }
    }
    for (; i < n; ++i) {
      Float16 value;
      value.bits = s[i * step];
      dst[i] = static_cast<float>(value);
    }
  }
}

/// n float32 to dst[at ...] of float32, float16 or bfloat16.
HWY_INLINE void StoreRow(DType dtype, const float* HWY_RESTRICT src, int64_t n, void* dst, int64_t at) {
  if (dtype == DType::kFloat32) {
    std::memcpy(static_cast<float*>(dst) + at, src, static_cast<size_t>(n) * sizeof(float));
  } else if (dtype == DType::kBFloat16) {
    for (int64_t i = 0; i < n; ++i) static_cast<BFloat16*>(dst)[at + i] = BFloat16(src[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) static_cast<Float16*>(dst)[at + i] = Float16(src[i]);
  }
}

/// dst[i * dst_step + j] = src[j * src_step + i]: rows of dst are columns of src, which is contiguous along i.
HWY_INLINE void Transpose(const float* HWY_RESTRICT src, int64_t src_step, int64_t rows, int64_t columns, float* HWY_RESTRICT dst,
                          int64_t dst_step) {
  const hn::FixedTag<float, 4> d;
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const float* s = src + j * src_step;
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      const auto r0 = hn::LoadU(d, s + i), r1 = hn::LoadU(d, s + src_step + i);
      const auto r2 = hn::LoadU(d, s + 2 * src_step + i), r3 = hn::LoadU(d, s + 3 * src_step + i);
      const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);  // r0[0] r2[0] r0[1] r2[1]
      const auto e = hn::InterleaveUpper(d, r0, r2), f = hn::InterleaveUpper(d, r1, r3);
      float* to = dst + i * dst_step + j;
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
