// First-layer convolution: plain input with few channels, blocked output. A part copies the input lines it reads into a padded buffer, so
// that taps along a line are one run of contiguous floats.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/plain_input.cc"
#include "hwy/foreach_target.h"

#include <cstring>

#include "hwy/highway.h"
#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// The padded copy: [channel][kernel depth][line][width].
struct Lines {
  float* data;
  int64_t count, width;  ///< lines of one depth
};

void CopyLines(const ConvParams& p, const float* src, int64_t z0, int64_t y0, const Lines& lines) {
  const int64_t channels = p.channels / p.groups;
  const int64_t before = p.pad[2] < lines.width ? p.pad[2] : lines.width;
  float* to = lines.data;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t kz = 0; kz < p.kernel[0]; ++kz) {
      const int64_t z = z0 + kz * p.dilation[0];
      for (int64_t l = 0; l < lines.count; ++l, to += lines.width) {
        const int64_t y = y0 + l;
        if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1]) {
          std::memset(to, 0, lines.width * sizeof(float));
          continue;
        }
        const float* from = src + ((c * p.in[0] + z) * p.in[1] + y) * p.in[2];
        const int64_t n = lines.width - before < p.in[2] ? lines.width - before : p.in[2];
        std::memset(to, 0, before * sizeof(float));
        std::memcpy(to + before, from, n * sizeof(float));
        std::memset(to + before + n, 0, (lines.width - before - n) * sizeof(float));
      }
    }
  }
}

/// The taps of one line.
template <int R, int V, class Pixels>
HWY_INLINE void AccumulateLine(const ConvParams& p, const Pixels& x, const float* w, VF (&acc)[R][V]) {
  if (p.kernel[2] == 3) return Accumulate<R, V>(x, p.dilation[2], w, std::integral_constant<int64_t, 3>(), acc);
  Accumulate<R, V>(x, p.dilation[2], w, p.kernel[2], acc);
}

/// dst: first pixel of the row; from: first line of the row.
template <int R, int V>
HWY_NOINLINE void PlainTile(const ConvParams& p, const Lines& lines, const float* from, const float* w, const float* bias, float* dst,
                            const float* residual, int64_t ox) {
  const int64_t out_plane = p.out[0] * p.out[1] * p.out[2] * kBlock;
  VF acc[R][V];
  FillTile<R, V>(bias, acc);
  const float* depth = from + ox * p.stride[2];
  for (int64_t c = 0; c < p.channels / p.groups * p.kernel[0]; ++c, depth += lines.count * lines.width) {
    for (int64_t ky = 0; ky < p.kernel[1]; ++ky) {
      const float* line = depth + ky * p.dilation[1] * lines.width;
      if (p.stride[2] == 1) {
        AccumulateLine<R, V>(p, Regular<1>{line}, w, acc);
      } else if (p.stride[2] == 2) {
        AccumulateLine<R, V>(p, Regular<2>{line}, w, acc);
      } else {
        Scattered<R> x;
#pragma GCC unroll 14
        for (int r = 0; r < R; ++r) x.pixel[r] = line + r * p.stride[2];
        AccumulateLine<R, V>(p, x, w, acc);
      }
      w += p.kernel[2] * V * kLanes;
    }
  }
  FinishTile<R, V>(p.epilogue, acc, residual != nullptr ? residual + ox * kBlock : nullptr, dst + ox * kBlock, kBlock, out_plane);
}

using TileFunction = void (*)(const ConvParams&, const Lines&, const float*, const float*, const float*, float*, const float*, int64_t);
template <int V, int R = 1>
HWY_INLINE TileFunction Select(int64_t r) {
  if constexpr (R >= MaxPixels(V)) {
    return PlainTile<R, V>;
  } else {
    return r == R ? TileFunction(PlainTile<R, V>) : Select<V, R + 1>(r);
  }
}

