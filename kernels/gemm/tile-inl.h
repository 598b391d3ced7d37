// The innermost loops: a tile of C in registers. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_TILE_INL_H_
#undef TENON_KERNELS_GEMM_TILE_INL_H_
#else
#define TENON_KERNELS_GEMM_TILE_INL_H_
#endif

#include <array>
#include <type_traits>
#include <utility>

#include "hwy/highway.h"
#include "kernels/bound-inl.h"
#include "kernels/gemm/blocking.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Vectors of float or double, and how many columns a panel of them has.
template <class T>
using TileTag = hn::CappedTag<T, 64 / sizeof(T)>;
template <class T>
inline constexpr int64_t kLanesOf = hn::MaxLanes(TileTag<T>());
template <class T>
inline constexpr int64_t kPanelOf = 2 * kLanesOf<T>;
using DF = TileTag<float>;
using VF = hn::Vec<DF>;
inline constexpr int64_t kLanes = kLanesOf<float>;
inline constexpr int64_t kPanel = kPanelOf<float>;
inline constexpr int kTileRows = static_cast<int>(tile_rows(kLanes));

/// Steps count elements. What follows the sums (from `alpha` on) is of float only; of double, it is done where the tile has been stored.
template <class T>
struct TileArgsOf {
  const T* a = nullptr;
  int64_t a_m = row_stride(sizeof(T));  ///< between rows
  const T* b = nullptr;
  int64_t b_k = kPanelOf<T>;  ///< unpacked B only: between rows
  int64_t k = 0;
  uintptr_t ahead = 0;  ///< packed B only: address to fetch into L2 from while the tile is computed, ahead_k bytes for every k
  uintptr_t ahead_k = 0;
  const T* sums = nullptr;  ///< what earlier blocks of k gave, rows a panel apart; null for none
  T* c = nullptr;
  int64_t c_m = 0;
  bool finish = true;  ///< the last block of k: apply what follows
  float alpha = 1;
  const float* bias = nullptr;  ///< one panel, or null
  const float* init = nullptr;  ///< a tile to add, or null
  int64_t init_m = 0;
  bool clamp = false;
  float low = 0, high = 0;
};
using TileArgs = TileArgsOf<float>;

/// Sums become results: alpha, bias, residual, clamp.
template <int R, int NV>
HWY_INLINE void FinishTile(const TileArgs& t, VF (&acc)[R][NV]) {
  const DF d;
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

template <class T, int R, int NV>
HWY_INLINE void StoreTile(const TileArgsOf<T>& t, hn::Vec<TileTag<T>> (&acc)[R][NV]) {
  constexpr TileTag<T> d;
  if (t.sums != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, t.sums + r * kPanelOf<T> + v * kLanesOf<T>));
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (t.finish) FinishTile<R, NV>(t, acc);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, t.c + r * t.c_m + v * kLanesOf<T>);
}

/// What a tile does with a lane of A, of a row of B and of its sums, and what B is: `kHalf` where its elements have half the bytes of T.
struct MultiplyAdd {
  static constexpr bool kHalf = false;
  template <class T>
  static HWY_INLINE auto Row(const T* b, int64_t i) {
    return hn::LoadU(TileTag<T>(), b + i);
  }
  template <class V>
  static HWY_INLINE V Of(V x, V row, V sum) {
    return hn::MulAdd(x, row, sum);
  }
};
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
/// B is of float16.
struct WidenMultiplyAdd : MultiplyAdd {
  static constexpr bool kHalf = true;
  static HWY_INLINE VF Row(const float* b, int64_t i) {
    return hn::PromoteTo(DF(), hn::LoadU(hn::Rebind<hwy::float16_t, DF>(), reinterpret_cast<const hwy::float16_t*>(b) + i));
  }
};
#endif
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
/// Lanes of A and B are pairs of bfloat16, of which both products are added (VDPBF16PS). As an assembler line because none of this Highway's
/// targets switches the instruction on.
struct MultiplyAddPairs : MultiplyAdd {
  static HWY_INLINE VF Of(VF x, VF row, VF sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(row.raw), "v"(x.raw));
    return sum;
  }
};
#endif

