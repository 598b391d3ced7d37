// The inner part of float32 convolution: R output pixels x V vectors of filters in registers. Included once per Highway target.
#if defined(TENON_KERNELS_CONV_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_CONV_TILE_INL_H_
#undef TENON_KERNELS_CONV_TILE_INL_H_
#else
#define TENON_KERNELS_CONV_TILE_INL_H_
#endif

#include <array>
#include <cstring>
#include <limits>
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

/// Where the inputs of pixels lie: `step` floats apart.
template <int step>
struct Regular {
  const float* first;
  HWY_INLINE const float& at(int r, int64_t i) const { return first[r * step + i]; }
  HWY_INLINE void Advance(int64_t n) { first += n; }
};
/// The same of R pixels. A pointer to every third: an address takes one and two steps by itself.
template <int R>
struct Strided {
  static constexpr int kPointers = (R + 2) / 3;
  const float* third[kPointers];
  int64_t step;

  HWY_INLINE Strided(const float* first, int64_t pixel_step) : step(pixel_step) {
#pragma GCC unroll 5
    for (int j = 0; j < kPointers; ++j) third[j] = first + 3 * j * pixel_step;
  }
  HWY_INLINE const float& at(int r, int64_t i) const { return third[r / 3][r % 3 * step + i]; }
  HWY_INLINE void Advance(int64_t n) {
#pragma GCC unroll 5
    for (int j = 0; j < kPointers; ++j) third[j] += n;
  }
};

using One = std::integral_constant<int64_t, 1>;
/// Steps of Accumulate written out at once.
inline constexpr int kUsualSteps = 4;

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

/// acc[r][v] += x.at(r, i) * w[v].
template <int R, int V, class Pixels>
HWY_INLINE void AccumulateOne(const Pixels& x, int64_t i, const float* HWY_RESTRICT w, VF (&acc)[R][V]) {
  const DF d;
  // The smaller side is held in registers while the other one passes.
  if constexpr (R < V) {
    VF value[R];
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) value[r] = hn::Set(d, x.at(r, i));
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
      const VF value = hn::Set(d, x.at(r, i));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) acc[r][v] = hn::MulAdd(value, weights[v], acc[r][v]);
    }
  }
}

/// acc[r][v] += x.at(r, i * step) * w[i][v] for i in [0, n).
template <int R, int V, int kStepsAtOnce = kUsualSteps, class Pixels, class Step>
HWY_INLINE void Accumulate(Pixels x, Step step, const float* HWY_RESTRICT w, int64_t n, VF (&acc)[R][V]) {
  if constexpr (std::is_same_v<Step, One> && (kMultipliesByLane || kStepsAtOnce > 1)) {
    // Written out for so many at once: of vectors of pixels where a lane is multiplied, of few steps otherwise.
    constexpr int kAtOnce = kMultipliesByLane ? kLanes : kStepsAtOnce;
#pragma GCC unroll 1
    for (; n >= kAtOnce; n -= kAtOnce, w += kAtOnce * V * kLanes, x.Advance(kAtOnce)) {
      if constexpr (kMultipliesByLane) {
        VF value[R];
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) value[r] = hn::LoadU(DF(), &x.at(r, 0));
        const auto add = [&]<int... kLane>(std::integer_sequence<int, kLane...>) HWY_ATTR __attribute__((always_inline)) {
          (AccumulateLane<kLane>(value, w + kLane * V * kLanes, acc), ...);
        };
        add(std::make_integer_sequence<int, kLanes>());
      } else {
#pragma GCC unroll 8
        for (int i = 0; i < kAtOnce; ++i) AccumulateOne<R, V>(x, i, w + i * V * kLanes, acc);
      }
    }
  }
#pragma GCC unroll 1
  for (; n > 0; --n, w += V * kLanes, x.Advance(step)) AccumulateOne<R, V>(x, 0, w, acc);
}

/// Pixels of a tile lie a block apart, blocks of filters `plane` floats. Offset of vector v from vector 0 of a tile:
HWY_INLINE int64_t VectorOffset(int v, int64_t plane) { return (v / kVectorsABlock) * plane + (v % kVectorsABlock) * kLanes; }

template <int R, int V>
HWY_INLINE void LoadTile(const float* HWY_RESTRICT from, int64_t plane, VF (&acc)[R][V]) {
  const DF d;
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    const float* vector = from + VectorOffset(v, plane);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r][v] = hn::LoadU(d, vector + r * kBlock);
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
HWY_INLINE void StoreTile(const VF (&acc)[R][V], float* HWY_RESTRICT to, int64_t plane) {
  const DF d;
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    float* vector = to + VectorOffset(v, plane);
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) hn::StoreU(acc[r][v], d, vector + r * kBlock);
  }
}

/// What the sums of a run of tiles begin with and become.
struct Results {
  const float* bias = nullptr;         ///< null: the sums begin with what lies in `to`
  float* to = nullptr;                 ///< first pixel of the first block
  int64_t pitch = kBlock;              ///< floats between pixels
  int64_t plane = 0;                   ///< floats between blocks
  const float* residual = nullptr;     ///< laid out as `to`, or null
  const Epilogue* epilogue = nullptr;  ///< null while other sums are to follow

