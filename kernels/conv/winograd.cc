// 3x3 convolution with stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural
// networks"): every 6x6 patch of the input becomes 36 numbers, each of which meets its own matrix of transformed weights, and 36 sums
// become a 4x4 patch of the output: 36 products instead of 144.
//
// Weights stay 3x3 in memory. One row of points, one chunk of channels and one tile of filters of them is transformed at a time, into
// scratch that stays in the nearest caches while all patches of the part pass by. A part is a group of patches of one image and a run of
// filter tiles. Where several parts share a group, its patches are transformed by a phase of their own before.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/winograd.cc"
#include <algorithm>

#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/tile-inl.h"
#include "kernels/conv/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

constexpr int kIn = 6, kOut = 4, kTaps = 3, kPoints = kIn * kIn;
/// Most patches of a register tile of v vectors of filters: its sums, the weights and a broadcast fill the registers.
constexpr int MaxPatches(int v) { return std::min(12, MaxPixels(v)); }

/// One dim of the filter transform: o = G i.
HWY_INLINE void TransformFilter(VF i0, VF i1, VF i2, VF* HWY_RESTRICT o) {
  const DF d;
  const VF sixth = hn::Set(d, 1.0f / 6), twelfth = hn::Set(d, 1.0f / 12);
  o[0] = hn::Mul(hn::Set(d, 0.25f), i0);
  const VF a = hn::Mul(sixth, hn::Add(i0, i2));
  o[1] = hn::NegMulSub(sixth, i1, a);
  o[2] = hn::MulSub(sixth, i1, a);
  const VF b = hn::MulAdd(hn::Set(d, 1.0f / 24), i0, hn::Mul(sixth, i2));
  o[3] = hn::MulAdd(twelfth, i1, b);
  o[4] = hn::NegMulAdd(twelfth, i1, b);
  o[5] = i2;
}

/// Row y of G times a column.
template <int Y>
HWY_INLINE VF FilterRow(VF i0, VF i1, VF i2) {
  const DF d;
  if constexpr (Y == 0) return hn::Mul(hn::Set(d, 0.25f), i0);
  if constexpr (Y == 1) return hn::Mul(hn::Set(d, -1.0f / 6), hn::Add(hn::Add(i0, i2), i1));
  if constexpr (Y == 2) return hn::Mul(hn::Set(d, -1.0f / 6), hn::Sub(hn::Add(i0, i2), i1));
  if constexpr (Y == 3 || Y == 4) {
    const VF even = hn::MulAdd(hn::Set(d, 1.0f / 24), i0, hn::Mul(hn::Set(d, 1.0f / 6), i2));
    return hn::MulAdd(hn::Set(d, Y == 3 ? 1.0f / 12 : -1.0f / 12), i1, even);
  }
  return i2;
}

/// Row Y of the transformed weights of one block of filters: g [channel][tap][block] becomes u [point of the row][channel][block], where
/// channels lie `width` floats apart.
template <int Y>
HWY_NOINLINE void TransformFilters(int64_t channels, const float* HWY_RESTRICT g, int64_t width, float* HWY_RESTRICT u) {
  const DF d;
  for (int64_t c = 0; c < channels; ++c, g += kTaps * kTaps * kBlock, u += width) {
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      const auto column = [&](int x) HWY_ATTR {
        const float* from = g + x * kBlock + lane;
        return FilterRow<Y>(hn::LoadU(d, from), hn::LoadU(d, from + kTaps * kBlock), hn::LoadU(d, from + 2 * kTaps * kBlock));
      };
      VF out[kIn];
      TransformFilter(column(0), column(1), column(2), out);
#pragma GCC unroll 6
      for (int x = 0; x < kIn; ++x) hn::StoreU(out[x], d, u + x * channels * width + lane);
    }
  }
}