/// Adds the products of lane kLane of x, of a row of A each, and a row of B.
template <class T, int kLane, int R, int NV, class V = hn::Vec<TileTag<T>>>
HWY_INLINE void AddLane(const V (&x)[R], const T* HWY_RESTRICT b, V (&acc)[R][NV]) {
  V row[NV];
#pragma GCC unroll 2
  for (int v = 0; v < NV; ++v) row[v] = hn::LoadU(TileTag<T>(), b + v * kLanesOf<T>);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(row[v], hn::Broadcast<kLane>(x[r]), acc[r][v]);
}

/// R rows of A times NV vectors of a packed panel.
template <class T, class Product, int R, int NV>
HWY_NOINLINE void PackedTile(const TileArgsOf<T>& t) {
  constexpr int64_t kLanes = kLanesOf<T>, kPanel = kPanelOf<T> / (Product::kHalf ? 2 : 1);  // of B, in elements of T
  const TileTag<T> d;
  using V = hn::Vec<TileTag<T>>;
  V acc[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[r][v] = hn::Zero(d);
  // A pointer to every third row: an address takes one and two strides by itself.
  constexpr int kPointers = (R + 2) / 3;
  const int64_t a_m = t.a_m;
  const T* a[kPointers];
#pragma GCC unroll 5
  for (int j = 0; j < kPointers; ++j) a[j] = t.a + 3 * j * a_m;
  const T* HWY_RESTRICT b = t.b;
  uintptr_t ahead = t.ahead;
  const uintptr_t ahead_k = t.ahead_k;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) __builtin_prefetch(t.c + r * t.c_m + v * kLanes, 1);
  int64_t k = t.k;
  if constexpr (kMultipliesByLane) {
    for (; k >= kLanes; k -= kLanes) {
      V x[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) x[r] = hn::LoadU(d, a[r / 3] + r % 3 * a_m);
#pragma GCC unroll 5
      for (int j = 0; j < kPointers; ++j) a[j] += kLanes;
      const auto add = [&]<int... kLane>(std::integer_sequence<int, kLane...>) HWY_ATTR __attribute__((always_inline)) {
        ((__builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2), AddLane<T, kLane>(x, b, acc), b += kPanelOf<T>, ahead += ahead_k),
         ...);
      };
      add(std::make_integer_sequence<int, static_cast<int>(kLanes)>());
    }
  }
  const auto add_row = [&](int i) HWY_ATTR __attribute__((always_inline)) {
    V row[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) row[v] = Product::Row(b, i * kPanelOf<T> + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const V x = hn::Set(d, a[r / 3][r % 3 * a_m + i]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = Product::Of(x, row[v], acc[r][v]);
    }
  };
  if constexpr (kTileRows == 14) {
    // Tall tiles have many pointers, and the units that multiply move them too: once for several rows of B.
    constexpr int kRowsAtOnce = 4, kAlone = 8;
    const uintptr_t ahead_3k = 3 * ahead_k;
    for (; k >= kRowsAtOnce; k -= kRowsAtOnce, b += kRowsAtOnce * kPanel, ahead += kRowsAtOnce * ahead_k) {
      const uintptr_t next[kRowsAtOnce] = {ahead, ahead + ahead_k, ahead + 2 * ahead_k, ahead + ahead_3k};
#pragma GCC unroll 4
      for (int i = 0; i < kRowsAtOnce; ++i) {
        __builtin_prefetch(reinterpret_cast<const void*>(next[i]), 0, 2);
        // A tile that is alone with its panel fetches two lines for each row of B.
        if constexpr (R <= kAlone && NV == 2) __builtin_prefetch(reinterpret_cast<const void*>(next[i] + kLineBytes), 0, 2);
        add_row(i);
      }
#pragma GCC unroll 5
      for (int j = 0; j < kPointers; ++j) a[j] += kRowsAtOnce;
    }
  }
#pragma GCC unroll 1
  for (; k > 0; --k, b += kPanel, ahead += ahead_k) {
    __builtin_prefetch(reinterpret_cast<const void*>(ahead), 0, 2);
    add_row(0);
#pragma GCC unroll 5
    for (int j = 0; j < kPointers; ++j) ++a[j];
  }
  StoreTile<T, R, NV>(t, acc);
}

