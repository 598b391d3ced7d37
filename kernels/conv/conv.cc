// The table of blocked convolutions, how they are cut into parts, and how their weights are packed.
#include "kernels/conv/conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <numeric>

#include "kernels/conv/winograd.h"
#include "kernels/dispatch.h"
#include "kernels/movement/copy.h"
#include "kernels/onednn/onednn.h"

namespace tenon::kernels {

int channel_block() { return float_lanes() >= 16 ? 16 : 8; }
int64_t max_tile_blocks() { return float_lanes() >= 8 ? 4 : 2; }

namespace {

int64_t blocks_of(int64_t channels) { return (channels + channel_block() - 1) / channel_block(); }

/// Multiply-adds a part should have, for about 30 microseconds.
constexpr int64_t kPartWork = int64_t{3} << 20;
/// Bytes of a chunk's weights: with AVX2 they stay in L1; sums of wide vectors that rest in memory cost more than weights out of L2.
int64_t chunk_bytes() { return (float_lanes() >= 16 ? 96 : 24) << 10; }
constexpr int64_t kLinesInL1 = 24 << 10;
constexpr int64_t kInputInL2 = 256 << 10;

/// A convolution with more work than a part needs is cut into so many parts at least, of no less than kLeastWork multiply-adds.
constexpr int64_t kEnoughParts = 8;
constexpr int64_t kLeastWork = int64_t{1} << 19;
/// A depthwise convolution over fewer rows is shared out by channels, as the layers beside it are by filters.
constexpr int64_t kRowsToCut = 16;

/// Cuts the pixels of a 1x1 convolution with stride 1 into `least` or more rows of equal length, an even number of them when `even`; the
/// last one takes what is left. Long rows make full tiles.
void fold_pointwise(ConvParams& p, int64_t least, bool even) {
  for (int i = 0; i < 3; ++i) {
    if (p.kernel[i] != 1 || p.out_step[i] != 1 || p.stride[i] != 1 || p.pad[i] != 0 || p.in[i] != p.out[i]) return;
  }
  constexpr int64_t kLongest = 512, kShortest = 6;
  const int64_t pixels = p.out_rows() * p.out[2] - p.lacking;
  if (pixels == 0) return;
  int64_t rows = std::max(std::min(least, pixels / kShortest), (pixels + kLongest - 1) / kLongest);
  if (even && rows > 1) rows += rows % 2;
  p.out[2] = (pixels + rows - 1) / rows;
  rows = (pixels + p.out[2] - 1) / p.out[2];
  p.lacking = rows * p.out[2] - pixels;
  p.in[0] = p.out[0] = 1;
  p.in[1] = p.out[1] = rows;
  p.in[2] = p.out[2];
}

}  // namespace

FilterTiles filter_tiles(const ConvParams& p) {
  FilterTiles t;
  t.blocks = blocks_of(p.filters / p.groups);
  const int64_t widest = p.tile_blocks != 0 ? p.tile_blocks : max_tile_blocks();
  t.tiles = (t.blocks + widest - 1) / widest;
  return t;
}

int64_t plan_conv(ConvParams& p) {
  const int64_t block = channel_block();
  const int64_t group_channels = p.channels / p.groups;
  const bool grouped = p.format == ConvFormat::kGrouped;
  if (winograd_tile(p.format) != 0) return plan_winograd(p);
  if (p.slices != nullptr) {
    p.scratch = static_cast<int64_t>(p.slices->scratch_bytes());
    return p.out_rows() * p.out[2] == 0 ? 0 : p.batch * p.slices->count();
  }

  const int64_t tile_filters = grouped ? block : std::min(max_tile_blocks(), blocks_of(p.filters / p.groups)) * block;
  const int64_t tiles = grouped ? blocks_of(p.filters) : p.groups * filter_tiles(p).tiles;
  // In double: a shape may be far beyond what memory holds, and is refused only later.
  const auto size = [](int64_t v) { return static_cast<double>(v); };
  const double weights = size(p.filters) * size(group_channels) * size(p.taps());
  // Where images are larger than weights threads share the rows: what one of them leaves in its cache is what it needs in the next layer.
  p.rows_first =
      grouped ? p.out_rows() >= kRowsToCut : size(p.batch) * size(p.channels) * size(p.in[0]) * size(p.in[1]) * size(p.in[2]) > weights;
  const double enough = std::clamp(size(p.batch) * size(p.out_rows()) * size(p.out[2]) * weights / kLeastWork, 1.0, size(kEnoughParts));
  const double beside = std::max(1.0, size(p.batch) * size(tiles));
  const auto least = static_cast<int64_t>(std::max(std::ceil(enough / beside), p.rows_first && enough > 1 ? 2.0 : 1.0));
  if (p.format == ConvFormat::kDirect) fold_pointwise(p, least, p.rows_first);

  const double row_work = size(p.out[2]) * size(tile_filters) * size(group_channels) * size(p.taps());
  const double row_input = size(p.in[2]) * size(p.stride[1]) * size(grouped ? block : group_channels) * 4;
  const double rows =
      std::min({kPartWork / std::max(row_work, 1.0) + 1, kInputInL2 / std::max(row_input, 1.0), size(p.out_rows()) / size(least)});
  p.rows = static_cast<int64_t>(std::clamp(rows, 1.0, std::max(1.0, size(p.out_rows()))));
  // Equal parts, rather an even number of them.
  int64_t row_parts = std::max<int64_t>(1, p.row_parts());
  if (row_parts > 1 && row_parts < p.out_rows()) row_parts += row_parts % 2;
  p.rows = std::max<int64_t>(1, (p.out_rows() + row_parts - 1) / row_parts);

  p.chunk = std::max<int64_t>(1, chunk_bytes() / (std::max<int64_t>(1, p.taps()) * tile_filters * 4 * block)) * block;
  p.scratch = p.scaled ? p.chunk * tile_filters * 4 : 0;
  if (p.format == ConvFormat::kPlainInput) {
    // A padded copy of the input lines that the part reads, 16 floats of slack.
    const int64_t width = (p.out[2] - 1) * p.stride[2] + (p.kernel[2] - 1) * p.dilation[2] + 1;
    const auto bytes = [&] {
      const int64_t lines = (p.rows - 1) * p.stride[1] + (p.kernel[1] - 1) * p.dilation[1] + 1;
      return (size(group_channels) * size(p.kernel[0]) * size(lines) * size(width) + 16) * 4;
    };
    if (bytes() > kMaxConvScratch) p.rows = 1;
    if (bytes() > kMaxConvScratch) return -1;
    p.scratch = static_cast<int64_t>(bytes());
  }
  if (grouped && !(p.channels == p.groups && p.filters == p.groups)) {
    const ConvRing ring = conv_ring(p);
    const double lines = size(p.kernel[0]) * size(ring.slots) * std::max(0.0, size(ring.width));
    const double channel = lines * size(block * 4) + kConvLanesBytes;
    if (channel > kMaxConvScratch) return -1;
    const int64_t most = std::max<int64_t>(1, kLinesInL1 / static_cast<int64_t>(channel));
    const int64_t chunks = (group_channels + most - 1) / most;
    p.chunk = (group_channels + chunks - 1) / chunks;
    p.scratch = p.chunk * static_cast<int64_t>(channel);
  }
  if (p.out_rows() * p.out[2] == 0) return 0;
  if (grouped) return p.batch * blocks_of(p.filters) * p.row_parts();
  return p.groups * filter_tiles(p).tiles * p.batch * p.row_parts();
}

bool gathers_pixels(const ConvParams& p) {
  constexpr int64_t kFewPixels = 8, kManyTiles = 4;
  if (p.format != ConvFormat::kDirect || p.groups != 1 || p.taps() != 1 || p.out[2] > kFewPixels || p.out_rows() < 2) return false;
  bool strides = false;
  for (int i = 0; i < 3; ++i) {
    if (p.pad[i] != 0 || (p.out[i] - 1) * p.stride[i] >= p.in[i]) return false;
    strides |= p.stride[i] != 1;
  }
  return strides && filter_tiles(p).tiles >= kManyTiles;
}

int64_t GatherPixelsParams::parts() const { return conv.batch * blocks_of(conv.channels); }
int64_t GatherPixelsParams::bytes() const { return parts() * conv.out_rows() * conv.out[2] * channel_block() * 4; }

namespace {
void gather_pixels(const GatherPixelsParams& g, const Call& call, Range range) {
  const ConvParams& p = g.conv;
  const int64_t block = channel_block(), plane = p.in[0] * p.in[1] * p.in[2] * block;
  const size_t bytes = static_cast<size_t>(block) * sizeof(float);
  const float* const x = p.shared_input >= 0 ? reinterpret_cast<const float*>(call.shared + p.shared_input) : call.in<float>(0);
  float* to = reinterpret_cast<float*>(call.shared + g.to) + range.begin * p.out_rows() * p.out[2] * block;
  for (int64_t part = range.begin; part < range.end; ++part) {
    for (int64_t r = 0; r < p.out_rows(); ++r) {
      const int64_t z = r / p.out[1] * p.stride[0], y = r % p.out[1] * p.stride[1];
      const float* const line = x + part * plane + (z * p.in[1] + y) * p.in[2] * block;
      for (int64_t ox = 0; ox < p.out[2]; ++ox, to += block) std::memcpy(to, line + ox * p.stride[2] * block, bytes);
    }
  }
}
}  // namespace
Kernel<GatherPixelsParams> GatherPixelsPointer() { return &gather_pixels; }

namespace {
/// Whether weights are packed as [block of filters][channel][tap][filter of the block].
bool packs_blocks(const ConvParams& p) { return p.format == ConvFormat::kGrouped || winograd_tile(p.format) != 0; }
}  // namespace

int64_t packed_conv_weights(const ConvParams& p) {
  const int64_t per_filter = p.channels / p.groups * p.taps();
  if (packs_blocks(p)) return blocks_of(p.filters) * channel_block() * per_filter;
  return p.groups * filter_tiles(p).blocks * channel_block() * per_filter;
}

namespace {

/// The filters of one part of the packing, of all groups' filters.
struct PackedFilters {
  int64_t first, count;
  int64_t width;  ///< filters that there is room for
  int64_t block;  ///< the first block of filters that they lie in
};

PackedFilters packed_filters(const ConvParams& p, int64_t part) {
  const int64_t block = channel_block(), group_filters = p.filters / p.groups;
  PackedFilters filters{.first = part * block, .count = 0, .width = block, .block = part};
  int64_t end = p.filters;
  if (!packs_blocks(p)) {
    const FilterTiles tiles = filter_tiles(p);
    const int64_t g = part / tiles.tiles, i = part % tiles.tiles;
    filters.block = g * tiles.blocks + tiles.begin(i), end = (g + 1) * group_filters;
    filters.first = g * group_filters + tiles.begin(i) * block, filters.width = (tiles.begin(i + 1) - tiles.begin(i)) * block;
  }
  filters.count = std::min(filters.width, end - filters.first);
  return filters;
}

/// Where they lie among the packed weights: [channel block][tap][channel of the block][filter].
float* place(const ConvParams& p, const PackedFilters& filters, float* packed) {
  return packed + filters.block * channel_block() * (p.channels / p.groups * p.taps());
}

/// Channels of the packed weights' channel blocks.
int64_t packed_channels(const ConvParams& p) { return p.format == ConvFormat::kDirect ? channel_block() : 1; }

}  // namespace

int64_t conv_pack_parts(const ConvParams& p) {
  if (packs_blocks(p)) return blocks_of(p.filters);
  return filter_tiles(p).tiles * p.groups;
}

Range conv_pack_filters(const ConvParams& p, int64_t part) {
  const PackedFilters filters = packed_filters(p, part);
  return {filters.first, filters.first + filters.count};
}

void pack_conv_filters(const ConvParams& p, int64_t part, Range some, const float* weights, float* packed) {
  constexpr int64_t kSize = sizeof(float), kMostRows = 64, kWidest = 64;
  const int64_t group_channels = p.channels / p.groups, taps = p.taps(), step = packed_channels(p);
  const Kernel<CopyParams> transpose = copy_transposed();
  const PackedFilters filters = packed_filters(p, part);
  const int64_t width = filters.width, count = some.end - some.begin;
  float* const to = place(p, filters, packed);
  if (some.begin == filters.first && filters.count < width) std::fill_n(to, group_channels * taps * width, 0.0f);
  float* const first_to = to + (some.begin - filters.first);
  // Rows of these filters, `pitch` floats apart, one for each of the weights [first, end) of a filter.
  const auto rows = [&](int64_t first, int64_t end, float* row, int64_t pitch) {
    CopyParams copy;
    copy.element = kSize;
    copy.k = {end - first, kSize, pitch * kSize};
    copy.l = {count, group_channels * taps * kSize, kSize};
    copy.k_block = copy.k.count, copy.l_block = copy.l.count;
    const void* const src[] = {weights + first};
    void* const dst[] = {row};
    transpose(copy, {.src = src, .dst = dst}, {0, 1});
  };
  if (taps == 1 || step == 1) return rows(0, group_channels * taps, first_to, width);
  // A block of channels has its taps outside.
  alignas(64) float held[kMostRows * kWidest];
  for (int64_t c = 0; c < group_channels; c += step) {
    const int64_t channels = std::min(step, group_channels - c), all = channels * taps;
    float* const block = first_to + c * taps * width;
    int64_t channel = 0, tap = 0;
    for (int64_t i = 0; i < all; i += kMostRows) {
      const int64_t n = std::min(kMostRows, all - i);
      rows(c * taps + i, c * taps + i + n, held, count);
      for (int64_t j = 0; j < n; ++j) {
        std::copy_n(held + j * count, count, block + (tap * channels + channel) * width);
        if (++tap == taps) tap = 0, ++channel;
      }
    }
  }
}

void pack_conv_weights(const ConvParams& p, const float* weights, float* packed, Range parts) {
  const int64_t per_filter = p.channels / p.groups * p.taps();
  for (int64_t part = parts.begin; part < parts.end; ++part) {
    const Range filters = conv_pack_filters(p, part);
    pack_conv_filters(p, part, filters, weights + filters.begin * per_filter, packed);
  }
}

TransposedPhase transposed_phase(const TransposedParams& t, int64_t i) {
  TransposedPhase phase;
  ConvParams& p = phase.conv;
  p = t.conv;
  for (int d = 2; d >= 0; --d) {
    const int64_t stride = t.conv.stride[d], dilation = t.conv.dilation[d];
    const int64_t residue = i % stride;
    i /= stride;
    // Output position residue + stride * j takes input j + (residue + pad - k * dilation) / stride for the taps k where that is whole.
    const int64_t common = std::gcd(stride, dilation);
    const int64_t step = stride / common;
    const int64_t from = residue + t.conv.pad[d];
    int64_t first = -1;
    for (int64_t k = 0; k < std::min(step, t.conv.kernel[d]) && first < 0; ++k) {
      if ((from - k * dilation) % stride == 0) first = k;
    }
    p.kernel[d] = first < 0 ? 0 : (t.conv.kernel[d] - 1 - first) / step + 1;
    phase.first[d] = std::max<int64_t>(first, 0);
    phase.step[d] = step;
    p.stride[d] = 1;
    p.dilation[d] = dilation / common;
    p.pad[d] = (p.kernel[d] - 1) * p.dilation[d] - (from - phase.first[d] * dilation) / stride;
    if (first < 0) p.pad[d] = 0;
    p.out[d] = t.conv.out[d] > residue ? (t.conv.out[d] - residue - 1) / stride + 1 : 0;
    p.out_step[d] = stride;
    p.out_first[d] = residue;
    p.out_size[d] = t.conv.out[d];
  }
  p.format = ConvFormat::kDirect;
  return phase;
}

void pack_transposed_weights(const TransposedParams& t, const TransposedPhase& phase, const float* weights, float* packed) {
  const ConvParams& p = phase.conv;
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups, step = packed_channels(p);
  // Of filter f, channel c of its group, and tap.
  const auto weight = [&](int64_t f, int64_t c, int64_t tap) {
    int64_t at[3];
    for (int d = 2; d >= 0; --d) {
      at[d] = phase.first[d] + phase.step[d] * (p.kernel[d] - 1 - tap % p.kernel[d]);
      tap /= p.kernel[d];
    }
    const int64_t row = (f / group_filters * group_channels + c) * group_filters + f % group_filters;
    return weights[((row * t.conv.kernel[0] + at[0]) * t.conv.kernel[1] + at[1]) * t.conv.kernel[2] + at[2]];
  };
  for (int64_t part = 0; part < conv_pack_parts(p); ++part) {
    const PackedFilters filters = packed_filters(p, part);
    float* to = place(p, filters, packed);
    for (int64_t c0 = 0; c0 < group_channels; c0 += step) {
      for (int64_t tap = 0; tap < p.taps(); ++tap) {
        for (int64_t c = c0; c < std::min(c0 + step, group_channels); ++c) {
          for (int64_t f = 0; f < filters.width; ++f) *to++ = f < filters.count ? weight(filters.first + f, c, tap) : 0.0f;
        }
      }
    }
  }
}

namespace {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(ConvParams, Name, when, why)
constexpr Row<ConvParams> kRows[] = {
#include "kernels/conv/conv.inc"
};
#undef KERNEL
}  // namespace
const Table<ConvParams> conv{"conv", kRows, std::size(kRows)};

}  // namespace tenon::kernels
