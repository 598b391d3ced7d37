// Direct convolution from blocked to blocked. A part is a run of output rows of one tile of filters. Input channels are taken in chunks
// whose weights stay in L1 while all rows of the part pass by; between chunks the sums rest in the output.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/direct.cc"
#include "hwy/foreach_target.h"

#include <type_traits>

#include "hwy/highway.h"
#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

alignas(64) constexpr float kZeros[16] = {};

/// The weights that come next, fetched into L2 line by line while products are summed.
struct Ahead {
  uintptr_t at = 0, end = 0;
  int64_t lines = 0;  ///< a step
  HWY_INLINE void Step() {
    if (at >= end) return;
    for (int64_t i = 0; i < lines; ++i, at += kLine) __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
  }
  static constexpr uintptr_t kLine = 64;
};

/// One output row for one chunk of input channels.
struct Row {
  const float* src;      ///< first block of the chunk, first pixel of the image
  const float* weights;  ///< of the chunk
  int64_t channels;      ///< of the chunk
  int64_t line;          ///< from `src` to the line of the first tap inside the image
  TapRange zs, ys;       ///< taps inside the image
  bool pointwise;        ///< there is one tap alone
  int64_t in_plane, out_plane;
  int64_t width;  ///< pixels
  float* dst;     ///< first pixel of the row, first block of the tile
  const float* residual;
  bool first, last;  ///< chunk
  Ahead* ahead;
};

/// Sums over one tap position of one block of channels.
template <int R, int V, class Pixels>
HWY_INLINE void AccumulateBlock(const Pixels& x, const float* w, int64_t channels, VF (&acc)[R][V]) {
  if (HWY_LIKELY(channels == kBlock)) {
    Accumulate<R, V>(x, One(), w, std::integral_constant<int64_t, kBlock>(), acc);
  } else {
    Accumulate<R, V>(x, One(), w, channels, acc);
  }
}

/// All channels of a chunk at one tap position, whose inputs lie in blocks `plane` floats apart.
template <int R, int V>
HWY_INLINE void AccumulateChunk(const float* first, int64_t plane, int64_t channels, const float* w, Ahead& ahead, VF (&acc)[R][V]) {
  for (; channels >= kBlock; channels -= kBlock, first += plane, w += kBlock * V * kLanes) {
    Accumulate<R, V>(Regular<kBlock>{first}, One(), w, std::integral_constant<int64_t, kBlock>(), acc);
    ahead.Step();
  }
  if (channels > 0) Accumulate<R, V>(Regular<kBlock>{first}, One(), w, channels, acc);
}

template <int R, int V>
HWY_NOINLINE void ConvTile(const ConvParams& p, const Row& row, const float* bias, int64_t ox) {
  const int64_t out_plane = row.out_plane, in_plane = row.in_plane;
  const int64_t stride = p.stride[2], dilation = p.dilation[2], kernel = p.kernel[2], width = p.in[2];
  const int64_t x0 = ox * stride - p.pad[2];
  const bool inside = x0 >= 0 && x0 + (R - 1) * stride + (kernel - 1) * dilation < width;
  const bool regular = inside && stride == 1;
  const int64_t pitch = p.out_step[2] * kBlock;
  float* dst = row.dst + ox * pitch;

  VF acc[R][V];
  if (row.first) {
    FillTile<R, V>(bias, acc);
  } else {
    LoadTile<R, V>(dst, pitch, out_plane, acc);
  }
  Ahead ahead = *row.ahead;
  const float* plane = row.src + row.line;
  const float* w = row.weights;
  if (regular && row.pointwise) {
    AccumulateChunk<R, V>(plane + x0 * kBlock, in_plane, row.channels, w, ahead, acc);
  } else {
    const int64_t depths = row.zs.end - row.zs.begin, heights = row.ys.end - row.ys.begin;
    const int64_t next_line = p.dilation[1] * width * kBlock, next_depth = p.dilation[0] * p.in[1] * width * kBlock;
    const int64_t taps = p.taps(), first_tap = (row.zs.begin * p.kernel[1] + row.ys.begin) * kernel, depth_taps = p.kernel[1] * kernel;
    for (int64_t left = row.channels; left > 0; left -= kBlock, plane += in_plane) {
      const int64_t channels = left < kBlock ? left : kBlock, tap_size = channels * V * kLanes;
      for (int64_t z = 0; z < depths; ++z) {
        const float* tap = w + (first_tap + z * depth_taps) * tap_size;
        const float* line = plane + z * next_depth;
        for (int64_t y = 0; y < heights; ++y, line += next_line) {
          int64_t ix = x0;
          for (int64_t kx = 0; kx < kernel; ++kx, tap += tap_size, ix += dilation) {
            if (regular) {
              AccumulateBlock<R, V>(Regular<kBlock>{line + ix * kBlock}, tap, channels, acc);
            } else {
              Scattered<R> x;
#pragma GCC unroll 14
              for (int r = 0; r < R; ++r) {
                const int64_t at = ix + r * stride;
                x.pixel[r] = inside || (at >= 0 && at < width) ? line + at * kBlock : kZeros;
              }
              AccumulateBlock<R, V>(x, tap, channels, acc);
            }
            ahead.Step();
          }
        }
      }
      w += taps * tap_size;
    }
  }
  row.ahead->at = ahead.at;
  if (row.last) {
    FinishTile<R, V>(p.epilogue, acc, row.residual != nullptr ? row.residual + ox * pitch : nullptr, dst, pitch, out_plane);
  } else {
    StoreTile<R, V>(acc, dst, pitch, out_plane);
  }
}

