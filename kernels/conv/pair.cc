#include "kernels/conv/pair.h"

#include <algorithm>

#include "kernels/sizes.h"

namespace tenon::kernels {

namespace {

/// Of the band between the two: a part of L2, as the input and the weights want the rest.
constexpr int64_t kBandBytes = 384 << 10;
/// Of the whole result between the two, of an image: less stays in L2 by itself.
constexpr int64_t kLeastBytes = 2 << 20;
/// Of the rows that one row of results wants: more does not stay in L2 until it is read.
constexpr int64_t kMostBytes = 1 << 20;
/// Where threads are busy with whole bands.
constexpr int64_t kEnoughParts = 8;

bool ones(const int64_t (&sizes)[3]) { return sizes[0] == 1 && sizes[1] == 1 && sizes[2] == 1; }

int64_t blocks_of(int64_t channels) { return ceil_div(channels, channel_block()); }

/// Rows of the depthwise input that output rows [begin, end) want, without the pads.
Range rows_wanted(const ConvParams& p, int64_t begin, int64_t end) {
  const int64_t first = begin * p.stride[1] - p.pad[1], last = (end - 1) * p.stride[1] - p.pad[1] + (p.kernel[1] - 1) * p.dilation[1];
  return {std::clamp<int64_t>(first, 0, p.in[1]), std::clamp<int64_t>(last + 1, 0, p.in[1])};
}

/// Of the input, for one row of results.
int64_t window_rows(const ConvParams& p) { return (p.kernel[1] - 1) * p.dilation[1] + 1; }

/// Floats of one row of one block.
int64_t row_floats(const ConvParams& p) { return p.in[2] * channel_block(); }

/// So that the element `offset` floats from the result is `at`, whatever lies between.
template <class T>
T* moved_back(T* at, int64_t offset) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(at) - static_cast<uintptr_t>(offset * static_cast<int64_t>(sizeof(float))));
}

}  // namespace

bool conv_pair_pays(const ConvParams& expand, const ConvParams& depthwise) {
  const ConvParams &e = expand, &d = depthwise;
  if (e.format != ConvFormat::kDirect || e.groups != 1 || e.scaled || e.epilogue.residual || !ones(e.kernel) || !ones(e.stride))
    return false;
  if (d.format != ConvFormat::kGrouped || d.groups != d.channels || d.groups != d.filters || d.epilogue.residual) return false;
  if (e.filters != d.channels || e.in[0] != 1 || d.kernel[0] != 1 || d.out[0] != 1) return false;
  for (int i = 0; i < 3; ++i) {
    if (e.pad[i] != 0 || e.in[i] != e.out[i] || e.out[i] != d.in[i]) return false;
  }
  if (d.out_rows() * d.out[2] == 0 || d.in[1] * d.in[2] == 0) return false;
  if (capped_mul(capped_mul(row_floats(d) * 4, window_rows(d)), max_tile_blocks()) > kMostBytes) return false;
  return capped_mul(capped_mul(d.in[1], row_floats(d) * 4), blocks_of(d.channels)) >= kLeastBytes;
}

int64_t ConvPairParams::parts() const { return expand.batch * filter_tiles(expand).tiles * bands; }

void plan_conv_pair(ConvPairParams& p) {
  ConvParams &e = p.expand, &d = p.depthwise;
  const int64_t whole = e.out[1] * e.out[2];
  plan_conv(e);
  // The image as one row; a band is a piece of it.
  e.in[1] = e.out[1] = 1;
  e.in[2] = e.out[2] = whole;
  e.lacking = 0;
  e.rows = 1;
  e.rows_first = d.rows_first = true;
  const FilterTiles tiles = filter_tiles(e);
  const int64_t widest = ceil_div(tiles.blocks, tiles.tiles), row_bytes = widest * row_floats(d) * 4;
  const int64_t window = window_rows(d);
  const int64_t most = std::clamp<int64_t>((kBandBytes / row_bytes - window) / d.stride[1] + 1, 1, d.out[1]);
  const int64_t enough = ceil_div(kEnoughParts, std::max<int64_t>(1, capped_mul(e.batch, tiles.tiles)));
  p.bands = std::min(d.out[1], std::max(ceil_div(d.out[1], most), enough));
  d.rows = ceil_div(d.out[1], p.bands);
  p.bands = ceil_div(d.out[1], d.rows);
  p.scratch = std::min((d.rows - 1) * d.stride[1] + window, d.in[1]) * row_bytes;
}

void conv_pair(const ConvPairParams& p, const Call& call, Range range) {
  const Kernel<ConvParams> expand = ConvPointwisePointer(), depthwise = ConvDepthwisePointer();
  const FilterTiles tiles = filter_tiles(p.expand);
  const int64_t block = channel_block(), row = row_floats(p.depthwise), plane = p.depthwise.in[1] * row;
  const int64_t in_image = blocks_of(p.expand.channels) * plane;
  const int64_t out_image = blocks_of(p.depthwise.filters) * p.depthwise.out_rows() * p.depthwise.out[2] * block;
  ConvParams e = p.expand, d = p.depthwise;
  e.batch = d.batch = 1;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t tile = part % tiles.tiles, band = part / tiles.tiles % p.bands, image = part / tiles.tiles / p.bands;
    const int64_t first = tiles.begin(tile), end = tiles.begin(tile + 1);
    const Range rows = rows_wanted(d, band * d.rows, std::min((band + 1) * d.rows, d.out[1]));
    float* const between = reinterpret_cast<float*>(call.scratch);
    const int64_t between_plane = (rows.end - rows.begin) * row;
    if (between_plane > 0) {
      e.out[2] = e.out_size[2] = (rows.end - rows.begin) * p.depthwise.in[2];
      e.out_size[0] = e.out_size[1] = 1;
      const void* const src[] = {call.in<float>(0) + image * in_image + rows.begin * row, call.src[1], call.src[2]};
      void* const dst[] = {moved_back(between, first * between_plane)};
      expand(e, {.src = src, .dst = dst, .fault = call.fault}, {tile, tile + 1});
    }
    void* const dst[] = {call.out<float>(0) + image * out_image};
    for (int64_t b = first; b < end; ++b) {
      const float* const lines = between + (b - first) * between_plane;
      const void* const src[] = {moved_back(lines, b * plane + rows.begin * row), call.src[3], call.src[4]};
      const int64_t at = band * blocks_of(d.filters) + b;
      depthwise(d, {.src = src, .dst = dst, .fault = call.fault}, {at, at + 1});
    }
  }
}

}  // namespace tenon::kernels
