// 3x3 convolution with stride 1 by Winograd's minimal filtering F(n x n, 3x3) with n of 2, 4 or 6 (Lavin and Gray, "Fast algorithms for
// convolutional neural networks"): every patch of n + 2 by n + 2 of the input becomes as many numbers, each of which meets its own matrix of
// transformed weights, and as many sums become a patch of n by n of the output. With n = 4 these are 36 products instead of 144.
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

constexpr int kTaps = 3;
/// Most patches of a register tile of v vectors of filters: its sums, the weights and a broadcast fill the registers.
constexpr int MaxPatches(int v) { return std::min(12, MaxPixels(v)); }

/// The method of Toom and Cook for kOut outputs: polynomials are multiplied at 0, at a and -a for the first kOut / 2 of these, and at infinity.
/// All transforms follow from the points. These round least: sums and quotients of theirs are small, and most are powers of 2.
constexpr float kPoints[] = {1.0f, 2.0f, 0.5f};

/// Coefficients of the product of (x - a * a) over the first `pairs` points but the one numbered `without`. The highest is 1.
struct Polynomial {
  float c[4] = {1, 0, 0, 0};
  constexpr Polynomial(int pairs, int without) {
    int degree = 0;
    for (int i = 0; i < pairs; ++i) {
      if (i == without) continue;
      const float root = kPoints[i] * kPoints[i];
      ++degree;
      for (int j = degree; j >= 0; --j) c[j] = (j > 0 ? c[j - 1] : 0) - root * c[j];
    }
  }
  constexpr float at(float x) const { return ((c[3] * x + c[2]) * x + c[1]) * x + c[0]; }
};

template <int kOut>
constexpr Polynomial kAll = {kOut / 2, -1};
template <int kOut>
constexpr Polynomial kAllBut[] = {{kOut / 2, 0}, {kOut / 2, 1}, {kOut / 2, 2}};

/// Row y of the filter transform, G, times a column.
template <int kOut>
HWY_INLINE VF FilterRow(int y, VF i0, VF i1, VF i2) {
  const DF d;
  if (y == 0) return hn::Mul(hn::Set(d, 1 / kAll<kOut>.c[0]), i0);
  if (y == kOut + 1) return i2;
  const float a = kPoints[(y - 1) / 2], scale = 1 / (2 * a * a * kAllBut<kOut>[(y - 1) / 2].at(a * a));
  const VF even = hn::MulAdd(hn::Set(d, scale), i0, hn::Mul(hn::Set(d, a * a * scale), i2));
  return hn::MulAdd(hn::Set(d, y % 2 == 1 ? a * scale : -a * scale), i1, even);
}

/// Row Y of the transformed weights of one block of filters: g [channel][tap][block] becomes u [point of the row][channel][block], where
/// channels lie `width` floats apart.
template <int kOut, int Y>
HWY_NOINLINE void TransformFilters(int64_t channels, const float* HWY_RESTRICT g, int64_t width, float* HWY_RESTRICT u) {
  const DF d;
  for (int64_t c = 0; c < channels; ++c, g += kTaps * kTaps * kBlock, u += width) {
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      const auto column = [&](int x) HWY_ATTR {
        const float* from = g + x * kBlock + lane;
        return FilterRow<kOut>(Y, hn::LoadU(d, from), hn::LoadU(d, from + kTaps * kBlock), hn::LoadU(d, from + 2 * kTaps * kBlock));
      };
      const VF i0 = column(0), i1 = column(1), i2 = column(2);
#pragma GCC unroll 8
      for (int x = 0; x < kOut + 2; ++x) hn::StoreU(FilterRow<kOut>(x, i0, i1, i2), d, u + x * channels * width + lane);
    }
  }
}

/// One dim of the input transform: o = B^T i.
template <int kOut>
HWY_INLINE void TransformIn(const VF* HWY_RESTRICT i, VF* HWY_RESTRICT o) {
  const DF d;
  constexpr int kPairs = kOut / 2;
  const auto sum = [&](const Polynomial& p, int degree, const VF* from) HWY_ATTR {
    VF value = from[2 * degree];
#pragma GCC unroll 3
    for (int j = degree - 1; j >= 0; --j) value = hn::MulAdd(hn::Set(d, p.c[j]), from[2 * j], value);
    return value;
  };
  o[0] = sum(kAll<kOut>, kPairs, i);
#pragma GCC unroll 3
  for (int k = 0; k < kPairs; ++k) {
    const VF even = sum(kAllBut<kOut>[k], kPairs - 1, i + 2), odd = sum(kAllBut<kOut>[k], kPairs - 1, i + 1);
    const VF a = hn::Set(d, kPoints[k]);
    o[1 + 2 * k] = hn::MulAdd(a, odd, even);
    o[2 + 2 * k] = hn::NegMulAdd(a, odd, even);
  }
  o[kOut + 1] = sum(kAll<kOut>, kPairs, i + 1);
}

