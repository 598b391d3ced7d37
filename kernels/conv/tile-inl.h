// The inner part of float32 convolution: R output pixels x V vectors of filters in registers. Included once per Highway target.
#if defined(TENON_KERNELS_CONV_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_CONV_TILE_INL_H_
#undef TENON_KERNELS_CONV_TILE_INL_H_
#else
#define TENON_KERNELS_CONV_TILE_INL_H_
#endif

#include <type_traits>
#include <utility>

#include "hwy/highway.h"
#include "kernels/bound-inl.h"
#include "kernels/conv/conv.h"
#include "kernels/registers.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(DF()));
inline constexpr int kBlock = kLanes >= 16 ? 16 : 8;
inline constexpr int kVectorsABlock = kBlock / kLanes;
/// Vectors of filters in the widest tile, and blocks.
inline constexpr int kMaxVectors = 4;
inline constexpr int kMaxBlocks = kMaxVectors / kVectorsABlock;
/// Most pixels of a tile of v vectors: as many accumulators as leave room for v weights and a broadcast, or for a vector of each pixel.
constexpr int MaxPixels(int v) {
  constexpr int by_lane[] = {12, 8, 6, 5}, registers32[] = {14, 12, 8, 6}, registers16[] = {8, 6, 4, 3};
  return (kMultipliesByLane ? by_lane : vector_registers(kLanes) == 32 ? registers32 : registers16)[v - 1];
}

/// Where the inputs of R pixels lie: anywhere, or `step` floats apart, which spares the registers of R addresses.
template <int R>
struct Scattered {
  const float* pixel[R];
  HWY_INLINE const float& at(int r, int64_t i) const { return pixel[r][i]; }
};
template <int step>
struct Regular {
  const float* first;
  HWY_INLINE const float& at(int r, int64_t i) const { return first[r * step + i]; }
};

using One = std::integral_constant<int64_t, 1>;

/// acc[r][v] += lane kLane of x[r] * w[v].
template <int kLane, int R, int V>
HWY_INLINE void AccumulateLane(const VF (&x)[R], const float* HWY_RESTRICT w, VF (&acc)[R][V]) {
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const VF weight = hn::LoadU(DF(), w + v * kLanes);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r][v] = hn::MulAdd(weight, hn::Broadcast<kLane>(x[r]), acc[r][v]);
  }
}

/// acc[r][v] += x(r)[i * step] * w[i][v] for i in [0, n).
template <int R, int V, class Pixels, class Step, class Count>
HWY_INLINE void Accumulate(const Pixels& x, Step step, const float* HWY_RESTRICT w, Count n, VF (&acc)[R][V]) {
  const DF d;
  int64_t i = 0;
  if constexpr (kMultipliesByLane && std::is_same_v<Step, One>) {
    for (; i + kLanes <= n; i += kLanes, w += kLanes * V * kLanes) {
      VF value[R];
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) value[r] = hn::LoadU(d, &x.at(r, i));
      const auto add = [&]<int... kLane>(std::integer_sequence<int, kLane...>) HWY_ATTR __attribute__((always_inline)) {
        (AccumulateLane<kLane>(value, w + kLane * V * kLanes, acc), ...);
      };
      add(std::make_integer_sequence<int, kLanes>());
    }
  }
  for (; i < n; ++i) {
    // The smaller side is held in registers while the other one passes.
    if constexpr (R < V) {
      VF value[R];
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) value[r] = hn::Set(d, x.at(r, i * step));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const VF weight = hn::LoadU(d, w + v * kLanes);
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) acc[r][v] = hn::MulAdd(value[r], weight, acc[r][v]);
      }
    } else {
      VF weights[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) weights[v] = hn::LoadU(d, w + v * kLanes);
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) {
        const VF value = hn::Set(d, x.at(r, i * step));
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(value, weights[v], acc[r][v]);
      }
    }
    w += V * kLanes;
  }
}

/// Pixels of a tile lie `pitch` floats apart, blocks of filters `plane`. Offset of vector v from vector 0 of a tile:
HWY_INLINE int64_t VectorOffset(int v, int64_t plane) { return (v / kVectorsABlock) * plane + (v % kVectorsABlock) * kLanes; }

