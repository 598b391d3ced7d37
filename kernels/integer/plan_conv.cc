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
constexpr int64_t kPartWork = 1 << 20, kEnoughParts = 16;
/// Most bytes of an image.
constexpr double kMaxImage = 1 << 30;

bool is_words(IntegerFormat f) { return f == IntegerFormat::kWordFilters4 || f == IntegerFormat::kWordFilters8; }

/// Filters of a tile at most.
int64_t tile_filters(IntegerFormat f) {
  switch (f) {
    case IntegerFormat::kByteFilters12: return 12;
    case IntegerFormat::kWordFilters8: return 8;
    default: return 4;
  }
}
}  // namespace

bool plan_integer_conv(IntegerConvParams& p) {
  p.depthwise = p.groups == p.channels && p.filters == p.channels && p.y != DType::kInt32 && p.y != DType::kFloat32;
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

  p.panel = (p.format == IntegerFormat::kByteFilters4 ? 3 : 2) * float_lanes();
  const int64_t panels = ceil_div(p.places(), p.panel), depth = std::max<int64_t>(1, p.depth());
  p.tiles = std::max<int64_t>(1, ceil_div(p.row_quads() * 4, tile_filters(p.format)));
  if (p.depthwise) {
    p.block = std::clamp<int64_t>(kBlockBytes / 4 / (4 * p.panel), 1, panels);
    p.blocks = ceil_div(panels, p.block);
    return true;
  }
  const int64_t panel_work = p.rows() * p.panel * depth;
  const int64_t most = std::max<int64_t>(1, kBlockBytes / (p.row_quads() * 4 * p.panel));
  p.block = std::clamp<int64_t>(
      std::max(ceil_div(kPartWork, std::max<int64_t>(1, panel_work)), ceil_div(panels * p.batch * p.groups, kEnoughParts)), 1,
      std::min(most, panels));
  p.blocks = ceil_div(panels, p.block);
  p.tile_parts = std::clamp<int64_t>(ceil_div(kEnoughParts / 2, std::max<int64_t>(1, p.batch * p.groups * p.blocks)), 1,
                                     std::max<int64_t>(1, std::min(p.tiles, p.block * panel_work / kPartWork)));
  return true;
}

int64_t integer_filters_bytes(const IntegerConvParams& p) {
  const int64_t group = is_words(p.format) ? 8 : 4;
  if (p.depthwise) return p.image_quads() * 4 * (ceil_div(p.taps(), 4) * group + 4);
  return p.groups * p.row_quads() * 4 * (p.taps() * p.image_quads() * group + 4);
}

int64_t integer_conv_scratch(const IntegerConvParams& p) { return std::max(conv_scratch(p).total, (p.in[2] + 16) * 4); }

}  // namespace tenon::kernels
