// Convolution. float32 kernels work on channel-blocked tensors [N, C/block, D, H, W, block]; the plain kernels take any dtype and any
// number of spatial dims. Lanes of the last block beyond the real channels hold anything: kernels never let them reach other lanes.
#pragma once

#include <limits>

#include "kernels/elementwise/unary.h"
#include "kernels/table.h"

namespace tenon::kernels {

namespace onednn {
class Slices;
}

/// What happens to a result before it is stored: residual added, clamped to [low, high] (NaN stays NaN), then passed through `tile`.
struct Epilogue {
  bool bias = false;
  bool residual = false;  ///< a tensor of the output's shape and layout
  /// Where they lie in Call::shared, in bytes; -1: they are inputs 2 and 3.
  int64_t shared_bias = -1, shared_residual = -1;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  UnaryTile tile = nullptr;
  float alpha = 0;
  float beta = 0;
};

/// How convolution weights are packed. Values of Layout::format.
enum class ConvFormat : uint16_t {
  kNone = 0,
  kDirect = 100,  ///< blocked input, blocked output
  kPlainInput,    ///< plain input (few channels), blocked output
  kGrouped,       ///< blocked; groups that do not fill whole blocks, depthwise above all
  /// Blocked, 3x3 with stride 1, output tiles of 2x2, 4x4 or 6x6; the weights are packed as they are and transformed while running.
  kWinograd2,
  kWinograd4,
  kWinograd6,
  kOneDnn,            ///< blocked; oneDNN's own (kernels/onednn)
  kOneDnnPlainInput,  ///< plain input, blocked output; oneDNN's own
};

inline bool takes_plain_input(ConvFormat f) { return f == ConvFormat::kPlainInput || f == ConvFormat::kOneDnnPlainInput; }

/// Width of the output tiles of Winograd's method, 0 of others.
inline int64_t winograd_tile(ConvFormat f) {
  return f == ConvFormat::kWinograd2 ? 2 : f == ConvFormat::kWinograd4 ? 4 : f == ConvFormat::kWinograd6 ? 6 : 0;
}

/// The method that is measured to be fastest for a 3x3 convolution with stride 1 of an image of height x width: kDirect or Winograd's.
ConvFormat winograd_format(int64_t channels, int64_t filters, int64_t height, int64_t width);

/// Channels a block of the blocked layout for the instruction set in use: 8 or 16.
int channel_block();

/// Up to 3 spatial dims, in the order depth, height, width; those that are missing have size 1, kernel 1, stride 1 and no pads.
struct ConvParams {
  int64_t batch = 1, groups = 1;
  int64_t channels = 1;  ///< of the input, all groups
  int64_t filters = 1;   ///< channels of the output, all groups
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int64_t pad[3] = {0, 0, 0};  ///< before; what comes after follows from `out`
  ConvFormat format = ConvFormat::kDirect;
  Epilogue epilogue;
  /// Output pixel o of dim i is pixel o * out_step[i] + out_first[i] of a tensor with out_size[i] (0: out[i]) pixels; kDirect only.
  int64_t out_step[3] = {1, 1, 1}, out_first[3] = {0, 0, 0}, out_size[3] = {0, 0, 0};
  /// Where operands lie in Call::shared instead of the operator's tensors, in bytes; -1: not there.
  int64_t shared_input = -1, shared_weights = -1, shared_output = -1, shared_patches = -1;
  bool scaled = false;         ///< input 4, blocked [batch, channels], is multiplied into the weights; 1x1 kDirect without groups only
  int64_t weights_offset = 0;  ///< floats into the packed weights

  /// What computes it when the format is one of oneDNN's; outlives the step. Otherwise why oneDNN does not, which is never null.
  const onednn::Slices* slices = nullptr;
  const char* no_onednn = "weights are packed otherwise";