/// One dim of the input transform: o = B^T i.
HWY_INLINE void TransformIn(VF i0, VF i1, VF i2, VF i3, VF i4, VF i5, VF* HWY_RESTRICT o, int step) {
  const DF d;
  const VF two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f), five = hn::Set(d, 5.0f);
  o[0 * step] = hn::MulAdd(four, i0, hn::NegMulAdd(five, i2, i4));
  const VF a = hn::NegMulAdd(four, i2, i4), b = hn::NegMulAdd(four, i1, i3);
  o[1 * step] = hn::Add(a, b);
  o[2 * step] = hn::Sub(a, b);
  const VF c = hn::Sub(i4, i2), e = hn::Mul(two, hn::Sub(i3, i1));
  o[3 * step] = hn::Add(c, e);
  o[4 * step] = hn::Sub(c, e);
  o[5 * step] = hn::MulAdd(four, i1, hn::NegMulAdd(five, i3, i5));
}

/// One dim of the output transform: o = A^T i.
HWY_INLINE void TransformOut(VF i0, VF i1, VF i2, VF i3, VF i4, VF i5, VF& o0, VF& o1, VF& o2, VF& o3) {
  const DF d;
  const VF a = hn::Add(i1, i2), b = hn::Sub(i1, i2), c = hn::Add(i3, i4), e = hn::Sub(i3, i4);
  o0 = hn::Add(hn::Add(i0, a), c);
  o1 = hn::MulAdd(hn::Set(d, 2.0f), e, b);
  o2 = hn::MulAdd(hn::Set(d, 4.0f), c, a);
  o3 = hn::Add(hn::MulAdd(hn::Set(d, 8.0f), e, b), i5);
}

/// A group of patches of one image.
struct Patches {
  int64_t across;  ///< in one row of patches
  int64_t begin, count;
  int64_t y(int64_t i) const { return (begin + i) / across * kOut; }
  int64_t x(int64_t i) const { return (begin + i) % across * kOut; }
};

Patches patches_of(const ConvParams& p, int64_t group) {
  Patches patches;
  patches.across = (p.out[2] + kOut - 1) / kOut;
  const int64_t total = WinogradLayout(p).patches;
  patches.begin = group * p.rows;
  patches.count = patches.begin + p.rows < total ? p.rows : total - patches.begin;
  return patches;
}

/// One block of channels. plane: its first pixel; v: first point, first patch.
void TransformPatches(const ConvParams& p, const float* plane, const Patches& patches, int64_t point, float* HWY_RESTRICT v) {
  const DF d;
  const int64_t height = p.in[1], width = p.in[2];
  for (int64_t i = 0; i < patches.count; ++i) {
    const int64_t y0 = patches.y(i) - p.pad[1], x0 = patches.x(i) - p.pad[2];
    const bool inside = y0 >= 0 && x0 >= 0 && y0 + kIn <= height && x0 + kIn <= width;
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      VF rows[kPoints];  // after the transform along x
      for (int y = 0; y < kIn; ++y) {
        VF in[kIn];
        const int64_t iy = y0 + y;
        const float* line = plane + (iy * width + x0) * kBlock + lane;
        if (inside) {
#pragma GCC unroll 6
          for (int x = 0; x < kIn; ++x) in[x] = hn::LoadU(d, line + x * kBlock);
        } else {
#pragma GCC unroll 6
          for (int x = 0; x < kIn; ++x) {
            const bool real = iy >= 0 && iy < height && x0 + x >= 0 && x0 + x < width;
            in[x] = real ? hn::LoadU(d, line + x * kBlock) : hn::Zero(d);
          }
        }
        TransformIn(in[0], in[1], in[2], in[3], in[4], in[5], rows + y * kIn, 1);
      }
      float* to = v + i * kBlock + lane;
      for (int x = 0; x < kIn; ++x) {
        VF out[kIn];
        TransformIn(rows[x], rows[kIn + x], rows[2 * kIn + x], rows[3 * kIn + x], rows[4 * kIn + x], rows[5 * kIn + x], out, 1);
#pragma GCC unroll 6
        for (int y = 0; y < kIn; ++y) hn::StoreU(out[y], d, to + (y * kIn + x) * point);
      }
    }
  }
}