using TileFunction = void (*)(const ConvParams&, const Row&, const float* bias, int64_t ox);
template <int V, int R = 1>
HWY_INLINE TileFunction Select(int64_t r) {
  if constexpr (R >= MaxPixels(V)) {
    return ConvTile<R, V>;
  } else {
    return r == R ? TileFunction(ConvTile<R, V>) : Select<V, R + 1>(r);
  }
}

/// The weights of a chunk times one number a channel.
void ScaleWeights(const float* weights, const float* scale, int64_t channels, int64_t vectors, float* to) {
  const DF d;
  for (int64_t c = 0; c < channels; ++c) {
    const VF factor = hn::Set(d, scale[c]);
    for (int64_t v = 0; v < vectors; ++v, weights += kLanes, to += kLanes) hn::StoreU(hn::Mul(factor, hn::LoadU(d, weights)), d, to);
  }
}

template <int V>
void ConvRow(const ConvParams& p, const Row& row, const float* bias) {
  const Pieces pieces(row.width, MaxPixels(V));
  const int64_t small = row.width / pieces.count;
  const TileFunction tiles[2] = {Select<V>(small), Select<V>(small + 1)};
  for (int64_t i = 0; i < pieces.count; ++i) {
    const int64_t ox = pieces.begin(i);
    tiles[pieces.begin(i + 1) - ox - small](p, row, bias, ox);
  }
}

void ConvRowOf(int64_t vectors, const ConvParams& p, const Row& row, const float* bias) {
  if constexpr (kVectorsABlock == 1) {
    if (vectors == 1) return ConvRow<1>(p, row, bias);
    if (vectors == 3) return ConvRow<3>(p, row, bias);
  }
  if (vectors == 2) return ConvRow<2>(p, row, bias);
  ConvRow<4>(p, row, bias);
}

