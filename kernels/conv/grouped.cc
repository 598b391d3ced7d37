// Convolution in groups that do not fill whole blocks, blocked. A part is a run of output rows of one block of filters, whose lanes want
// channels of several groups. Input lines are spread ahead: for channel k of a group, pixel by pixel, a vector whose lane f is channel k of
// the group of filter f. From there on it is depthwise arithmetic with a sum over k, a load and a multiply-add for each. The spread lines
// lie in a ring in scratch memory, between zeros where taps reach beyond the image; each is made once for all the rows that read it.
// Channels are taken in chunks whose ring stays in L1; between chunks the sums rest in the output.
// Weights: [block][channel of the group][tap][filter of the block].
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/grouped.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Where the lanes of one vector find their channel.
struct Lanes {
  enum Kind { kShuffle, kTwo, kAny } kind;  ///< all in one vector of the input; two channels, one up to lane `split`; anywhere
  int split;
  int64_t base;                    ///< of that vector, or of the first channel's block: floats from the first plane of the image
  HWY_ALIGN int32_t lane[kLanes];  ///< in that vector
  int64_t offset[kLanes];          ///< from base, otherwise
};

/// Lanes of filters [first, first + kLanes) for channel k of their groups. Lanes beyond the last filter follow it.
void FindLanes(const ConvParams& p, int64_t in_plane, int64_t first, int64_t k, Lanes& to) {
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups;
  int64_t channel[kLanes];
  bool one_vector = true;
  int changes = 0;
  to.split = kLanes;
  for (int i = 0; i < kLanes; ++i) {
    channel[i] = first + i < p.filters ? (first + i) / group_filters * group_channels + k : i > 0 ? channel[i - 1] : k;
    one_vector = one_vector && channel[i] / kLanes == channel[0] / kLanes;
    if (i > 0 && channel[i] != channel[i - 1]) to.split = i, ++changes;
  }
  to.kind = one_vector ? Lanes::kShuffle : changes == 1 ? Lanes::kTwo : Lanes::kAny;
  to.base = channel[0] / kBlock * in_plane + (one_vector ? channel[0] % kBlock / kLanes * kLanes : 0);
  for (int i = 0; i < kLanes; ++i) {
    to.lane[i] = static_cast<int32_t>(channel[i] % kLanes);
    to.offset[i] = channel[i] / kBlock * in_plane + channel[i] % kBlock - channel[0] / kBlock * in_plane;
  }
}

/// The ring: [channel of the chunk][tap in depth][slot][pixel][lane]; input line y lies in slot y modulo `slots`.
struct Ring {
  float* lines;
  const Lanes* lanes;  ///< [channel of the chunk][vector of the block]
  int64_t slots, width, channels;
  int64_t pitch;  ///< input pixels from one pixel of a line to the next: a kernel one wide skips what its stride skips
  int64_t line() const { return width * kBlock; }
};

/// Spreads `n` pixels; from: the block's first lane of the first one, `pitch` floats apart.
HWY_INLINE void SpreadPixels(const Lanes& lanes, const float* from, int64_t pitch, float* to, int64_t n) {
  const DF d;
  if (lanes.kind == Lanes::kShuffle) {
    const auto table = hn::IndicesFromVec(d, hn::Load(hn::RebindToSigned<DF>(), lanes.lane));
    for (int64_t i = 0; i < n; ++i) hn::StoreU(hn::TableLookupLanes(hn::LoadU(d, from + i * pitch), table), d, to + i * kBlock);
    return;
  }
  if (lanes.kind == Lanes::kTwo) {
    const auto low = hn::FirstN(d, static_cast<size_t>(lanes.split));
    const float* a = from + lanes.offset[0];
    const float* b = from + lanes.offset[lanes.split];
    for (int64_t i = 0; i < n; ++i) {
      hn::StoreU(hn::IfThenElse(low, hn::Set(d, a[i * pitch]), hn::Set(d, b[i * pitch])), d, to + i * kBlock);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int l = 0; l < kLanes; ++l) to[i * kBlock + l] = from[i * pitch + lanes.offset[l]];
  }
}

