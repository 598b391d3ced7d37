// The innermost loops: a tile of sums in registers. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_TILE_INL_H_
#undef TENON_KERNELS_INTEGER_TILE_INL_H_
#else
#define TENON_KERNELS_INTEGER_TILE_INL_H_
#endif

#include <array>
#include <utility>

#include "hwy/highway.h"
#include "kernels/integer/integer.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DI = hn::CappedTag<int32_t, 16>;
using VI = hn::Vec<DI>;
constexpr int64_t kLanes = hn::MaxLanes(DI());
constexpr int64_t kPanel = 2 * kLanes;
constexpr int kTileRows = static_cast<int>(integer_tile_rows(kPanel));

/// sums[r][j] = sum over groups of rows[r] * panel[j], kPanel columns a row.
struct DotArgs {
  const void* rows = nullptr;      ///< one tile of packed rows
  const uint8_t* panel = nullptr;  ///< one packed panel
  int64_t groups = 0;
  int32_t* sums = nullptr;
  uintptr_t ahead = 0;  ///< address to fetch into L2 from while the tile is computed, ahead_k bytes for every group
  uintptr_t ahead_k = 0;
};

/// Rows as signed bytes, multiplied by one instruction.
struct Bytes {
  using Group = int32_t;
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  /// sum + the products of the four bytes of each lane. Raw because this Highway knows no such operation, and as an assembler line because
  /// none of its targets switches the instruction on.
  static HWY_INLINE VI MultiplyAdd(VI sum, VI columns, VI row) {
#if HWY_TARGET <= HWY_AVX3
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(columns.raw), "v"(row.raw));
#else
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum.raw) : "x"(columns.raw), "x"(row.raw));
#endif
    return sum;
  }

  /// Groups are taken U at a time into sums of their own, so that few rows keep the multipliers busy.
  template <int R>
  static HWY_NOINLINE void Tile(const DotArgs& t) {
    constexpr int U = R == 1 ? 4 : R <= 3 ? 2 : 1;
    const DI d;
    VI acc[U][R][2];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) acc[u][r][0] = acc[u][r][1] = hn::Zero(d);
    const Group* HWY_RESTRICT rows = static_cast<const Group*>(t.rows);
    const auto* HWY_RESTRICT panel = reinterpret_cast<const int32_t*>(t.panel);
    uintptr_t ahead = t.ahead;
    const uintptr_t ahead_k = t.ahead_k;
    int64_t k = t.groups;
    for (; k >= U; k -= U) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u, panel += kPanel, rows += R, ahead += ahead_k) {
        __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2);
        const VI b0 = hn::LoadU(d, panel), b1 = hn::LoadU(d, panel + kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const VI x = hn::Set(d, rows[r]);
          acc[u][r][0] = MultiplyAdd(acc[u][r][0], b0, x);
          acc[u][r][1] = MultiplyAdd(acc[u][r][1], b1, x);
        }
      }
    }
    for (; k > 0; --k, panel += kPanel, rows += R) {
      const VI b0 = hn::LoadU(d, panel), b1 = hn::LoadU(d, panel + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const VI x = hn::Set(d, rows[r]);
        acc[0][r][0] = MultiplyAdd(acc[0][r][0], b0, x);
        acc[0][r][1] = MultiplyAdd(acc[0][r][1], b1, x);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        VI sum = acc[0][r][v];
#pragma GCC unroll 4
        for (int u = 1; u < U; ++u) sum = hn::Add(sum, acc[u][r][v]);
        hn::StoreU(sum, d, t.sums + r * kPanel + v * kLanes);
      }
  }
#endif
};

/// Rows as 16-bit words; bytes of columns are widened on their way in. Instructions that multiply bytes saturate sums of two products,
/// those that multiply words do not.
struct Words {
  using Group = int64_t;

  template <int R>
  static HWY_NOINLINE void Tile(const DotArgs& t) {
    const DI d;
    const hn::Repartition<int16_t, DI> d16;
    const hn::Repartition<int64_t, DI> d64;
    const hn::Rebind<uint8_t, decltype(d16)> d8;
    for (int64_t half = 0; half < kPanel; half += kLanes) {
      // A lane holds half the sum of a column; `other` is for instruction sets that take neighbours apart.
      VI acc[R][2], other[R][2];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) acc[r][0] = acc[r][1] = other[r][0] = other[r][1] = hn::Zero(d);
      const Group* HWY_RESTRICT rows = static_cast<const Group*>(t.rows);
      const uint8_t* HWY_RESTRICT panel = t.panel + half * 4;
      uintptr_t ahead = t.ahead;
      const uintptr_t ahead_k = half == 0 ? t.ahead_k : 0;
      for (int64_t k = t.groups; k > 0; --k, panel += kPanel * 4, rows += R, ahead += ahead_k) {
        __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2);
        const auto b0 = hn::PromoteTo(d16, hn::LoadU(d8, panel)), b1 = hn::PromoteTo(d16, hn::LoadU(d8, panel + kLanes * 2));
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          const auto x = hn::BitCast(d16, hn::Set(d64, rows[r]));
          acc[r][0] = hn::ReorderWidenMulAccumulate(d, b0, x, acc[r][0], other[r][0]);
          acc[r][1] = hn::ReorderWidenMulAccumulate(d, b1, x, acc[r][1], other[r][1]);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const VI s0 = hn::RearrangeToOddPlusEven(acc[r][0], other[r][0]), s1 = hn::RearrangeToOddPlusEven(acc[r][1], other[r][1]);
        hn::StoreU(hn::Add(hn::ConcatEven(d, s1, s0), hn::ConcatOdd(d, s1, s0)), d, t.sums + r * kPanel + half);
      }
    }
  }
};

using DotFunction = void (*)(const DotArgs&);
template <class Rows, int... R>
constexpr std::array<DotFunction, sizeof...(R) + 1> DotTiles(std::integer_sequence<int, R...>) {
  return {nullptr, &Rows::template Tile<R + 1>...};
}
/// By number of rows.
template <class Rows>
inline constexpr auto kDotTiles = DotTiles<Rows>(std::make_integer_sequence<int, kTileRows>());

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_TILE_INL_H_
