#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/conv_part.h"
#include "kernels/sizes.h"

namespace tenon::kernels {

namespace {
/// Bytes of results of a part, which wait in L2 until all are there.
constexpr int64_t kBlockBytes = 128 << 10;
/// Products that make a part worth handing out, and how many parts are enough.
constexpr double kPartWork = 1 << 20;
constexpr int64_t kEnoughParts = 16;
/// Most bytes of an image.
constexpr double kMaxImage = 1 << 30;

bool is_words(IntegerFormat f) { return f == IntegerFormat::kWordFilters4 || f == IntegerFormat::kWordFilters8; }

/// Filters of a tile at most, where lanes are places.
int64_t tile_filters(IntegerFormat f) {
  switch (f) {
    case IntegerFormat::kByteFilters12: return 12;
    case IntegerFormat::kWordFilters8: return 8;
    default: return 4;
  }
}

/// How many lanes there may be for a filter, before lanes had better be places.
constexpr double kMostLanes = 1.2;
/// Places of an image that is read where it lies: at least a vector of them.
constexpr int64_t kInPlace = 16;
}  // namespace

bool plan_integer_conv(IntegerConvParams& p) {
  const bool quantised = p.y != DType::kInt32 && p.y != DType::kFloat32;
  const bool bytes_format = p.format == IntegerFormat::kByteFilters4 || p.format == IntegerFormat::kByteFilters12;
  p.depthwise = quantised && p.groups == p.channels && p.filters == p.channels;
  p.unit = float_lanes();
  p.by_filters =
      quantised && bytes_format && !p.depthwise && static_cast<double>(p.filled_rows()) <= kMostLanes * static_cast<double>(p.rows());
  if (!p.by_filters) p.unit = 4;
  double bytes = 4 * static_cast<double>(p.batch) * static_cast<double>(p.image_parts_of_one());
  int64_t pictures = 1;
  for (int i = 0; i < 3; ++i) {
    const double shift = static_cast<double>(p.kernel[i] - 1) * static_cast<double>(p.dilation[i]) / static_cast<double>(p.stride[i]);
    const double residues = p.kernel[i] == 1 ? 1 : static_cast<double>(p.stride[i]);
    bytes *= residues * (static_cast<double>(p.out[i]) + shift);
    if (bytes > kMaxImage) return false;
    p.residues[i] = static_cast<int64_t>(residues);
    p.extent[i] = p.out[i] + (p.kernel[i] - 1) * p.dilation[i] / p.stride[i];
    pictures *= p.residues[i] * p.extent[i];
  }
  // An odd number of cache lines apart, the quads of a place do not compete for the same lines.
  const int64_t lines = ceil_div(pictures * 4, 64);
  p.quad_bytes = lines > 8 ? (lines | 1) * 64 : pictures * 4;

  p.in_place = p.x_quads && p.by_filters && pictures >= kInPlace;
  for (int i = 0; i < 3; ++i) p.in_place = p.in_place && p.stride[i] == 1 && p.pad[i] == 0 && p.extent[i] == p.in[i];
  if (p.in_place) p.quad_bytes = pictures * 4;

  p.panel = p.by_filters ? integer_pixels(float_lanes()) : (p.format == IntegerFormat::kByteFilters4 ? 3 : 2) * float_lanes();
  const int64_t panels = p.by_filters ? p.pixels() / p.run() * p.run_panels() : ceil_div(p.places(), p.panel);
  const int64_t depth = std::max<int64_t>(1, p.depth());
  p.tiles = std::max<int64_t>(1, ceil_div(p.filled_rows(), p.by_filters ? 2 * p.unit : tile_filters(p.format)));
  if (p.depthwise) {
    p.block = std::clamp<int64_t>(kBlockBytes / 4 / (4 * p.panel), 1, panels);
    p.blocks = ceil_div(panels, p.block);
    return true;
  }
  const int64_t images = p.batch * p.groups;
  const double work = static_cast<double>(panels * images) * static_cast<double>(p.rows() * p.panel * depth);
  const auto enough = static_cast<int64_t>(std::clamp<double>(work / kPartWork, 1, kEnoughParts));
  // Where filters outweigh the image, each thread keeps to its own of them.
  const bool heavy = p.rows() * depth > p.places() * p.image_channels();
  p.tile_parts = heavy ? std::min(p.tiles, ceil_div(enough, images)) : 1;
  const int64_t most = std::max<int64_t>(1, kBlockBytes / (ceil_div(p.filled_rows(), p.tile_parts) * p.panel));
  p.block = std::clamp<int64_t>(ceil_div(panels * images * p.tile_parts, enough), 1, std::min(most, panels));
  p.blocks = ceil_div(panels, p.block);
  if (!heavy) p.tile_parts = std::min(p.tiles, ceil_div(enough, images * p.blocks));
  return true;
}

int64_t integer_filters_bytes(const IntegerConvParams& p) {
  const int64_t group = is_words(p.format) ? 8 : 4;
  if (p.depthwise) return p.image_quads() * 4 * (ceil_div(p.taps(), 4) * group + 4);
  return p.groups * p.filled_rows() * (p.taps() * p.image_quads() * group + 4);
}

int64_t integer_conv_scratch(const IntegerConvParams& p) { return std::max(conv_scratch(p).total, (p.in[2] + 16) * 4); }

}  // namespace tenon::kernels