  HWY_INLINE void Advance(int64_t pixels) {
    to += pixels * pitch;
    if (residual != nullptr) residual += pixels * pitch;
  }
};

/// Floats between pixels and between blocks.
struct Apart {
  int64_t pitch, plane;
};
/// Copies so many pixels of so many blocks.
HWY_NOINLINE inline void CopyPixels(const float* from, Apart from_apart, float* to, Apart to_apart, int64_t pixels, int64_t blocks) {
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t r = 0; r < pixels; ++r) {
      std::memcpy(to + b * to_apart.plane + r * to_apart.pitch, from + b * from_apart.plane + r * from_apart.pitch, kBlock * sizeof(float));
    }
  }
}

template <int R, int V>
HWY_INLINE void BeginTile(const Results& t, VF (&acc)[R][V]) {
  if (HWY_LIKELY(t.bias != nullptr)) return FillTile<R, V>(t.bias, acc);
  if (HWY_LIKELY(t.pitch == kBlock)) return LoadTile<R, V>(t.to, t.plane, acc);
  alignas(64) float near[R * V * kLanes];
  CopyPixels(t.to, {t.pitch, t.plane}, near, {kBlock, R * kBlock}, R, V / kVectorsABlock);
  LoadTile<R, V>(near, R * kBlock, acc);
}

/// Residual and clamp in registers, store, then the remaining function on what was just stored.
template <int R, int V>
HWY_INLINE void EndTile(const Results& t, VF (&acc)[R][V]) {
  const DF d;
  // Pixels that lie further apart go through a copy.
  alignas(64) float near[R * V * kLanes];
  const bool apart = t.pitch != kBlock;
  float* const to = apart ? near : t.to;
  const int64_t plane = apart ? R * kBlock : t.plane;
  if (t.epilogue != nullptr) {
    const Epilogue& e = *t.epilogue;
    if (t.residual != nullptr) {
      if (HWY_UNLIKELY(apart)) CopyPixels(t.residual, {t.pitch, t.plane}, near, {kBlock, R * kBlock}, R, V / kVectorsABlock);
      const float* const residual = apart ? near : t.residual;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const float* vector = residual + VectorOffset(v, plane);
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) acc[r][v] = hn::Add(acc[r][v], hn::LoadU(d, vector + r * kBlock));
      }
    }
    if (e.low > -std::numeric_limits<float>::infinity()) {
      const VF low = hn::Set(d, e.low);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) acc[r][v] = AtLeast(low, acc[r][v]);
      }
    }
    if (e.high < std::numeric_limits<float>::infinity()) {
      const VF high = hn::Set(d, e.high);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) acc[r][v] = AtMost(high, acc[r][v]);
      }
    }
  }
  StoreTile<R, V>(acc, to, plane);
  if (HWY_UNLIKELY(t.epilogue != nullptr && t.epilogue->tile != nullptr)) {
    const Epilogue& e = *t.epilogue;
    for (int b = 0; b < V / kVectorsABlock; ++b) e.tile(e.alpha, e.beta, to + b * plane, to + b * plane, R * kBlock);
  }
  if (HWY_UNLIKELY(apart)) CopyPixels(near, {kBlock, R * kBlock}, t.to, {t.pitch, t.plane}, R, V / kVectorsABlock);
}

/// Tiles::kOf<R, V> by R.
template <class Tiles, int V, int... R>
constexpr auto TilesByPixels(std::integer_sequence<int, R...>) {
  return std::array{decltype(Tiles::template kOf<1, V>){}, Tiles::template kOf<R + 1, V>...};
}

template <class Tiles, int V, class F>
HWY_INLINE void EachRunOf(int64_t width, F&& f) {
  static constexpr auto kTiles = TilesByPixels<Tiles, V>(std::make_integer_sequence<int, MaxPixels(V)>());
  const int64_t count = (width + MaxPixels(V) - 1) / MaxPixels(V), small = width / count, larger = width % count;
  if (larger > 0) f(kTiles.data()[small + 1], 0, larger);
  f(kTiles.data()[small], larger * (small + 1), count - larger);
}

/// Covers `width` pixels with runs of tiles of at most two sizes, which differ by one: calls f(Tiles::kOf<R, V>, first pixel, tiles) for
/// each, V being `vectors`.
template <class Tiles, class F>
HWY_INLINE void EachRun(int64_t vectors, int64_t width, F&& f) {
  if (width <= 0) return;
  if constexpr (kVectorsABlock == 1) {
    if (vectors == 1) return EachRunOf<Tiles, 1>(width, f);
    if (vectors == 3) return EachRunOf<Tiles, 3>(width, f);
  }
  if (vectors == 2) return EachRunOf<Tiles, 2>(width, f);
  EachRunOf<Tiles, 4>(width, f);
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
