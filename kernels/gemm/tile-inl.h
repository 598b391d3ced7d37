// The innermost loops: a tile of C in registers. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_TILE_INL_H_
#undef TENON_KERNELS_GEMM_TILE_INL_H_
#else
#define TENON_KERNELS_GEMM_TILE_INL_H_
#endif

#include <array>
#include <utility>

#include "hwy/highway.h"
#include "kernels/bound-inl.h"
#include "kernels/gemm/blocking.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;
inline constexpr int64_t kLanes = hn::MaxLanes(DF());
inline constexpr int64_t kPanel = 2 * kLanes;
inline constexpr int kTileRows = static_cast<int>(tile_rows(kLanes));

struct TileArgs {
  const float* a = nullptr;
  int64_t a_m = kRowStride;  ///< floats between rows
  const float* b = nullptr;
  int64_t b_k = kPanel;  ///< unpacked B only: floats between rows
  int64_t k = 0;
  uintptr_t ahead = 0;  ///< packed B only: address to fetch into L2 from while the tile is computed, ahead_k bytes for every k
  uintptr_t ahead_k = 0;
  const float* sums = nullptr;  ///< what earlier blocks of k gave, rows kPanel apart; null for none
  float* c = nullptr;
  int64_t c_m = 0;
  bool finish = true;  ///< the last block of k: apply what follows
  float alpha = 1;
  const float* bias = nullptr;  ///< one panel, or null
  const float* init = nullptr;  ///< a tile to add, or null
  int64_t init_m = 0;
  bool clamp = false;
  float low = 0, high = 0;
};

/// Sums become results: alpha, bias, residual, clamp; then the store.
template <int R, int NV>
HWY_INLINE void StoreTile(const TileArgs& t, VF (&acc)[R][NV]) {
  const DF d;
  if (t.sums != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, t.sums + r * kPanel + v * kLanes));
  }
  if (t.finish) {
    if (t.alpha != 1.0f) {
      const VF alpha = hn::Set(d, t.alpha);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = hn::Mul(acc[r][v], alpha);
    }
    if (t.bias != nullptr) {
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
        const VF bias = hn::LoadU(d, t.bias + v * kLanes);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) acc[r][v] = hn::Add(acc[r][v], bias);
      }
    }
    if (t.init != nullptr) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, t.init + r * t.init_m + v * kLanes));
    }
    if (t.clamp) {
      const VF low = hn::Set(d, t.low), high = hn::Set(d, t.high);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[r][v] = Between(low, acc[r][v], high);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, t.c + r * t.c_m + v * kLanes);
}

/// Adds the products of lane kLane of x, of a row of A each, and a row of B.
template <int kLane, int R, int NV>
HWY_INLINE void AddLane(const VF (&x)[R], const float* HWY_RESTRICT b, VF (&acc)[R][NV]) {
  VF row[NV];
#pragma GCC unroll 2
  for (int v = 0; v < NV; ++v) row[v] = hn::LoadU(DF(), b + v * kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(row[v], hn::Broadcast<kLane>(x[r]), acc[r][v]);
}

/// R rows of A times NV vectors of a packed panel.
template <int R, int NV>
HWY_NOINLINE void PackedTile(const TileArgs& t) {
  const DF d;
  VF acc[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = hn::Zero(d);
  // A pointer to every third row: an address takes one and two strides by itself.
  constexpr int kPointers = (R + 2) / 3;
  const int64_t a_m = t.a_m;
  const float* a[kPointers];
#pragma GCC unroll 5
  for (int j = 0; j < kPointers; ++j) a[j] = t.a + 3 * j * a_m;
  const float* HWY_RESTRICT b = t.b;
  uintptr_t ahead = t.ahead;
  const uintptr_t ahead_k = t.ahead_k;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) __builtin_prefetch(t.c + r * t.c_m + v * kLanes, 1);
  int64_t k = t.k;
  if constexpr (kMultipliesByLane) {
    for (; k >= kLanes; k -= kLanes) {
      VF x[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) x[r] = hn::LoadU(d, a[r / 3] + r % 3 * a_m);
#pragma GCC unroll 5
      for (int j = 0; j < kPointers; ++j) a[j] += kLanes;
      const auto add = [&]<int... kLane>(std::integer_sequence<int, kLane...>) HWY_ATTR __attribute__((always_inline)) {
        ((__builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2), AddLane<kLane>(x, b, acc), b += kPanel, ahead += ahead_k), ...);
      };
      add(std::make_integer_sequence<int, static_cast<int>(kLanes)>());
    }
  }
  for (; k > 0; --k, b += kPanel, ahead += ahead_k) {
    __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2);
    VF row[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) row[v] = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const VF x = hn::Set(d, a[r / 3][r % 3 * a_m]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(x, row[v], acc[r][v]);
    }
#pragma GCC unroll 5
    for (int j = 0; j < kPointers; ++j) ++a[j];
  }
  StoreTile<R, NV>(t, acc);
}

/// R <= kFewRows rows of plain A times one panel whose rows are b_k floats apart. U rows of B at a time have sums of their own, so
/// that one row of A keeps both multipliers busy.
template <int R, int U>
HWY_NOINLINE void FewTile(const TileArgs& t) {
  const DF d;
  VF acc[U][R][2];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) acc[u][r][0] = acc[u][r][1] = hn::Zero(d);
  const float* HWY_RESTRICT a = t.a;
  const float* HWY_RESTRICT b = t.b;
  const int64_t b_k = t.b_k, a_m = t.a_m;
  int64_t k = t.k;
  for (; k >= U; k -= U, a += U) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u, b += b_k) {
      const VF b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const VF x = hn::Set(d, a[r * a_m + u]);
        acc[u][r][0] = hn::MulAdd(x, b0, acc[u][r][0]);
        acc[u][r][1] = hn::MulAdd(x, b1, acc[u][r][1]);
      }
    }
  }
  for (; k > 0; --k, ++a, b += b_k) {
    const VF b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const VF x = hn::Set(d, a[r * a_m]);
      acc[0][r][0] = hn::MulAdd(x, b0, acc[0][r][0]);
      acc[0][r][1] = hn::MulAdd(x, b1, acc[0][r][1]);
    }
  }
#pragma GCC unroll 4
  for (int u = 1; u < U; ++u)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      acc[0][r][0] = hn::Add(acc[0][r][0], acc[u][r][0]);
      acc[0][r][1] = hn::Add(acc[0][r][1], acc[u][r][1]);
    }
  StoreTile<R, 2>(t, acc[0]);
}

using TileFunction = void (*)(const TileArgs&);
template <int NV, int... R>
constexpr std::array<TileFunction, sizeof...(R) + 1> PackedTiles(std::integer_sequence<int, R...>) {
  return {nullptr, &PackedTile<R + 1, NV>...};
}
/// By number of rows: whole panels, and panels of which the first half holds all columns.
inline constexpr auto kPackedTiles = PackedTiles<2>(std::make_integer_sequence<int, kTileRows>());
inline constexpr auto kHalfTiles = PackedTiles<1>(std::make_integer_sequence<int, kTileRows>());
inline constexpr TileFunction kFewTiles[kFewRows + 1] = {nullptr, &FewTile<1, 4>, &FewTile<2, 2>, &FewTile<3, 2>, &FewTile<4, 1>};

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_TILE_INL_H_