  int64_t rows = 1;   ///< output rows (depth x height) a part; Winograd: patches a group
  int64_t chunk = 1;  ///< input channels whose weights (a multiple of the block) or lines (kGrouped) stay near while a part's rows pass by
  bool rows_first = false;   ///< parts are numbered rows by rows with all filters within, else the other way round
  int64_t filter_parts = 1;  ///< Winograd: parts a group of patches
  int64_t tile_blocks = 0;   ///< blocks of the widest filter tile; 0: as wide as registers allow
  int64_t tiles = 1;         ///< Winograd: filter tiles of a part whose sums are kept at once
  int64_t scratch = 0;       ///< bytes a thread needs
  int64_t patches = 0;       ///< Winograd: bytes of Call::shared for transformed patches, which a phase before the convolution fills
  int64_t lacking = 0;       ///< kDirect, folded: pixels that the last row has less than the others

  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t out_rows() const { return out[0] * out[1]; }
  int64_t row_parts() const { return (out_rows() + rows - 1) / rows; }
  int64_t in_pixels() const { return in[0] * in[1] * in[2] - lacking; }
  int64_t out_pixels() const { return size(0) * size(1) * size(2) - lacking; }
  int64_t size(int i) const { return out_size[i] != 0 ? out_size[i] : out[i]; }
};

/// Folds a 1x1 convolution with stride 1 into long rows, chooses rows, their order, chunk and scratch.
/// `format` and the sizes are set already. Returns the number of parts, -1 when a thread would need more than kMaxConvScratch bytes.
inline constexpr double kMaxConvScratch = 1 << 28;
int64_t plan_conv(ConvParams& p);

/// Whether a depthwise convolution is one of those that load each vector of a line once for all taps: over images, 3, 5 or 7
/// wide, with pads so small that the last tap of the first pixel and the first tap of the last one are inside the line.
inline bool depthwise_lines(const ConvParams& p) {
  const bool image = p.in[0] == 1 && p.kernel[0] == 1 && p.pad[0] == 0 && p.out[0] == 1;
  const bool overlaps = p.pad[2] >= 0 && p.pad[2] < p.kernel[2] && (p.out[2] - 1) * p.stride[2] - p.pad[2] < p.in[2];
  const bool wide = p.kernel[2] == 3 || p.kernel[2] == 5 ? p.stride[2] <= 2 : p.kernel[2] == 7 && p.stride[2] == 1;
  return image && overlaps && wide && p.dilation[2] == 1;
}

/// Whether a row of output pixels has a row of blocked input to itself, pixel by pixel.
inline bool takes_points(const ConvParams& p) {
  if (p.format != ConvFormat::kDirect) return false;
  for (int i = 0; i < 3; ++i) {
    if (p.kernel[i] != 1 || p.stride[i] != 1 || p.pad[i] != 0 || p.in[i] < p.out[i]) return false;
  }
  return true;
}

/// The ring of input lines that kGrouped keeps for each channel of a chunk and each tap in depth: `slots` lines of `width` pixels, of which
/// each is `pitch` input pixels from the one before. With it come kConvLanesBytes a channel for where its lanes come from.
struct ConvRing {
  int64_t slots, width, pitch;
};
inline ConvRing conv_ring(const ConvParams& p) {
  const int64_t pitch = p.kernel[2] == 1 ? p.stride[2] : 1;
  return {(p.kernel[1] - 1) * p.dilation[1] + 1, (p.out[2] - 1) * (p.stride[2] / pitch) + (p.kernel[2] - 1) * p.dilation[2] + 1, pitch};
}
inline constexpr int64_t kConvLanesBytes = 256;

/// Floats of the packed weights.
int64_t packed_conv_weights(const ConvParams& p);
/// Packing can be shared out in this many parts.
int64_t conv_pack_parts(const ConvParams& p);
/// The filters of a part, of all groups' filters: they lie together in plain weights too.
Range conv_pack_filters(const ConvParams& p, int64_t part);
/// Packs `filters` of a part, whose plain weights [filters, channels/groups, kernel...] are `weights`, as p.format says. Those of a part may
/// be packed some at a time, from the first on, at most 64; numbers of them that are multiples of 16 write whole cache lines.
void pack_conv_filters(const ConvParams& p, int64_t part, Range filters, const float* weights, float* packed);
/// Packs the whole parts of the weights of all filters.
void pack_conv_weights(const ConvParams& p, const float* weights, float* packed, Range parts);
inline void pack_conv_weights(const ConvParams& p, const float* weights, float* packed) {
  pack_conv_weights(p, weights, packed, {0, conv_pack_parts(p)});
}

/// Transposed convolution as convolutions: one a residue of the output position modulo the strides. Each has its own kernel (every
/// few taps of the whole one, flipped), which may be empty.
struct TransposedParams {
  ConvParams conv;  ///< sizes, strides, dilations, pads and kernel of the transposed convolution; pads may be negative
  int64_t phases() const { return conv.stride[0] * conv.stride[1] * conv.stride[2]; }
};
/// Phase i as a convolution, and which taps it takes: tap t of dim d is tap first[d] + step[d] * (count - 1 - t) of the whole kernel.
struct TransposedPhase {
  ConvParams conv;
  int64_t first[3] = {0, 0, 0}, step[3] = {1, 1, 1};
};
TransposedPhase transposed_phase(const TransposedParams& t, int64_t i);
/// Weights [channels, filters/groups, kernel...], packed for one phase.
void pack_transposed_weights(const TransposedParams& t, const TransposedPhase& phase, const float* weights, float* packed);

/// Tiles of filters that are computed together, in blocks: a group has `blocks` of them, tile i begins at block tile_begin(i).
struct FilterTiles {
  int64_t blocks = 1, tiles = 1;
  int64_t begin(int64_t i) const { return i * blocks / tiles; }
};
FilterTiles filter_tiles(const ConvParams& p);
/// Blocks of the widest tile, four vectors.
int64_t max_tile_blocks();

/// The phase before ConvWinograd when p.patches is not 0: transforms the patches into Call::shared, from p.shared_patches on. One part a
/// channel block of a group.
Kernel<ConvParams> ConvWinogradPatchesPointer();
int64_t patch_parts(const ConvParams& p);

/// Whether the pixels that a 1x1 convolution with strides reads are better copied side by side first: where a row has so few of them that
/// tiles of a row are small. The convolution of the copy has no strides and long rows.
bool gathers_pixels(const ConvParams& p);
/// The phase that copies them, of `conv` with its strides, to Call::shared from `to` on: images of conv.out pixels. One part a block of
/// channels.
struct GatherPixelsParams {
  ConvParams conv;
  int64_t to = 0;
  int64_t parts() const;
  int64_t bytes() const;
};
Kernel<GatherPixelsParams> GatherPixelsPointer();

/// Inputs x, packed weights, bias, residual, scale.
#define KERNEL(Name, when, why) Kernel<ConvParams> Name##Pointer();
#include "kernels/conv/conv.inc"
#undef KERNEL
extern const Table<ConvParams> conv;

/// Any float dtype, any number of spatial dims, plain layout; float16 and bfloat16 are computed in float32. One part an output
/// row of one channel.
inline constexpr int kMaxSpatial = 6;
struct PlainConvParams {
  DType dtype = DType::kFloat32;
  int32_t spatial = 0;
  int64_t batch = 1, groups = 1, channels = 1, filters = 1;
  int64_t in[kMaxSpatial], out[kMaxSpatial], kernel[kMaxSpatial], stride[kMaxSpatial], dilation[kMaxSpatial], pad[kMaxSpatial];
  Epilogue epilogue;
};
Kernel<PlainConvParams> PlainConvPointer();
/// The same for transposed convolution: `in` is what the kernel is spread from, pads may be negative. Inputs x, w [channels,
/// filters/groups, kernel...], bias.
Kernel<PlainConvParams> PlainTransposedPointer();

}  // namespace tenon::kernels
