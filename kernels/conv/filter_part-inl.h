// A part of a convolution from blocked to blocked: a run of output rows of one tile of filters. Input channels are taken in chunks whose
// weights stay near while all rows of the part pass by; between chunks the sums rest in the output. Included once per Highway target.
#if defined(TENON_KERNELS_CONV_FILTER_PART_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_CONV_FILTER_PART_INL_H_
#undef TENON_KERNELS_CONV_FILTER_PART_INL_H_
#else
#define TENON_KERNELS_CONV_FILTER_PART_INL_H_
#endif

#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// The weights that come next, fetched into L2 line by line while products are summed.
struct Ahead {
  uintptr_t at = 0, end = 0;
  int64_t lines = 0;  ///< a step
  HWY_INLINE void Step() {
    for (int64_t i = 0; i < lines; ++i, at += at < end ? kLine : 0) __builtin_prefetch(reinterpret_cast<const void*>(at), 0, 2);
  }
  static constexpr uintptr_t kLine = 64;
};

/// Input channels whose weights stay near.
struct Chunk {
  const float* src;      ///< first block of the chunk, first pixel of the image
  const float* weights;  ///< of the chunk
  int64_t channels;
  bool first, last;
};

struct FilterPart {
  const ConvParams& p;
  int64_t row_begin, row_end;
  int64_t vectors;   ///< of the tile of filters
  int64_t channels;  ///< of the group
  int64_t in_plane, out_plane;
  const float* src;       ///< first pixel of the group's first block
  const float* weights;   ///< of the tile
  float* dst;             ///< first pixel of the tile's first block
  const float* residual;  ///< likewise, or null
  const float* scale;     ///< one number a channel, or null
  float* scratch;
  Ahead ahead;
  alignas(64) float bias[kMaxVectors * kLanes];

  FilterPart(const ConvParams& params, const Call& call, int64_t part) : p(params) {
    const FilterTiles tiles = filter_tiles(p);
    const Place place = PlaceOf(p, part, p.groups * tiles.tiles);
    const int64_t image = place.image, tile = place.tile % tiles.tiles, group = place.tile / tiles.tiles;
    const int64_t group_filters = p.filters / p.groups;
    const int64_t in_blocks = (p.channels + kBlock - 1) / kBlock, out_blocks = (p.filters + kBlock - 1) / kBlock;
    const int64_t first_block = group * tiles.blocks + tiles.begin(tile);
    row_begin = place.rows * p.rows;
    row_end = row_begin + p.rows < p.out_rows() ? row_begin + p.rows : p.out_rows();
    vectors = (tiles.begin(tile + 1) - tiles.begin(tile)) * kVectorsABlock;
    channels = p.channels / p.groups;
    in_plane = p.in_pixels() * kBlock;
    out_plane = p.out_pixels() * kBlock;
    src = Operand(call, 0, p.shared_input) + (image * in_blocks + group * channels / kBlock) * in_plane;
    weights = Operand(call, 1, p.shared_weights) + p.weights_offset + first_block * channels * p.taps() * kBlock;
    const int64_t offset = (image * out_blocks + first_block) * out_plane;
    dst = Result0(call, p.shared_output) + offset;
    residual = p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + offset : nullptr;
    scale = p.scaled ? call.in<float>(4) + image * in_blocks * kBlock : nullptr;
    scratch = reinterpret_cast<float*>(call.scratch);
    CopyBias(p.epilogue.bias ? Operand(call, 2, p.epilogue.shared_bias) : nullptr, group * group_filters + tiles.begin(tile) * kBlock,
             vectors * kLanes, p.filters, bias);
  }

  /// Output row r for one chunk.
  HWY_INLINE Results Row(const Chunk& chunk, int64_t r) const {
    const int64_t z = r / p.out[1] * p.out_step[0] + p.out_first[0], y = r % p.out[1] * p.out_step[1] + p.out_first[1];
    const int64_t offset = ((z * p.size(1) + y) * p.size(2) + p.out_first[2]) * kBlock;
    Results row;
    row.bias = chunk.first ? bias : nullptr;
    row.to = dst + offset;
    row.pitch = p.out_step[2] * kBlock;
    row.plane = out_plane;
    row.residual = residual != nullptr ? residual + offset : nullptr;
    row.epilogue = chunk.last ? &p.epilogue : nullptr;
    return row;
  }
  /// Pixels of output row r.
  HWY_INLINE int64_t Width(int64_t r) const { return p.out[2] - (r + 1 == p.out_rows() ? p.lacking : 0); }

  /// Calls f(Chunk) for each chunk in turn; f steps `ahead` once a tap and block of channels of every tile of pixels.
  template <class F>
  HWY_INLINE void EachChunk(F&& f) {
    const int64_t tiles_passing = (row_end - row_begin) * Pieces(p.out[2], MaxPixels(static_cast<int>(vectors))).count;
    for (int64_t channel = 0; channel < channels; channel += p.chunk) {
      Chunk chunk;
      chunk.first = channel == 0;
      chunk.last = channel + p.chunk >= channels;
      chunk.channels = chunk.last ? channels - channel : p.chunk;
      chunk.src = src + channel / kBlock * in_plane;
      chunk.weights = weights + channel * p.taps() * vectors * kLanes;
      const int64_t lines = chunk.channels * p.taps() * vectors * kLanes * 4 / static_cast<int64_t>(Ahead::kLine);
      const int64_t steps = tiles_passing * ((chunk.channels + kBlock - 1) / kBlock) * p.taps();
      ahead.at = reinterpret_cast<uintptr_t>(chunk.weights) + static_cast<uintptr_t>(lines) * Ahead::kLine;
      ahead.end = ahead.at + static_cast<uintptr_t>(lines) * Ahead::kLine;
      ahead.lines = steps > 0 ? (lines + steps - 1) / steps : 0;
      if (scale != nullptr) {
        ScaleWeights(chunk.weights, scale + channel, chunk.channels, vectors, scratch);
        chunk.weights = scratch;
      }
      f(chunk);
    }
  }

 private:
  /// The weights of a chunk times one number a channel.
  static void ScaleWeights(const float* from, const float* scale, int64_t channels, int64_t vectors, float* to) {
    const DF d;
    for (int64_t c = 0; c < channels; ++c) {
      const VF factor = hn::Set(d, scale[c]);
      for (int64_t v = 0; v < vectors; ++v, from += kLanes, to += kLanes) hn::StoreU(hn::Mul(factor, hn::LoadU(d, from)), d, to);
    }
  }
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