/// Block `block` of the input of image `image` for group `patches`. v: the group.
void TransformBlock(const ConvParams& p, const Call& call, int64_t image, int64_t block, const Patches& patches, float* v) {
  const WinogradLayout layout(p);
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock, chunk = p.chunk / kBlock;
  const float* plane = Operand(call, 0, p.shared_input) + (image * blocks + block) * p.in[1] * p.in[2] * kBlock;
  TransformPatches(p, plane, patches, layout.point, v + block / chunk * layout.chunk + block % chunk * patches.count * kBlock);
}

/// `tiles` register tiles of R patches for one point and one chunk of channels. v: [channel block][patch][block], blocks `plane` floats
/// apart; u: [channel][V vectors]; m: [block of the tile][patch][block]. Adds to m unless `first`.
template <int R, int V>
HWY_NOINLINE void PointTiles(int64_t tiles, int64_t channels, int64_t plane, const float* HWY_RESTRICT v, const float* HWY_RESTRICT u,
                             float* HWY_RESTRICT m, bool first) {
  const DF d;
  for (; tiles > 0; --tiles, v += R * kBlock, m += R * kBlock) {
    VF acc[R][V];
    if (first) {
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
        for (int i = 0; i < V; ++i) acc[r][i] = hn::Zero(d);
      }
    } else {
      LoadTile<R, V>(m, plane, acc);
    }
    const float* x = v;
    const float* w = u;
    for (int64_t left = channels; left > 0; left -= kBlock, x += plane) {
      const int64_t n = left < kBlock ? left : kBlock;
      Accumulate<R, V, 1>(Regular<kBlock>{x}, One(), w, n, acc);
      w += n * V * kLanes;
    }
    StoreTile<R, V>(acc, m, plane);
  }
}

using PointFunction = void (*)(int64_t, int64_t, int64_t, const float*, const float*, float*, bool);
template <int V, int R = 1>
HWY_INLINE PointFunction Select(int64_t r) {
  if constexpr (R >= MaxPatches(V)) {
    return PointTiles<R, V>;
  } else {
    return r == R ? PointFunction(PointTiles<R, V>) : Select<V, R + 1>(r);
  }
}

/// The weights of one chunk of channels for one tile of filters, as they lie in memory: [block][channel][tap][filter of the block].
struct FilterChunk {
  const float* g;
  int64_t channels, blocks;
  int64_t pitch;  ///< floats from one block to the next

  int64_t size() const { return channels * kTaps * kTaps * kBlock; }  ///< of one block
  /// Asks for a 36th of the chunk.
  HWY_INLINE void Fetch(int64_t piece) const {
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t i = size() * piece / kPoints; i < size() * (piece + 1) / kPoints; i += 16) __builtin_prefetch(g + b * pitch + i, 0, 2);
    }
  }
};

/// Multiplies the patches of a group with chunks of a tile of V vectors of filters.
template <int V>
class TileProducts {
 public:
  /// u: scratch for a row of points of transformed weights.
  TileProducts(int64_t patches, float* u) : plane_(patches * kBlock), u_(u) {
    const Pieces pieces(patches, MaxPatches(V));
    small_ = patches / pieces.count;
    large_tiles_ = patches % pieces.count;
    small_tiles_ = pieces.count - large_tiles_;
    small_function_ = Select<V>(small_), large_function_ = Select<V>(small_ + 1);
  }

  /// v, m: the first point, with points v_point and m_point floats apart. Meanwhile fetches `next`, the chunk wanted after this one.
  void Chunk(const FilterChunk& chunk, const float* v, int64_t v_point, float* m, int64_t m_point, bool first,
             const FilterChunk& next) const {
    Row<0>(chunk, v, v_point, m, m_point, first, next);
    Row<1>(chunk, v, v_point, m, m_point, first, next);
    Row<2>(chunk, v, v_point, m, m_point, first, next);
    Row<3>(chunk, v, v_point, m, m_point, first, next);
    Row<4>(chunk, v, v_point, m, m_point, first, next);
    Row<5>(chunk, v, v_point, m, m_point, first, next);
  }

