// A 1x1 convolution that widens an image and the depthwise convolution over the result, which never exists as a whole: every part
// computes a band of it, for a tile of filters, into its thread's scratch, and reads it back from the cache.
#pragma once

#include "kernels/conv/conv.h"

namespace tenon::kernels {

/// Blocked, float32, over images. Inputs x, packed weights and bias of the first, packed weights and bias of the second; null where there
/// is no bias.
struct ConvPairParams {
  ConvParams expand;     ///< kDirect, 1x1, stride 1, no pads or groups
  ConvParams depthwise;  ///< kGrouped, one filter a channel; its input is the result of `expand`
  int64_t bands = 1;     ///< of output rows; depthwise.rows each
  int64_t scratch = 0;   ///< bytes a thread needs

  int64_t parts() const;
};

/// Whether the two are as ConvPairParams says, and the result between them is so large that it pays to keep it out of memory.
bool conv_pair_pays(const ConvParams& expand, const ConvParams& depthwise);

/// Chooses bands and scratch; the sizes, formats and epilogues of both are set already.
void plan_conv_pair(ConvPairParams& p);

/// The part numbered i is a band of rows of a tile of filters of an image.
void conv_pair(const ConvPairParams& p, const Call& call, Range range);

}  // namespace tenon::kernels
