// 1x1 convolution with stride 1 from blocked to blocked: what direct.cc does, where pixels lie in a row on both sides. Tiles follow each
// other in a loop of few instructions, which is what counts where channels are few.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/pointwise.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/filter_part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Inputs of a run of pixels, and the weights of one chunk.
struct Points {
  const float* x;  ///< first pixel, first block of the chunk
  int64_t plane;   ///< floats between blocks of channels
  const float* w;
  int64_t channels;
};

/// `count` tiles of R pixels and V vectors of filters.
template <int R, int V>
HWY_NOINLINE void PointTiles(Points& from, Results& results, Ahead& weights, int64_t count) {
  Ahead ahead = weights;
  for (; count > 0; --count) {
    VF acc[R][V];
    BeginTile<R, V>(results, acc);
    const float* x = from.x;
    const float* w = from.w;
    for (int64_t left = from.channels; left > 0; left -= kBlock, x += from.plane, w += kBlock * V * kLanes) {
      Accumulate<R, V>(Regular<kBlock>{x}, One(), w, left < kBlock ? left : kBlock, acc);
      ahead.Step();
    }
    EndTile<R, V>(results, acc);
    from.x += R * kBlock;
    results.Advance(R);
  }
  weights = ahead;
}

struct AllPointTiles {
  template <int R, int V>
  static constexpr auto kOf = &PointTiles<R, V>;
};

}  // namespace

void ConvPointwise(const ConvParams& p, const Call& call, Range range) {
  for (int64_t index = range.begin; index < range.end; ++index) {
    FilterPart part(p, call, index);
    part.EachChunk([&](const Chunk& chunk) {
      for (int64_t r = part.row_begin; r < part.row_end; ++r) {
        const int64_t line = r / p.out[1] * p.in[1] + r % p.out[1];
        Points from{chunk.src + line * p.in[2] * kBlock, part.in_plane, chunk.weights, chunk.channels};
        Results results = part.Row(chunk, r);
        EachRun<AllPointTiles>(part.vectors, part.Width(r),
                               [&](auto tiles, int64_t, int64_t count) { tiles(from, results, part.ahead, count); });
      }
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvPointwise);
Kernel<ConvParams> ConvPointwisePointer() { return TENON_POINTER(ConvPointwise); }
}  // namespace tenon::kernels
#endif
