// 3x3 convolution with stride 1 by Winograd's minimal filtering F(4x4, 3x3): every 6x6 patch of the input becomes 36 numbers, each of which
// meets its own matrix of transformed weights, and 36 sums become a 4x4 patch of the output: 36 products instead of 144.
// A part is a run of patches of one image: it transforms them for all input channels, then does one tile of filters after another.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/winograd.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

constexpr int kIn = 6, kOut = 4, kPoints = kIn * kIn;

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

struct Patches {
  int64_t across;  ///< in one row of patches
  int64_t begin, count;
  int64_t y(int64_t i) const { return (begin + i) / across * kOut; }
  int64_t x(int64_t i) const { return (begin + i) % across * kOut; }
};

/// v: [point][channel block][patch][block].
void TransformPatches(const ConvParams& p, const float* src, const Patches& patches, float* HWY_RESTRICT v) {
  const DF d;
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock;
  const int64_t height = p.in[1], width = p.in[2];
  const int64_t point = blocks * patches.count * kBlock;
  for (int64_t block = 0; block < blocks; ++block) {
    const float* plane = src + block * height * width * kBlock;
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
        float* to = v + (block * patches.count + i) * kBlock + lane;
        for (int x = 0; x < kIn; ++x) {
          VF out[kIn];
          TransformIn(rows[x], rows[kIn + x], rows[2 * kIn + x], rows[3 * kIn + x], rows[4 * kIn + x], rows[5 * kIn + x], out, 1);
#pragma GCC unroll 6
          for (int y = 0; y < kIn; ++y) hn::StoreU(out[y], d, to + (y * kIn + x) * point);
        }
      }
    }
  }
}

/// m: [point][block of the tile][patch][block], for one point.
template <int R, int V>
HWY_NOINLINE void PointTile(int64_t channels, int64_t patches, const float* v, const float* w, float* m) {
  const int64_t plane = patches * kBlock;
  VF acc[R][V];
  const DF d;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < V; ++i) acc[r][i] = hn::Zero(d);
  }
  AccumulatePointwise<R, V>(v, kBlock, plane, w, channels, acc);
  StoreTile<R, V>(acc, m, kBlock, plane);
}

using PointFunction = void (*)(int64_t, int64_t, const float*, const float*, float*);
template <int V, int R = 1>
HWY_INLINE PointFunction Select(int64_t r) {
  if constexpr (R >= MaxPixels(V)) {
    return PointTile<R, V>;
  } else {
    return r == R ? PointFunction(PointTile<R, V>) : Select<V, R + 1>(r);
  }
}

template <int V>
void AllPoints(int64_t channels, int64_t patches, int64_t blocks, const float* v, const float* w, float* m) {
  const Pieces pieces(patches, MaxPixels(V));
  const int64_t small = patches / pieces.count;
  const PointFunction tiles[2] = {Select<V>(small), Select<V>(small + 1)};
  const int64_t v_point = blocks * patches * kBlock, m_point = V * kLanes * patches, w_point = channels * V * kLanes;
  for (int point = 0; point < kPoints; ++point) {
    for (int64_t i = 0; i < pieces.count; ++i) {
      const int64_t at = pieces.begin(i);
      tiles[pieces.begin(i + 1) - at - small](channels, patches, v + point * v_point + at * kBlock, w + point * w_point, m + point * m_point + at * kBlock);
    }
  }
}

/// The 4x4 output patches of one tile of filters, with epilogue. dst, residual: first block of the tile.
void FinishPatches(const ConvParams& p, const Patches& patches, const float* m, int64_t tile_blocks, const float* bias, float* dst, const float* residual) {
  const DF d;
  const int64_t height = p.out[1], width = p.out[2];
  const int64_t point = tile_blocks * patches.count * kBlock;
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
            hn::StoreU(hn::Min(high, hn::Max(low, value)), d, dst + at + x * kBlock);
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

void WinogradPart(const ConvParams& p, const Call& call, int64_t part) {
  Patches patches;
  patches.across = (p.out[2] + kOut - 1) / kOut;
  const int64_t total = patches.across * ((p.out[1] + kOut - 1) / kOut);
  const int64_t parts = (total + p.rows - 1) / p.rows;
  const int64_t image = part / parts;
  patches.begin = part % parts * p.rows;
  patches.count = patches.begin + p.rows < total ? p.rows : total - patches.begin;

  const int64_t in_blocks = (p.channels + kBlock - 1) / kBlock, out_blocks = (p.filters + kBlock - 1) / kBlock;
  const int64_t out_plane = p.out[1] * p.out[2] * kBlock;
  float* v = reinterpret_cast<float*>(call.scratch);
  float* m = v + kPoints * in_blocks * patches.count * kBlock;
  TransformPatches(p, Operand(call, 0, p.shared_input) + image * in_blocks * p.in[1] * p.in[2] * kBlock, patches, v);

  const FilterTiles tiles = filter_tiles(p);
  const float* weights = Operand(call, 1, p.shared_weights);
  for (int64_t t = 0; t < tiles.tiles; ++t) {
    const int64_t first = tiles.begin(t), blocks = tiles.begin(t + 1) - first;
    const float* w = weights + first * kBlock * p.channels * kPoints;
    const int64_t vectors = blocks * kVectorsABlock;
    if constexpr (kVectorsABlock == 1) {
      if (vectors == 1) AllPoints<1>(p.channels, patches.count, in_blocks, v, w, m);
      if (vectors == 3) AllPoints<3>(p.channels, patches.count, in_blocks, v, w, m);
    }
    if (vectors == 2) AllPoints<2>(p.channels, patches.count, in_blocks, v, w, m);
    if (vectors == 4) AllPoints<4>(p.channels, patches.count, in_blocks, v, w, m);
    alignas(64) float bias[kMaxVectors * kLanes];
    CopyBias(p.epilogue.bias ? call.in<float>(2) : nullptr, first * kBlock, blocks * kBlock, p.filters, bias);
    const int64_t offset = (image * out_blocks + first) * out_plane;
    FinishPatches(p, patches, m, blocks, bias, Result0(call, p.shared_output) + offset,
                  p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + offset : nullptr);
  }
}

}  // namespace

void ConvWinograd(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) WinogradPart(p, call, part);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
HWY_EXPORT(ConvWinograd);
Kernel<ConvParams> ConvWinogradPointer() { return TENON_POINTER(ConvWinograd); }
}  // namespace tenon::kernels
#endif
