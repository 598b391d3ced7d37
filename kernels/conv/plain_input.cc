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

/// `count` tiles of R pixels and V vectors of filters. from: what the first pixel takes of the first line.
template <int R, int V>
HWY_NOINLINE void PlainTiles(const ConvParams& p, const Lines& lines, const float* from, const float* weights, Results& results,
                             int64_t count) {
  const int64_t depths = p.channels / p.groups * p.kernel[0];
  for (; count > 0; --count, from += R * p.stride[2]) {
    VF acc[R][V];
    BeginTile<R, V>(results, acc);
    const float* depth = from;
    const float* w = weights;
    for (int64_t c = 0; c < depths; ++c, depth += lines.count * lines.width) {
      const float* line = depth;
      for (int64_t ky = 0; ky < p.kernel[1]; ++ky, line += p.dilation[1] * lines.width, w += p.kernel[2] * V * kLanes) {
        Accumulate<R, V>(Strided<R>(line, p.stride[2]), p.dilation[2], w, p.kernel[2], acc);
      }
    }
    EndTile<R, V>(results, acc);
    results.Advance(R);
  }
}

struct AllPlainTiles {
  template <int R, int V>
  static constexpr auto kOf = &PlainTiles<R, V>;
};

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
      Results row;
      row.bias = bias;
      row.to = dst + r * p.out[2] * kBlock;
      row.plane = out_plane;
      row.residual = residual != nullptr ? residual + r * p.out[2] * kBlock : nullptr;
      row.epilogue = &p.epilogue;
      EachRun<AllPlainTiles>(vectors, p.out[2],
                             [&](auto tiles, int64_t ox, int64_t count) { tiles(p, lines, from + ox * p.stride[2], w, row, count); });
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
TENON_EXPORT(ConvPlainInput);
Kernel<ConvParams> ConvPlainInputPointer() { return TENON_POINTER(ConvPlainInput); }
}  // namespace tenon::kernels
#endif