/// R <= kFewRows rows of plain A times one panel whose rows are b_k floats apart. U rows of B at a time have sums of their own, so
/// that one row of A keeps both multipliers busy.
template <class T, class Product, int R, int U>
HWY_NOINLINE void FewTile(const TileArgsOf<T>& t) {
  constexpr int64_t kLanes = kLanesOf<T>;
  const TileTag<T> d;
  using V = hn::Vec<TileTag<T>>;
  V acc[U][R][2];
#pragma GCC unroll 4
  for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) acc[u][r][0] = acc[u][r][1] = hn::Zero(d);
  const T* HWY_RESTRICT a = t.a;
  const T* HWY_RESTRICT b = t.b;
  const int64_t b_k = t.b_k, a_m = t.a_m;
  int64_t k = t.k;
  for (; k >= U; k -= U, a += U) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u, b += b_k) {
      const V b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const V x = hn::Set(d, a[r * a_m + u]);
        acc[u][r][0] = Product::Of(x, b0, acc[u][r][0]);
        acc[u][r][1] = Product::Of(x, b1, acc[u][r][1]);
      }
    }
  }
  for (; k > 0; --k, ++a, b += b_k) {
    const V b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const V x = hn::Set(d, a[r * a_m]);
      acc[0][r][0] = Product::Of(x, b0, acc[0][r][0]);
      acc[0][r][1] = Product::Of(x, b1, acc[0][r][1]);
    }
  }
#pragma GCC unroll 4
  for (int u = 1; u < U; ++u)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      acc[0][r][0] = hn::Add(acc[0][r][0], acc[u][r][0]);
      acc[0][r][1] = hn::Add(acc[0][r][1], acc[u][r][1]);
    }
  StoreTile<T, R, 2>(t, acc[0]);
}

template <class T>
using TileFunctionOf = void (*)(const TileArgsOf<T>&);
using TileFunction = TileFunctionOf<float>;
template <class T, class Product, int NV, int... R>
constexpr std::array<TileFunctionOf<T>, sizeof...(R) + 1> PackedTiles(std::integer_sequence<int, R...>) {
  return {nullptr, &PackedTile<T, Product, R + 1, NV>...};
}
/// By number of rows: whole panels, and panels of which the first half holds all columns.
template <class T, class Product = MultiplyAdd>
inline constexpr auto kPackedTilesOf = PackedTiles<T, Product, 2>(std::make_integer_sequence<int, kTileRows>());
template <class T>
inline constexpr auto kHalfTilesOf = PackedTiles<T, MultiplyAdd, 1>(std::make_integer_sequence<int, kTileRows>());
inline constexpr auto& kPackedTiles = kPackedTilesOf<float>;
inline constexpr auto& kHalfTiles = kHalfTilesOf<float>;
template <class T, class P = MultiplyAdd>
inline constexpr TileFunctionOf<T> kFewTilesOf[kFewRows + 1] = {nullptr, &FewTile<T, P, 1, 4>, &FewTile<T, P, 2, 2>, &FewTile<T, P, 3, 2>,
                                                                &FewTile<T, P, 4, std::is_same_v<P, MultiplyAdd> ? 1 : 2>};
inline constexpr auto& kFewTiles = kFewTilesOf<float>;

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_TILE_INL_H_