/// Puts line y of the planes that the taps `zs` from plane z on read into the ring.
void SpreadLine(const ConvParams& p, const Ring& ring, const float* image, int64_t z, TapRange zs, int64_t y) {
  const DF d;
  // Of the line's pixels, those from `before` on for `n` lie in the image.
  int64_t before = p.pad[2] <= 0 ? 0 : (p.pad[2] + ring.pitch - 1) / ring.pitch;
  if (before > ring.width) before = ring.width;
  const int64_t first = before * ring.pitch - p.pad[2];
  int64_t n = first < p.in[2] ? (p.in[2] - 1 - first) / ring.pitch + 1 : 0;
  if (n > ring.width - before) n = ring.width - before;
  for (int64_t c = 0; c < ring.channels; ++c) {
    for (int64_t kz = zs.begin; kz < zs.end; ++kz) {
      float* to = ring.lines + ((c * p.kernel[0] + kz) * ring.slots + y % ring.slots) * ring.line();
      for (int64_t i = 0; i < before * kBlock; i += kLanes) hn::StoreU(hn::Zero(d), d, to + i);
      for (int64_t i = (before + n) * kBlock; i < ring.line(); i += kLanes) hn::StoreU(hn::Zero(d), d, to + i);
      const float* from = image + (((z + kz * p.dilation[0]) * p.in[1] + y) * p.in[2] + first) * kBlock;
      for (int v = 0; v < kVectorsABlock; ++v) {
        const Lanes& lanes = ring.lanes[c * kVectorsABlock + v];
        SpreadPixels(lanes, from + lanes.base, ring.pitch * kBlock, to + before * kBlock + v * kLanes, n);
      }
    }
  }
}

/// One output row for one chunk of channels.
struct Row {
  const float* weights;  ///< of the chunk
  const float* bias;
  int64_t slot;  ///< of the line of the first tap, were it in the image
  TapRange zs, ys;
  float* dst;
  const float* residual;
  bool first, last;  ///< chunk
};

/// Most pixels of a tile: as many sums as leave registers for a vector of weights and, where there is no fused one, a product.
constexpr int kMaxPixels = 14;

template <int R>
HWY_NOINLINE void GroupedTile(const ConvParams& p, const Ring& ring, const Row& row, int64_t ox) {
  const DF d;
  const VF low = hn::Set(d, p.epilogue.low);
  const VF high = hn::Set(d, p.epilogue.high);
  const int64_t step = p.stride[2] / ring.pitch * kBlock;
  for (int v = 0; v < kVectorsABlock; ++v) {
    float* dst = row.dst + ox * kBlock + v * kLanes;
    VF acc[R];
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) acc[r] = row.first ? hn::LoadU(d, row.bias + v * kLanes) : hn::LoadU(d, dst + r * kBlock);
    for (int64_t c = 0; c < ring.channels; ++c) {
      for (int64_t kz = row.zs.begin; kz < row.zs.end; ++kz) {
        const int64_t plane = c * p.kernel[0] + kz;
        for (int64_t ky = row.ys.begin; ky < row.ys.end; ++ky) {
          const int64_t at = row.slot + ky * p.dilation[1];
          const float* x =
              ring.lines + (plane * ring.slots + (at < ring.slots ? at : at - ring.slots)) * ring.line() + ox * step + v * kLanes;
          const float* w = row.weights + (plane * p.kernel[1] + ky) * p.kernel[2] * kBlock + v * kLanes;
          for (int64_t kx = 0; kx < p.kernel[2]; ++kx, x += p.dilation[2] * kBlock, w += kBlock) {
            const VF weight = hn::LoadU(d, w);
#pragma GCC unroll 14
            for (int r = 0; r < R; ++r) acc[r] = hn::MulAdd(hn::LoadU(d, x + r * step), weight, acc[r]);
          }
        }
      }
    }
    if (row.last) {
#pragma GCC unroll 14
      for (int r = 0; r < R; ++r) {
        if (row.residual != nullptr) acc[r] = hn::Add(acc[r], hn::LoadU(d, row.residual + (ox + r) * kBlock + v * kLanes));
        acc[r] = Between(low, acc[r], high);
      }
    }
#pragma GCC unroll 14
    for (int r = 0; r < R; ++r) hn::StoreU(acc[r], d, dst + r * kBlock);
  }
}

