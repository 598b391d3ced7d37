// Sums become results. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_FINISH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_FINISH_INL_H_
#undef TENON_KERNELS_INTEGER_FINISH_INL_H_
#else
#define TENON_KERNELS_INTEGER_FINISH_INL_H_
#endif

#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/integer/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What happens to sums in the columns of one panel.
struct PanelFinish {
  // sum - (row's zero) * column_sums - (row's centred) * (column's zero), modulo 2^32
  const int32_t* column_sums = nullptr;
  const int32_t* column_zeros = nullptr;  ///< null: `column_zero` for all
  int32_t column_zero = 0;
  // ... times (row's scale) * scales / divisor + bias, or rounded and + zero
  const float* scales = nullptr;  ///< null: `scale` for all
  float scale = 1;
  float divisor = 1;
  const float* bias = nullptr;  ///< null: 0
  int32_t zero = 0;
};

/// And in the rows of a tile.
struct RowsFinish {
  const int32_t* zeros;
  const int32_t* centred;  ///< the row's sum less its zero points
  const float* scales;     ///< not read for sums
};

/// The first `columns` of kPanel sums of a row as To: int32_t (the sums), float, uint8_t or int8_t.
template <class To>
HWY_INLINE void FinishRow(const PanelFinish& f, int32_t row_zero, int32_t centred, float row_scale, const int32_t* HWY_RESTRICT sums,
                          int64_t columns, To* HWY_RESTRICT to) {
  const DI d;
  const hn::RebindToFloat<DI> df;
  alignas(64) To tail[kPanel];
  To* const out = columns == kPanel ? to : tail;
  const auto rows_share = hn::Set(d, static_cast<int32_t>(0u - wrapping_mul(f.column_zero, centred)));
  const auto row_zeros = hn::Set(d, row_zero), centreds = hn::Set(d, centred);
#pragma GCC unroll 2
  for (int64_t i = 0; i < kPanel; i += kLanes) {
    VI v = hn::LoadU(d, sums + i);
    if (row_zero != 0) v = hn::Sub(v, hn::Mul(row_zeros, hn::LoadU(d, f.column_sums + i)));
    v = f.column_zeros != nullptr ? hn::Sub(v, hn::Mul(centreds, hn::LoadU(d, f.column_zeros + i))) : hn::Add(v, rows_share);
    if constexpr (std::is_same_v<To, int32_t>) {
      hn::StoreU(v, d, out + i);
    } else {
      auto scale = hn::Set(df, row_scale);
      if (f.scales != nullptr) {
        scale = hn::Mul(scale, hn::LoadU(df, f.scales + i));
        if constexpr (!std::is_same_v<To, float>) scale = hn::Div(scale, hn::Set(df, f.divisor));
      }
      auto x = hn::Mul(hn::ConvertTo(df, v), scale);
      if constexpr (std::is_same_v<To, float>) {
        if (f.bias != nullptr) x = hn::Add(x, hn::LoadU(df, f.bias + i));
        hn::StoreU(x, df, out + i);
      } else {
        constexpr int32_t kLow = std::numeric_limits<To>::min(), kHigh = std::numeric_limits<To>::max();
        x = hn::Min(hn::Max(x, hn::Set(df, static_cast<float>(kLow - f.zero))), hn::Set(df, static_cast<float>(kHigh - f.zero)));
        const hn::Rebind<To, DI> d8;
        hn::StoreU(hn::DemoteTo(d8, hn::Add(hn::NearestInt(x), hn::Set(d, f.zero))), d8, out + i);
      }
    }
  }
  if (columns != kPanel) std::memcpy(to, tail, static_cast<size_t>(columns) * sizeof(To));
}

/// The first `columns` of each row of a tile, rows of `to` being `stride` elements apart.
template <class To>
HWY_NOINLINE void FinishTile(const PanelFinish& f, const RowsFinish& rows, int64_t height, const int32_t* HWY_RESTRICT sums,
                             int64_t columns, To* HWY_RESTRICT to, int64_t stride) {
  for (int64_t r = 0; r < height; ++r) {
    float scale = 1;
    if constexpr (!std::is_same_v<To, int32_t>) scale = f.scales != nullptr ? rows.scales[r] : rows.scales[r] * f.scale / f.divisor;
    FinishRow(f, rows.zeros[r], rows.centred[r], scale, sums + r * kPanel, columns, to + r * stride);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_FINISH_INL_H_
