// Sums become results. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_FINISH_INL_H_
#undef TENON_KERNELS_INTEGER_FINISH_INL_H_
#else
#define TENON_KERNELS_INTEGER_FINISH_INL_H_
#endif

#include <cstring>

#include "hwy/highway.h"
#include "kernels/integer/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What happens to a row of sums. Pointers hold one panel.
struct RowFinish {
  DType to = DType::kInt32;
  // sum - row_zero * column_sums - centred * column_zeros + constant, modulo 2^32
  int32_t row_zero = 0;
  const int32_t* column_sums = nullptr;   ///< null where row_zero is 0
  int32_t centred = 0;                    ///< the row's sum less its zero points
  const int32_t* column_zeros = nullptr;  ///< null: one zero point, which `constant` sees to
  int32_t constant = 0;
  // ... times scale * scales / divisor + bias, or rounded and + zero
  float scale = 1;
  const float* scales = nullptr;  ///< null: 1, and the scale is divided already
  float divisor = 1;
  const float* bias = nullptr;  ///< null: 0
  int32_t zero = 0;
};

/// The first `columns` of kPanel sums to `to`.
HWY_INLINE void FinishRow(const RowFinish& f, const int32_t* HWY_RESTRICT sums, int64_t columns, void* HWY_RESTRICT to) {
  const DI d;
  const hn::RebindToFloat<DI> df;
  alignas(64) int32_t tail[kPanel];
  const size_t width = f.to == DType::kInt32 || f.to == DType::kFloat32 ? 4 : 1;
  uint8_t* const out = columns == kPanel ? static_cast<uint8_t*>(to) : reinterpret_cast<uint8_t*>(tail);
  for (int64_t i = 0; i < kPanel; i += kLanes) {
    VI v = hn::Add(hn::LoadU(d, sums + i), hn::Set(d, f.constant));
    if (f.column_sums != nullptr) v = hn::Sub(v, hn::Mul(hn::Set(d, f.row_zero), hn::LoadU(d, f.column_sums + i)));
    if (f.column_zeros != nullptr) v = hn::Sub(v, hn::Mul(hn::Set(d, f.centred), hn::LoadU(d, f.column_zeros + i)));
    uint8_t* const at = out + static_cast<size_t>(i) * width;
    if (f.to == DType::kInt32) {
      hn::StoreU(v, d, reinterpret_cast<int32_t*>(at));
      continue;
    }
    auto scale = hn::Set(df, f.scale);
    if (f.scales != nullptr) {
      scale = hn::Mul(scale, hn::LoadU(df, f.scales + i));
      if (f.to != DType::kFloat32) scale = hn::Div(scale, hn::Set(df, f.divisor));
    }
    auto x = hn::Mul(hn::ConvertTo(df, v), scale);
    if (f.to == DType::kFloat32) {
      if (f.bias != nullptr) x = hn::Add(x, hn::LoadU(df, f.bias + i));
      hn::StoreU(x, df, reinterpret_cast<float*>(at));
      continue;
    }
    const int32_t low = f.to == DType::kUint8 ? 0 : -128;
    x = hn::Min(hn::Max(x, hn::Set(df, static_cast<float>(low - f.zero))), hn::Set(df, static_cast<float>(low + 255 - f.zero)));
    v = hn::Add(hn::NearestInt(x), hn::Set(d, f.zero));
    if (f.to == DType::kUint8) {
      const hn::Rebind<uint8_t, DI> d8;
      hn::StoreU(hn::DemoteTo(d8, v), d8, at);
    } else {
      const hn::Rebind<int8_t, DI> d8;
      hn::StoreU(hn::DemoteTo(d8, v), d8, reinterpret_cast<int8_t*>(at));
    }
  }
  if (columns != kPanel) std::memcpy(to, tail, static_cast<size_t>(columns) * width);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_FINISH_INL_H_