using TileFunction = void (*)(const ConvParams&, const Ring&, const Row&, int64_t);
constexpr TileFunction kTiles[kMaxPixels + 1] = {nullptr,         GroupedTile<1>,  GroupedTile<2>,  GroupedTile<3>,  GroupedTile<4>,
                                                 GroupedTile<5>,  GroupedTile<6>,  GroupedTile<7>,  GroupedTile<8>,  GroupedTile<9>,
                                                 GroupedTile<10>, GroupedTile<11>, GroupedTile<12>, GroupedTile<13>, GroupedTile<14>};

void GroupedPart(const ConvParams& p, const Call& call, int64_t i) {
  const Part part(p, call, i);
  const int64_t group_channels = p.channels / p.groups;
  const int64_t blocks = (p.channels + kBlock - 1) / kBlock;
  const float* image = Operand(call, 0, p.shared_input) + part.image * blocks * part.in_plane;
  const float* weights = Operand(call, 1, p.shared_weights) + part.block * group_channels * p.taps() * kBlock;
  const ConvRing sizes = conv_ring(p);
  auto* lanes = reinterpret_cast<Lanes*>(call.scratch);
  Ring ring{reinterpret_cast<float*>(call.scratch + p.chunk * kConvLanesBytes), lanes, sizes.slots, sizes.width, 0, sizes.pitch};
  const Pieces pieces(p.out[2], kMaxPixels);

  for (int64_t channel = 0; channel < group_channels; channel += p.chunk) {
    ring.channels = channel + p.chunk < group_channels ? p.chunk : group_channels - channel;
    for (int64_t c = 0; c < ring.channels; ++c) {
      for (int v = 0; v < kVectorsABlock; ++v) {
        FindLanes(p, part.in_plane, part.block * kBlock + v * kLanes, channel + c, lanes[c * kVectorsABlock + v]);
      }
    }
    Row row;
    row.first = channel == 0;
    row.last = channel + p.chunk >= group_channels;
    row.weights = weights + channel * p.taps() * kBlock;
    row.bias = part.bias;
    int64_t depth = -1, made = 0;  // lines below `made` of the planes of output depth `depth` are in the ring, as far as still needed
    for (int64_t r = part.row_begin; r < part.row_end; ++r) {
      const int64_t z = r / p.out[1] * p.stride[0] - p.pad[0];
      const int64_t y = r % p.out[1] * p.stride[1] - p.pad[1];
      row.zs = ValidTaps(z, p.dilation[0], p.kernel[0], p.in[0]);
      row.ys = ValidTaps(y, p.dilation[1], p.kernel[1], p.in[1]);
      if (r / p.out[1] != depth) depth = r / p.out[1], made = 0;
      if (made < y) made = y;
      for (; made < y + ring.slots && made < p.in[1]; ++made) SpreadLine(p, ring, image, z, row.zs, made);
      row.slot = y % ring.slots + (y % ring.slots < 0 ? ring.slots : 0);
      row.dst = part.dst + r * p.out[2] * kBlock;
      row.residual = part.residual != nullptr ? part.residual + r * p.out[2] * kBlock : nullptr;
      for (int64_t t = 0; t < pieces.count; ++t) {
        const int64_t ox = pieces.begin(t);
        kTiles[pieces.begin(t + 1) - ox](p, ring, row, ox);
      }
      const Epilogue& e = p.epilogue;
      if (row.last && e.tile != nullptr) e.tile(e.alpha, e.beta, row.dst, row.dst, p.out[2] * kBlock);
    }
  }
}

}  // namespace

void ConvGrouped(const ConvParams& p, const Call& call, Range range) {
  static_assert(sizeof(Lanes) <= kConvLanesBytes / kVectorsABlock);
  for (int64_t i = range.begin; i < range.end; ++i) GroupedPart(p, call, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvGrouped);
Kernel<ConvParams> ConvGroupedPointer() { return TENON_POINTER(ConvGrouped); }
}  // namespace tenon::kernels
#endif