void ConvPart(const ConvParams& p, const Call& call, int64_t part) {
  const FilterTiles tiles = filter_tiles(p);
  const Place place = PlaceOf(p, part, p.groups * tiles.tiles);
  const int64_t row_begin = place.rows * p.rows;
  const int64_t row_end = row_begin + p.rows < p.out_rows() ? row_begin + p.rows : p.out_rows();
  const int64_t image = place.image, tile = place.tile % tiles.tiles, group = place.tile / tiles.tiles;

  const int64_t group_channels = p.channels / p.groups;
  const int64_t group_filters = p.filters / p.groups;
  const int64_t in_plane = p.in_pixels() * kBlock;
  const int64_t out_plane = p.out_pixels() * kBlock;
  const int64_t in_blocks = (p.channels + kBlock - 1) / kBlock;
  const int64_t out_blocks = (p.filters + kBlock - 1) / kBlock;
  const int64_t first_block = group * tiles.blocks + tiles.begin(tile);
  const int64_t vectors = (tiles.begin(tile + 1) - tiles.begin(tile)) * kVectorsABlock;
  const int64_t per_block = group_channels * p.taps() * kBlock;

  const float* src = Operand(call, 0, p.shared_input) + (image * in_blocks + group * group_channels / kBlock) * in_plane;
  const float* weights = Operand(call, 1, p.shared_weights) + p.weights_offset + first_block * per_block;
  const int64_t out_offset = (image * out_blocks + first_block) * out_plane;
  float* dst = Result0(call, p.shared_output) + out_offset;
  const float* residual = p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + out_offset : nullptr;
  alignas(64) float bias[kMaxVectors * kLanes];
  CopyBias(p.epilogue.bias ? Operand(call, 2, p.epilogue.shared_bias) : nullptr, group * group_filters + tiles.begin(tile) * kBlock,
           vectors * kLanes, p.filters, bias);

  const float* scale = p.scaled ? call.in<float>(4) + image * in_blocks * kBlock : nullptr;
  Ahead ahead;
  Row row;
  row.ahead = &ahead;
  row.in_plane = in_plane, row.out_plane = out_plane;
  const int64_t tiles_passing = (row_end - row_begin) * Pieces(p.out[2], MaxPixels(static_cast<int>(vectors))).count;
  for (int64_t channel = 0; channel < group_channels; channel += p.chunk) {
    row.first = channel == 0;
    row.last = channel + p.chunk >= group_channels;
    row.channels = row.last ? group_channels - channel : p.chunk;
    row.src = src + channel / kBlock * in_plane;
    row.weights = weights + channel * p.taps() * vectors * kLanes;
    const int64_t chunk_lines = row.channels * p.taps() * vectors * kLanes * 4 / static_cast<int64_t>(Ahead::kLine);
    const int64_t steps = tiles_passing * ((row.channels + kBlock - 1) / kBlock) * p.taps();
    ahead.at = reinterpret_cast<uintptr_t>(row.weights) + static_cast<uintptr_t>(chunk_lines) * Ahead::kLine;
    ahead.end = ahead.at + static_cast<uintptr_t>(chunk_lines) * Ahead::kLine;
    ahead.lines = steps > 0 ? (chunk_lines + steps - 1) / steps : 0;
    if (scale != nullptr) {
      float* scaled = reinterpret_cast<float*>(call.scratch);
      ScaleWeights(row.weights, scale + channel, row.channels, vectors, scaled);
      row.weights = scaled;
    }
    for (int64_t r = row_begin; r < row_end; ++r) {
      const int64_t z = r / p.out[1] * p.stride[0] - p.pad[0], y = r % p.out[1] * p.stride[1] - p.pad[1];
      row.zs = ValidTaps(z, p.dilation[0], p.kernel[0], p.in[0]);
      row.ys = ValidTaps(y, p.dilation[1], p.kernel[1], p.in[1]);
      row.pointwise = p.taps() == 1 && row.zs.end == 1 && row.ys.end == 1;
      row.line = ((z + row.zs.begin * p.dilation[0]) * p.in[1] + y + row.ys.begin * p.dilation[1]) * p.in[2] * kBlock;
      const int64_t oz = r / p.out[1] * p.out_step[0] + p.out_first[0];
      const int64_t oy = r % p.out[1] * p.out_step[1] + p.out_first[1];
      const int64_t offset = ((oz * p.size(1) + oy) * p.size(2) + p.out_first[2]) * kBlock;
      row.width = p.out[2] - (r + 1 == p.out_rows() ? p.lacking : 0);
      row.dst = dst + offset;
      row.residual = residual != nullptr ? residual + offset : nullptr;
      ConvRowOf(vectors, p, row, bias);
    }
  }
}

}  // namespace

void ConvDirect(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) ConvPart(p, call, part);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
HWY_EXPORT(ConvDirect);
Kernel<ConvParams> ConvDirectPointer() { return TENON_POINTER(ConvDirect); }
}  // namespace tenon::kernels
#endif