/// One dim of the output transform: o = A^T i.
template <int kOut>
HWY_INLINE void TransformOut(const VF* HWY_RESTRICT i, VF* HWY_RESTRICT o) {
  const DF d;
  constexpr int kPairs = kOut / 2;
  VF even[kPairs], odd[kPairs];
#pragma GCC unroll 3
  for (int k = 0; k < kPairs; ++k) even[k] = hn::Add(i[1 + 2 * k], i[2 + 2 * k]), odd[k] = hn::Sub(i[1 + 2 * k], i[2 + 2 * k]);
  float power[] = {1, 1, 1};
#pragma GCC unroll 6
  for (int j = 0; j < kOut; ++j) {
    VF value = j % 2 == 0 ? even[0] : odd[0];
#pragma GCC unroll 3
    for (int k = 1; k < kPairs; ++k) {
      value = hn::MulAdd(hn::Set(d, power[k]), j % 2 == 0 ? even[k] : odd[k], value);
      power[k] *= kPoints[k];
    }
    if (j == 0) value = hn::Add(value, i[0]);
    if (j == kOut - 1) value = hn::Add(value, i[kOut + 1]);
    o[j] = value;
  }
}

/// A group of patches of one image.
template <int kOut>
struct Patches {
  int64_t across;  ///< in one row of patches
  int64_t begin, count;
  int64_t y(int64_t i) const { return (begin + i) / across * kOut; }
  int64_t x(int64_t i) const { return (begin + i) % across * kOut; }
};

template <int kOut>
Patches<kOut> patches_of(const ConvParams& p, int64_t group) {
  Patches<kOut> patches;
  patches.across = (p.out[2] + kOut - 1) / kOut;
  const int64_t total = WinogradLayout(p).patches;
  patches.begin = group * p.rows;
  patches.count = patches.begin + p.rows < total ? p.rows : total - patches.begin;
  return patches;
}

/// One block of channels. plane: its first pixel; v: first point, first patch.
template <int kOut>
void TransformPatches(const ConvParams& p, const float* plane, const Patches<kOut>& patches, int64_t point, float* HWY_RESTRICT v) {
  constexpr int kIn = kOut + 2;
  const DF d;
  const int64_t height = p.in[1], width = p.in[2];
  for (int64_t i = 0; i < patches.count; ++i) {
    const int64_t y0 = patches.y(i) - p.pad[1], x0 = patches.x(i) - p.pad[2];
    const bool inside = y0 >= 0 && x0 >= 0 && y0 + kIn <= height && x0 + kIn <= width;
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      VF rows[kIn * kIn];  // after the transform along x
      for (int y = 0; y < kIn; ++y) {
        VF in[kIn];
        const int64_t iy = y0 + y;
        const float* line = plane + (iy * width + x0) * kBlock + lane;
        if (inside) {
#pragma GCC unroll 8
          for (int x = 0; x < kIn; ++x) in[x] = hn::LoadU(d, line + x * kBlock);
        } else {
#pragma GCC unroll 8
          for (int x = 0; x < kIn; ++x) {
            const bool real = iy >= 0 && iy < height && x0 + x >= 0 && x0 + x < width;
            in[x] = real ? hn::LoadU(d, line + x * kBlock) : hn::Zero(d);
          }
        }
        TransformIn<kOut>(in, rows + y * kIn);
      }
      float* to = v + i * kBlock + lane;
      for (int x = 0; x < kIn; ++x) {
        VF in[kIn], out[kIn];
#pragma GCC unroll 8
        for (int y = 0; y < kIn; ++y) in[y] = rows[y * kIn + x];
        TransformIn<kOut>(in, out);
#pragma GCC unroll 8
        for (int y = 0; y < kIn; ++y) hn::StoreU(out[y], d, to + (y * kIn + x) * point);
      }
    }
  }
}

/// Block `block` of the input of image `image` for group `patches`. v: the group.
template <int kOut>
void TransformBlock(const ConvParams& p, const Call& call, int64_t image, int64_t block, const Patches<kOut>& patches, float* v) {
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
HWY_NOINLINE PointFunction PointFunctionOf(int64_t vectors, int64_t r) {
  if constexpr (kVectorsABlock == 1) {
    if (vectors == 1) return Select<1>(r);
    if (vectors == 3) return Select<3>(r);
  }
  return vectors == 2 ? Select<2>(r) : Select<4>(r);
}

/// The weights of one chunk of channels for one tile of filters, as they lie in memory: [block][channel][tap][filter of the block].
struct FilterChunk {
  const float* g;
  int64_t channels, blocks;
  int64_t pitch;  ///< floats from one block to the next

  int64_t size() const { return channels * kTaps * kTaps * kBlock; }  ///< of one block
  /// Asks for one of `pieces` of the chunk.
  HWY_INLINE void Fetch(int64_t piece, int64_t pieces) const {
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t i = size() * piece / pieces; i < size() * (piece + 1) / pieces; i += 16) __builtin_prefetch(g + b * pitch + i, 0, 2);
    }
  }
};

