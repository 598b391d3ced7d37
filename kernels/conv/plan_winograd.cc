#include <algorithm>

#include "kernels/conv/winograd.h"
#include "kernels/dispatch.h"

namespace tenon::kernels {

namespace {

/// Most patches of a group. The more share a transformed weight, the less its making costs: with this many about a twentieth of the
/// products.
constexpr int64_t kMostPatches = 56;
/// So many share it well enough that there are rather more groups than patches that are transformed in a phase before.
constexpr int64_t kManyPatches = 40;
/// Fewer groups than this are cut further by filters, into about twice as many parts; a phase before transforms their patches, into memory
/// that they share.
constexpr int64_t kEnoughGroups = 8;
/// Bytes of a group's transformed patches at most, where channels are very many.
constexpr int64_t kMostPatchBytes = 64 << 20;
constexpr int64_t kSumsInL2 = 512 << 10;
/// Measured with 32 registers: up to so many patches a narrow tile and a chunk whose plain weights stay in L1 win; with 16 registers
/// always.
constexpr int64_t kFewPatches = 32, kNarrowChunk = 16, kWideChunk = 64;

/// Groups of an image's patches, of `most` patches at most.
int64_t groups_of(int64_t patches, int64_t batch, int64_t most) {
  const int64_t enough = (kEnoughGroups + batch - 1) / std::max<int64_t>(batch, 1);
  return std::max((patches + most - 1) / most, std::min(enough, patches / kManyPatches));
}

/// What a method takes, in multiply-adds of the same time: for each product of a transformed number and a weight, for each transformed
/// number of patches and sums, and for each transformed weight of a group. The direct sum: for each product of all taps with a pixel, and
/// for each tap of the weights.
struct MethodCost {
  ConvFormat format;
  double product, number, weight;
};
/// Fitted to benchmarks/winograd_benchmark, which tells how often the fastest method is chosen and what is lost.
constexpr MethodCost kWide[] = {{ConvFormat::kDirect, 1, 0, 8.7},
                                {ConvFormat::kWinograd2, 1.23, 5.0, 6.9},
                                {ConvFormat::kWinograd4, 1.40, 7.2, 4.5},
                                {ConvFormat::kWinograd6, 1.54, 7.7, 4.8}};
constexpr MethodCost kNarrow[] = {{ConvFormat::kDirect, 1, 0, 3.1},
                                  {ConvFormat::kWinograd2, 1.09, 3.8, 4.9},
                                  {ConvFormat::kWinograd4, 1.27, 4.0, 3.0},
                                  {ConvFormat::kWinograd6, 1.41, 6.4, 4.6}};

double cost_of(const MethodCost& m, int64_t channels, int64_t filters, int64_t height, int64_t width) {
  // In double: a shape may be far beyond what memory holds, and is refused only later.
  const auto size = [](int64_t v) { return static_cast<double>(v); };
  const int64_t out = std::max<int64_t>(winograd_tile(m.format), 1), in = out + 2;
  const int64_t rows = (height + out - 1) / out, columns = (width + out - 1) / out;
  const double patches = size(rows) * size(columns), weights = size(channels) * size(filters);
  const int64_t groups = out == 1 ? 1 : groups_of(static_cast<int64_t>(std::min(patches, 1e15)), 1, kMostPatches);
  return size(in * in) * (patches * (m.product * weights + m.number * size(channels + filters)) + m.weight * size(groups) * weights);
}

}  // namespace

ConvFormat winograd_format(int64_t channels, int64_t filters, int64_t height, int64_t width) {
  const auto& methods = float_lanes() >= 16 ? kWide : kNarrow;
  const auto cost = [&](const MethodCost& m) { return cost_of(m, channels, filters, height, width); };
  return std::ranges::min_element(methods, {}, cost)->format;
}

int64_t plan_winograd(ConvParams& p) {
  p.rows = 1;
  const int64_t patches = WinogradLayout(p).patches, points = WinogradLayout(p).points;
  if (patches == 0 || p.batch == 0) return 0;
  const int64_t most = std::clamp<int64_t>(kMostPatchBytes / (points * 4 * p.channels), 1, kMostPatches);
  const int64_t groups = groups_of(patches, p.batch, most);
  p.rows = (patches + groups - 1) / groups;
  const bool narrow = p.rows <= kFewPatches || float_lanes() < 16;
  p.tile_blocks = narrow ? max_tile_blocks() / 2 : max_tile_blocks();
  p.chunk = narrow ? kNarrowChunk : kWideChunk;

  const WinogradLayout layout(p);
  const int64_t tiles = filter_tiles(p).tiles, all_groups = p.batch * layout.groups;
  p.filter_parts = all_groups >= kEnoughGroups ? 1 : std::min(tiles, (2 * kEnoughGroups + all_groups - 1) / all_groups);
  p.tiles = std::clamp<int64_t>(kSumsInL2 / (layout.sums * 4), 1, (tiles + p.filter_parts - 1) / p.filter_parts);
  p.scratch = (layout.weights + p.tiles * layout.sums) * 4;
  if (p.filter_parts > 1) {
    p.patches = all_groups * layout.group * 4;
  } else {
    p.scratch += layout.group * 4;
  }
  return all_groups * p.filter_parts;
}

int64_t patch_parts(const ConvParams& p) {
  const int64_t block = channel_block();
  return p.batch * WinogradLayout(p).groups * ((p.channels + block - 1) / block);
}

}  // namespace tenon::kernels
