#include <algorithm>

#include "kernels/integer/conv.h"
#include "kernels/sizes.h"

namespace tenon::kernels {

namespace {
/// Bytes of packed pixels that stay in L2 while filters pass by.
constexpr int64_t kBlockBytes = 192 << 10;
/// Products that make a part worth handing out, and how many parts are enough.
constexpr int64_t kPartWork = 1 << 20, kEnoughParts = 16;
/// Most bytes of a padded image, and of a panel.
constexpr double kMaxImage = 1 << 30, kMaxPanel = 1 << 28;
/// How many places there may be for a pixel, before it costs less to put lines of panels together.
constexpr double kMostPlaces = 1.35;
}  // namespace

bool plan_integer_conv(IntegerConvParams& p) {
  double bytes = static_cast<double>(p.batch) * static_cast<double>(p.channels);
  int64_t extent[3];
  for (int i = 0; i < 3; ++i) {
    const double e = static_cast<double>(p.out[i] - 1) * static_cast<double>(p.stride[i]) +
                     static_cast<double>(p.kernel[i] - 1) * static_cast<double>(p.dilation[i]) + 1;
    bytes *= p.kernel[i] == 1 ? static_cast<double>(p.out[i]) : e + static_cast<double>(p.stride[i]);
    if (bytes > kMaxImage) return false;
    extent[i] = p.kernel[i] == 1 ? p.out[i] : static_cast<int64_t>(e);
  }
  for (int i = 0; i < 2; ++i) p.planes[i] = extent[i], p.step[i] = p.kernel[i] == 1 ? 1 : p.stride[i];
  p.slots = p.kernel[2] == 1 ? 1 : p.stride[2];
  p.line = ceil_div(extent[2], p.slots);
  p.in_place = p.x == DType::kUint8 && extent[0] == p.in[0] && extent[1] == p.in[1] && extent[2] == p.in[2] && p.pad[0] == 0 &&
               p.pad[1] == 0 && p.pad[2] == 0 && p.stride[0] == 1 && p.stride[1] == 1 && p.stride[2] == 1;

  p.wide = p.step[0] == 1 && p.step[1] == 1 && p.slots == 1;
  if (static_cast<double>(p.places()) > kMostPlaces * static_cast<double>(p.pixels())) p.wide = false;

  p.panel = integer_panel_width(integer_panels());
  const int64_t height = integer_tile_rows(p.panel), panels = ceil_div(p.places(), p.panel);
  if (static_cast<double>(p.depth()) * static_cast<double>(p.panel) > kMaxPanel) return false;
  const int64_t panel_work = std::max<int64_t>(1, p.rows() * p.panel * std::max<int64_t>(1, p.depth()));
  p.tiles = std::max<int64_t>(1, ceil_div(p.rows(), height));
  const int64_t most = std::max<int64_t>(1, kBlockBytes / (groups_of(p.depth()) * 4 * p.panel + 4 * p.panel));
  p.block = std::clamp<int64_t>(std::max(ceil_div(kPartWork, panel_work), ceil_div(panels * p.batch * p.groups, kEnoughParts)), 1, most);
  p.blocks = ceil_div(panels, p.block);
  p.tile_parts = std::clamp<int64_t>(ceil_div(kEnoughParts / 2, std::max<int64_t>(1, p.batch * p.groups * p.blocks)), 1,
                                     std::max<int64_t>(1, std::min(p.tiles, p.block * panel_work / kPartWork)));
  return true;
}

int64_t integer_conv_scratch(const IntegerConvParams& p) {
  const int64_t panels = p.block * (groups_of(p.depth()) + 1) * 4 * p.panel;
  return panels + integer_tile_rows(p.panel) * p.panel * 4 + p.taps() * 8;
}

}  // namespace tenon::kernels