 private:
  template <int Y>
  void Row(const FilterChunk& chunk, const float* v, int64_t v_point, float* m, int64_t m_point, bool first,
           const FilterChunk& next) const {
    for (int64_t b = 0; b < chunk.blocks; ++b) TransformFilters<Y>(chunk.channels, chunk.g + b * chunk.pitch, V * kLanes, u_ + b * kBlock);
    for (int x = 0; x < kIn; ++x) {
      const int point = Y * kIn + x;
      next.Fetch(point);
      const float* from = v + point * v_point;
      float* to = m + point * m_point;
      const float* u = u_ + x * chunk.channels * V * kLanes;
      small_function_(small_tiles_, chunk.channels, plane_, from, u, to, first);
      const int64_t done = small_tiles_ * small_ * kBlock;
      if (large_tiles_ > 0) large_function_(large_tiles_, chunk.channels, plane_, from + done, u, to + done, first);
    }
  }

  int64_t plane_, small_, small_tiles_, large_tiles_;
  PointFunction small_function_, large_function_;
  float* u_;
};

/// The 4x4 output patches of one tile of filters, with epilogue. m: points `point` floats apart; dst, residual: first block of the tile.
void FinishPatches(const ConvParams& p, const Patches& patches, const float* m, int64_t point, int64_t tile_blocks, const float* bias,
                   float* dst, const float* residual) {
  const DF d;
  const int64_t height = p.out[1], width = p.out[2];
  const VF low = hn::Set(d, p.epilogue.low), high = hn::Set(d, p.epilogue.high);
  for (int64_t block = 0; block < tile_blocks; ++block) {
    for (int64_t i = 0; i < patches.count; ++i) {
      const int64_t y0 = patches.y(i), x0 = patches.x(i);
      const int64_t rows = height - y0 < kOut ? height - y0 : kOut, columns = width - x0 < kOut ? width - x0 : kOut;
      const int64_t corner = (block * height * width + y0 * width + x0) * kBlock;
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        const float* from = m + (block * patches.count + i) * kBlock + lane;
        VF half[kOut * kIn];  // after the transform along y
        for (int x = 0; x < kIn; ++x) {
          VF in[kIn];
#pragma GCC unroll 6
          for (int y = 0; y < kIn; ++y) in[y] = hn::LoadU(d, from + (y * kIn + x) * point);
          TransformOut(in[0], in[1], in[2], in[3], in[4], in[5], half[x], half[kIn + x], half[2 * kIn + x], half[3 * kIn + x]);
        }
        const VF b = hn::LoadU(d, bias + block * kBlock + lane);
        for (int64_t y = 0; y < rows; ++y) {
          const VF* in = half + y * kIn;
          VF out[kOut];
          TransformOut(in[0], in[1], in[2], in[3], in[4], in[5], out[0], out[1], out[2], out[3]);
          const int64_t at = corner + y * width * kBlock + lane;
          for (int64_t x = 0; x < columns; ++x) {
            VF value = hn::Add(out[x], b);
            if (residual != nullptr) value = hn::Add(value, hn::LoadU(d, residual + at + x * kBlock));
            hn::StoreU(Between(low, value, high), d, dst + at + x * kBlock);
          }
        }
      }
      const Epilogue& e = p.epilogue;
      if (e.tile != nullptr) {
        for (int64_t y = 0; y < rows; ++y) {
          float* row = dst + corner + y * width * kBlock;
          e.tile(e.alpha, e.beta, row, row, columns * kBlock);
        }
      }
    }
  }
}