template <int R, int V>
HWY_INLINE void LoadTile(const float* HWY_RESTRICT from, int64_t pitch, int64_t plane, VF (&acc)[R][V]) {
  const DF d;
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const float* vector = from + VectorOffset(v, plane);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r][v] = hn::LoadU(d, vector + r * pitch);
  }
}

template <int R, int V>
HWY_INLINE void FillTile(const float* HWY_RESTRICT bias, VF (&acc)[R][V]) {
  const DF d;
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const VF value = hn::LoadU(d, bias + v * kLanes);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r][v] = value;
  }
}

template <int R, int V>
HWY_INLINE void StoreTile(const VF (&acc)[R][V], float* HWY_RESTRICT to, int64_t pitch, int64_t plane) {
  const DF d;
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    float* vector = to + VectorOffset(v, plane);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) hn::StoreU(acc[r][v], d, vector + r * pitch);
  }
}

/// Residual and clamp in registers, store, then the remaining function on what was just stored.
template <int R, int V>
HWY_INLINE void FinishTile(const Epilogue& e, VF (&acc)[R][V], const float* residual, float* to, int64_t pitch, int64_t plane) {
  const DF d;
  if (residual != nullptr) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const float* vector = residual + VectorOffset(v, plane);
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, vector + r * pitch));
    }
  }
  const VF low = hn::Set(d, e.low);
  const VF high = hn::Set(d, e.high);
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r][v] = Between(low, acc[r][v], high);
  }
  StoreTile<R, V>(acc, to, pitch, plane);
  if (HWY_UNLIKELY(e.tile != nullptr)) {
    for (int v = 0; v < V; v += kVectorsABlock) {
      float* block = to + VectorOffset(v, plane);
      if (pitch == kBlock) {
        e.tile(e.alpha, e.beta, block, block, R * kBlock);
      } else {
        for (int r = 0; r < R; ++r) e.tile(e.alpha, e.beta, block + r * pitch, block + r * pitch, kBlock);
      }
    }
  }
}

/// Pixels [begin, end) of tile i when n pixels are cut into equal tiles of at most `most`.
struct Pieces {
  int64_t n, count;
  Pieces(int64_t pixels, int64_t most) : n(pixels), count((pixels + most - 1) / most) {}
  int64_t begin(int64_t i) const { return i * n / count; }
};

/// bias[0, n) for filters [first, first + n), zeros beyond `filters` and where there is no bias.
HWY_INLINE void CopyBias(const float* bias, int64_t first, int64_t n, int64_t filters, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = bias != nullptr && first + i < filters ? bias[first + i] : 0.0f;
}

/// Which image, run of rows and tile of filters (of all groups' `tiles`) a part is.
struct Place {
  int64_t image, rows, tile;
};
HWY_INLINE Place PlaceOf(const ConvParams& p, int64_t part, int64_t tiles) {
  const int64_t row_parts = p.row_parts();
  if (p.rows_first) return {part / tiles / row_parts, part / tiles % row_parts, part % tiles};
  return {part / row_parts % p.batch, part % row_parts, part / row_parts / p.batch};
}

inline const float* Operand(const Call& call, int i, int64_t shared) {
  return shared >= 0 ? reinterpret_cast<const float*>(call.shared + shared) : call.in<float>(i);
}
inline float* Result0(const Call& call, int64_t shared) {
  return shared >= 0 ? reinterpret_cast<float*>(call.shared + shared) : call.out<float>(0);
}

/// The taps t with 0 <= first + t * dilation < size.
struct TapRange {
  int64_t begin, end;
};
HWY_INLINE TapRange ValidTaps(int64_t first, int64_t dilation, int64_t taps, int64_t size) {
  TapRange range{0, taps};
  if (first < 0) range.begin = (-first + dilation - 1) / dilation;
  if (first + (taps - 1) * dilation >= size) range.end = first >= size ? 0 : (size - 1 - first) / dilation + 1;
  if (range.begin > range.end) range.begin = range.end;
  return range;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
