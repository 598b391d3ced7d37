#include <algorithm>

#include "kernels/conv/winograd.h"
#include "kernels/dispatch.h"

namespace tenon::kernels {

namespace {

/// Most patches of a group. The more share a transformed weight, the less its making costs: with this many about a twentieth of the
/// products.
constexpr int64_t kMostPatches = 56;
/// Fewer groups than this are cut further by filters, into about twice as many parts; a phase before transforms their patches, into memory
/// that they share.
constexpr int64_t kEnoughGroups = 8;
/// Bytes of a group's transformed patches at most, where channels are very many.
constexpr int64_t kMostPatchBytes = 64 << 20;
constexpr int64_t kSumsInL2 = 512 << 10;
/// Measured with 32 registers: up to so many patches a narrow tile and a chunk whose plain weights stay in L1 win; with 16 registers
/// always.
constexpr int64_t kFewPatches = 32, kNarrowChunk = 16, kWideChunk = 64;

}  // namespace

int64_t plan_winograd(ConvParams& p) {
  p.rows = 1;
  const int64_t patches = WinogradLayout(p).patches;
  if (patches == 0 || p.batch == 0) return 0;
  const int64_t most = std::clamp<int64_t>(kMostPatchBytes / (36 * 4 * p.channels), 1, kMostPatches);
  const int64_t groups = (patches + most - 1) / most;
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