/// Tiles [begin, end) of filters with one group of patches. v: the transformed patches of the group; u, m: scratch.
void FilterPart(const ConvParams& p, const Call& call, int64_t image, const Patches& patches, const float* v, float* u, float* m,
                int64_t begin, int64_t end) {
  const FilterTiles tiles = filter_tiles(p);
  const WinogradLayout layout(p);
  const float* weights = Operand(call, 1, p.shared_weights);
  const auto blocks = [&](int64_t t) { return tiles.begin(t + 1) - tiles.begin(t); };
  const auto chunk_of = [&](int64_t t, int64_t channel) {
    FilterChunk chunk;
    chunk.pitch = p.channels * kTaps * kTaps * kBlock;
    chunk.g = weights + tiles.begin(t) * chunk.pitch + channel * kTaps * kTaps * kBlock;
    chunk.channels = channel + p.chunk < p.channels ? p.chunk : p.channels - channel;
    chunk.blocks = channel < p.channels ? blocks(t) : 0;
    return chunk;
  };
  const auto m_point = [&](int64_t t) { return blocks(t) * patches.count * kBlock + WinogradLayout::kPad; };

  for (int64_t channel = 0; channel < p.channels; channel += p.chunk) {
    for (int64_t t = begin; t < end; ++t) {
      const auto products = [&](auto tile) {
        tile.Chunk(chunk_of(t, channel), v + channel / p.chunk * layout.chunk, layout.point, m + (t - begin) * layout.sums, m_point(t),
                   channel == 0, t + 1 < end ? chunk_of(t + 1, channel) : chunk_of(begin, channel + p.chunk));
      };
      const int64_t vectors = blocks(t) * kVectorsABlock;
      if constexpr (kVectorsABlock == 1) {
        if (vectors == 1) products(TileProducts<1>(patches.count, u));
        if (vectors == 3) products(TileProducts<3>(patches.count, u));
      }
      if (vectors == 2) products(TileProducts<2>(patches.count, u));
      if (vectors == 4) products(TileProducts<4>(patches.count, u));
    }
  }
  const int64_t out_blocks = (p.filters + kBlock - 1) / kBlock, out_plane = p.out[1] * p.out[2] * kBlock;
  for (int64_t t = begin; t < end; ++t) {
    alignas(64) float bias[kMaxVectors * kLanes];
    CopyBias(p.epilogue.bias ? Operand(call, 2, p.epilogue.shared_bias) : nullptr, tiles.begin(t) * kBlock, blocks(t) * kBlock, p.filters,
             bias);
    const int64_t offset = (image * out_blocks + tiles.begin(t)) * out_plane;
    FinishPatches(p, patches, m + (t - begin) * layout.sums, m_point(t), blocks(t), bias, Result0(call, p.shared_output) + offset,
                  p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + offset : nullptr);
  }
}

void WinogradPart(const ConvParams& p, const Call& call, int64_t part) {
  const WinogradLayout layout(p);
  const int64_t run = part % p.filter_parts, group = part / p.filter_parts % layout.groups, image = part / p.filter_parts / layout.groups;
  const Patches patches = patches_of(p, group);
  float* u = reinterpret_cast<float*>(call.scratch);
  float* m = u + layout.weights;
  const float* v;
  if (p.patches > 0) {
    v = reinterpret_cast<const float*>(call.shared + p.shared_patches) + (image * layout.groups + group) * layout.group;
  } else {
    float* own = m + p.tiles * layout.sums;
    for (int64_t block = 0; block * kBlock < p.channels; ++block) TransformBlock(p, call, image, block, patches, own);
    v = own;
  }
  const int64_t tiles = filter_tiles(p).tiles, end = (run + 1) * tiles / p.filter_parts;
  for (int64_t t = run * tiles / p.filter_parts; t < end; t += p.tiles) {
    FilterPart(p, call, image, patches, v, u, m, t, t + p.tiles < end ? t + p.tiles : end);
  }
}

}  // namespace

void ConvWinograd(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) WinogradPart(p, call, part);
}

void ConvWinogradPatches(const ConvParams& p, const Call& call, Range range) {
  const WinogradLayout layout(p);
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t group = part / blocks;
    TransformBlock(p, call, group / layout.groups, part % blocks, patches_of(p, group % layout.groups),
                   reinterpret_cast<float*>(call.shared + p.shared_patches) + group * layout.group);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvWinograd);
TENON_EXPORT(ConvWinogradPatches);
Kernel<ConvParams> ConvWinogradPointer() { return TENON_POINTER(ConvWinograd); }
Kernel<ConvParams> ConvWinogradPatchesPointer() { return TENON_POINTER(ConvWinogradPatches); }
}  // namespace tenon::kernels
#endif
