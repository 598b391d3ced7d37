// How Winograd's convolution is cut into parts and lies in scratch and shared memory.
#pragma once

#include <algorithm>

#include "kernels/conv/conv.h"

namespace tenon::kernels {

/// Sizes and distances in floats; p.rows, p.chunk and p.tile_blocks are set. Parts are [image][group of patches][run of filter tiles].
struct WinogradLayout {
  int64_t points;               ///< of a patch
  int64_t patches, groups;      ///< of one image
  int64_t point, chunk, group;  ///< transformed patches: [group][chunk of channels][point][channel block of the chunk][patch][block]
  int64_t weights;              ///< transformed weights of one tile and chunk: [point of a row][channel][filter of the tile]
  int64_t sums;                 ///< of one tile: [point][block of the tile][patch][block]

  /// Floats between points, so that they do not all fall into the same sets of L1.
  static constexpr int64_t kPad = 16;

  explicit WinogradLayout(const ConvParams& p) {
    const int64_t tile = p.tile_blocks * channel_block();
    const int64_t out = std::max<int64_t>(winograd_tile(p.format), 1), in = out + 2;
    points = in * in;
    patches = (p.out[1] + out - 1) / out * ((p.out[2] + out - 1) / out);
    groups = (patches + p.rows - 1) / p.rows;
    point = p.chunk * p.rows + kPad;
    chunk = points * point;
    group = (p.channels + p.chunk - 1) / p.chunk * chunk;
    weights = in * p.chunk * tile;
    sums = points * (tile * p.rows + kPad);
  }
};

/// plan_conv for Winograd's method.
int64_t plan_winograd(ConvParams& p);

}  // namespace tenon::kernels