/// Multiplies the patches of a group with chunks of a tile of filters.
template <int kOut>
class TileProducts {
 public:
  /// vectors: of the tile; u: scratch for a row of points of transformed weights.
  TileProducts(int64_t vectors, int64_t patches, float* u) : plane_(patches * kBlock), width_(vectors * kLanes), u_(u) {
    const Pieces pieces(patches, MaxPatches(static_cast<int>(vectors)));
    small_ = patches / pieces.count;
    large_tiles_ = patches % pieces.count;
    small_tiles_ = pieces.count - large_tiles_;
    small_function_ = PointFunctionOf(vectors, small_), large_function_ = PointFunctionOf(vectors, small_ + 1);
  }

  /// v, m: the first point, with points v_point and m_point floats apart. Meanwhile fetches `next`, the chunk wanted after this one.
  void Chunk(const FilterChunk& chunk, const float* v, int64_t v_point, float* m, int64_t m_point, bool first,
             const FilterChunk& next) const {
    Row<0>(chunk, v, v_point, m, m_point, first, next);
  }

 private:
  static constexpr int kIn = kOut + 2;

  /// Row Y of the points and those after it.
  template <int Y>
  HWY_INLINE void Row(const FilterChunk& chunk, const float* v, int64_t v_point, float* m, int64_t m_point, bool first,
                      const FilterChunk& next) const {
    const int64_t done = small_tiles_ * small_ * kBlock;
    for (int64_t b = 0; b < chunk.blocks; ++b) {
      TransformFilters<kOut, Y>(chunk.channels, chunk.g + b * chunk.pitch, width_, u_ + b * kBlock);
    }
    const float* u = u_;
    for (int x = 0; x < kIn; ++x, v += v_point, m += m_point, u += chunk.channels * width_) {
      next.Fetch(Y * kIn + x, kIn * kIn);
      small_function_(small_tiles_, chunk.channels, plane_, v, u, m, first);
      if (large_tiles_ > 0) large_function_(large_tiles_, chunk.channels, plane_, v + done, u, m + done, first);
    }
    if constexpr (Y + 1 < kIn) Row<Y + 1>(chunk, v, v_point, m, m_point, first, next);
  }

  int64_t plane_, width_, small_, small_tiles_, large_tiles_;
  PointFunction small_function_, large_function_;
  float* u_;
};

/// The output patches of one tile of filters, with epilogue. m: points `point` floats apart; dst, residual: first block of the tile.
template <int kOut>
void FinishPatches(const ConvParams& p, const Patches<kOut>& patches, const float* m, int64_t point, int64_t tile_blocks, const float* bias,
                   float* dst, const float* residual) {
  const DF d;
  constexpr int kIn = kOut + 2;
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
          VF in[kIn], out[kOut];
#pragma GCC unroll 8
          for (int y = 0; y < kIn; ++y) in[y] = hn::LoadU(d, from + (y * kIn + x) * point);
          TransformOut<kOut>(in, out);
#pragma GCC unroll 6
          for (int y = 0; y < kOut; ++y) half[y * kIn + x] = out[y];
        }
        const VF b = hn::LoadU(d, bias + block * kBlock + lane);
        for (int64_t y = 0; y < rows; ++y) {
          VF out[kOut];
          TransformOut<kOut>(half + y * kIn, out);
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
template <int kOut>
void FilterPart(const ConvParams& p, const Call& call, int64_t image, const Patches<kOut>& patches, const float* v, float* u, float* m,
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
      TileProducts<kOut>(blocks(t) * kVectorsABlock, patches.count, u)
          .Chunk(chunk_of(t, channel), v + channel / p.chunk * layout.chunk, layout.point, m + (t - begin) * layout.sums, m_point(t),
                 channel == 0, t + 1 < end ? chunk_of(t + 1, channel) : chunk_of(begin, channel + p.chunk));
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

template <int kOut>
void WinogradPart(const ConvParams& p, const Call& call, int64_t part) {
  const WinogradLayout layout(p);
  const int64_t run = part % p.filter_parts, group = part / p.filter_parts % layout.groups, image = part / p.filter_parts / layout.groups;
  const Patches<kOut> patches = patches_of<kOut>(p, group);
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

template <int kOut>
void WinogradParts(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) WinogradPart<kOut>(p, call, part);
}

template <int kOut>
void PatchParts(const ConvParams& p, const Call& call, Range range) {
  const WinogradLayout layout(p);
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t group = part / blocks;
    TransformBlock(p, call, group / layout.groups, part % blocks, patches_of<kOut>(p, group % layout.groups),
                   reinterpret_cast<float*>(call.shared + p.shared_patches) + group * layout.group);
  }
}

}  // namespace

void ConvWinograd(const ConvParams& p, const Call& call, Range range) {
  if (p.format == ConvFormat::kWinograd2) return WinogradParts<2>(p, call, range);
  if (p.format == ConvFormat::kWinograd6) return WinogradParts<6>(p, call, range);
  WinogradParts<4>(p, call, range);
}

void ConvWinogradPatches(const ConvParams& p, const Call& call, Range range) {
  if (p.format == ConvFormat::kWinograd2) return PatchParts<2>(p, call, range);
  if (p.format == ConvFormat::kWinograd6) return PatchParts<6>(p, call, range);
  PatchParts<4>(p, call, range);
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