template <int V>
void PlainRow(const ConvParams& p, const Lines& lines, const float* from, const float* w, const float* bias, float* dst,
              const float* residual) {
  const Pieces pieces(p.out[2], MaxPixels(V));
  const int64_t small = p.out[2] / pieces.count;
  const TileFunction tiles[2] = {Select<V>(small), Select<V>(small + 1)};
  for (int64_t i = 0; i < pieces.count; ++i) {
    const int64_t ox = pieces.begin(i);
    tiles[pieces.begin(i + 1) - ox - small](p, lines, from, w, bias, dst, residual, ox);
  }
}

/// A part: the rows of one tile of filters.
void PlainPart(const ConvParams& p, const Call& call, int64_t part) {
  const FilterTiles tiles = filter_tiles(p);
  const Place place = PlaceOf(p, part, p.groups * tiles.tiles);
  const int64_t row_begin = place.rows * p.rows;
  const int64_t row_end = row_begin + p.rows < p.out_rows() ? row_begin + p.rows : p.out_rows();
  const int64_t image = place.image, tile = place.tile % tiles.tiles, group = place.tile / tiles.tiles;

  const int64_t group_channels = p.channels / p.groups;
  const int64_t in_size = p.in[0] * p.in[1] * p.in[2];
  const int64_t out_plane = p.out[0] * p.out[1] * p.out[2] * kBlock;
  const int64_t out_blocks = (p.filters + kBlock - 1) / kBlock;
  const int64_t first_block = group * tiles.blocks + tiles.begin(tile);
  const int64_t vectors = (tiles.begin(tile + 1) - tiles.begin(tile)) * kVectorsABlock;

  const float* src = Operand(call, 0, p.shared_input) + (image * p.channels + group * group_channels) * in_size;
  const float* w = Operand(call, 1, p.shared_weights) + first_block * group_channels * p.taps() * kBlock;
  const int64_t out_offset = (image * out_blocks + first_block) * out_plane;
  float* dst = Result0(call, p.shared_output) + out_offset;
  const float* residual = p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + out_offset : nullptr;
  alignas(64) float bias[kMaxVectors * kLanes];
  CopyBias(p.epilogue.bias ? Operand(call, 2, p.epilogue.shared_bias) : nullptr,
           group * (p.filters / p.groups) + tiles.begin(tile) * kBlock, vectors * kLanes, p.filters, bias);

  Lines lines;
  lines.data = reinterpret_cast<float*>(call.scratch);
  lines.width = (p.out[2] - 1) * p.stride[2] + (p.kernel[2] - 1) * p.dilation[2] + 1;
  for (int64_t r = row_begin; r < row_end;) {
    // The rows of one depth.
    const int64_t z = r / p.out[1];
    const int64_t end = row_end < (z + 1) * p.out[1] ? row_end : (z + 1) * p.out[1];
    lines.count = (end - r - 1) * p.stride[1] + (p.kernel[1] - 1) * p.dilation[1] + 1;
    CopyLines(p, src, z * p.stride[0] - p.pad[0], r % p.out[1] * p.stride[1] - p.pad[1], lines);
    for (int64_t first = r; r < end; ++r) {
      const float* from = lines.data + (r - first) * p.stride[1] * lines.width;
      float* to = dst + r * p.out[2] * kBlock;
      const float* add = residual != nullptr ? residual + r * p.out[2] * kBlock : nullptr;
      if constexpr (kVectorsABlock == 1) {
        if (vectors == 1) PlainRow<1>(p, lines, from, w, bias, to, add);
        if (vectors == 3) PlainRow<3>(p, lines, from, w, bias, to, add);
      }
      if (vectors == 2) PlainRow<2>(p, lines, from, w, bias, to, add);
      if (vectors == 4) PlainRow<4>(p, lines, from, w, bias, to, add);
    }
  }
}

}  // namespace

void ConvPlainInput(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) PlainPart(p, call, part);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
HWY_EXPORT(ConvPlainInput);
Kernel<ConvParams> ConvPlainInputPointer() { return TENON_POINTER(ConvPlainInput); }
}  // namespace tenon::kernels
#endif
