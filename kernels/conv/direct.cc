// Direct convolution from blocked to blocked, of any kernel, stride, dilation and pads.
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/direct.cc"
#include "hwy/foreach_target.h"

#include <cstring>

#include "hwy/highway.h"
#include "kernels/conv/filter_part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// What one output row takes of one chunk: pixels at taps inside the image, and the weights of those taps.
struct Lines {
  const float* src;               ///< the line of the first tap in the first block, its first pixel
  int64_t plane;                  ///< floats between blocks of channels
  const float* weights;           ///< of the chunk
  int64_t channels;               ///< of the chunk
  int64_t tap;                    ///< the first
  int64_t depths, lines;          ///< taps that there are
  int64_t next_depth, next_line;  ///< floats between their lines
};

/// Blocks of pixels x, x + stride, ... of a line `width` pixels long, zeros where it has none, one after the other.
HWY_NOINLINE void CopyEdge(const float* line, int64_t width, int64_t x, int64_t stride, int64_t pixels, float* to) {
  for (; pixels > 0; --pixels, x += stride, to += kBlock) {
    if (x >= 0 && x < width) {
      std::memcpy(to, line + x * kBlock, kBlock * sizeof(float));
    } else {
      std::memset(to, 0, kBlock * sizeof(float));
    }
  }
}

/// Of a block written out at once: the whole of a small one, which has little to do at a tap.
inline constexpr int kSteps = kLanes == 8 ? 8 : kUsualSteps;

/// `count` tiles of R pixels from pixel ox on, and V vectors of filters.
template <int R, int V>
HWY_NOINLINE void ConvTiles(const ConvParams& p, const Lines& from, Results& results, Ahead& weights, int64_t ox, int64_t count) {
  constexpr int64_t kChannel = V * kLanes;
  alignas(64) float edge[R * kBlock];
  const int64_t stride = p.stride[2], dilation = p.dilation[2], width = p.in[2], taps_x = p.kernel[2], taps = p.taps();
  const int64_t rest = from.channels % kBlock, next_block = taps * kBlock * kChannel;
  const float* const last_block = from.weights + (from.channels - rest) * taps * kChannel;
  Ahead ahead = weights;
  for (; count > 0; --count, ox += R) {
    VF acc[R][V];
    BeginTile<R, V>(results, acc);
    const float* depth = from.src;
    int64_t depth_tap = from.tap;
    for (int64_t kz = 0; kz < from.depths; ++kz, depth += from.next_depth, depth_tap += p.kernel[1] * taps_x) {
      const float* line = depth;
      int64_t tap = depth_tap;
      for (int64_t ky = 0; ky < from.lines; ++ky, line += from.next_line) {
        int64_t x = ox * stride - p.pad[2];
        for (int64_t kx = 0; kx < taps_x; ++kx, ++tap, x += dilation) {
          const bool inside = x >= 0 && x + (R - 1) * stride < width;
          const int64_t step = inside ? stride * kBlock : kBlock, plane = inside ? from.plane : 0;
          const float *at = inside ? line + x * kBlock : edge, *w = from.weights + tap * kBlock * kChannel;
          for (int64_t left = from.channels; left > 0; left -= kBlock, at += plane, w += next_block) {
            // Not `inside`, which does not change: the compiler would write all of this twice.
            if (HWY_UNLIKELY(at == edge)) CopyEdge(line + (from.channels - left) / kBlock * from.plane, width, x, stride, R, edge);
            const float* const weights_at = left < kBlock ? last_block + tap * rest * kChannel : w;
            Accumulate<R, V, kSteps>(Strided<R>(at, step), One(), weights_at, left < kBlock ? left : kBlock, acc);
            ahead.Step();
          }
        }
      }
    }
    EndTile<R, V>(results, acc);
    results.Advance(R);
  }
  weights = ahead;
}

struct AllConvTiles {
  template <int R, int V>
  static constexpr auto kOf = &ConvTiles<R, V>;
};

void ConvPart(const ConvParams& p, const Call& call, int64_t index) {
  FilterPart part(p, call, index);
  part.EachChunk([&](const Chunk& chunk) {
    for (int64_t r = part.row_begin; r < part.row_end; ++r) {
      const int64_t z = r / p.out[1] * p.stride[0] - p.pad[0], y = r % p.out[1] * p.stride[1] - p.pad[1];
      const TapRange zs = ValidTaps(z, p.dilation[0], p.kernel[0], p.in[0]), ys = ValidTaps(y, p.dilation[1], p.kernel[1], p.in[1]);
      const int64_t first_z = z + zs.begin * p.dilation[0], first_y = y + ys.begin * p.dilation[1], line = p.in[2] * kBlock;
      Lines from;
      from.src = chunk.src + (first_z * p.in[1] + first_y) * line;
      from.plane = part.in_plane;
      from.weights = chunk.weights;
      from.channels = chunk.channels;
      from.tap = (zs.begin * p.kernel[1] + ys.begin) * p.kernel[2];
      from.depths = zs.end - zs.begin;
      from.lines = ys.end - ys.begin;
      from.next_depth = p.dilation[0] * p.in[1] * line;
      from.next_line = p.dilation[1] * line;
      Results results = part.Row(chunk, r);
      EachRun<AllConvTiles>(part.vectors, part.Width(r),
                            [&](auto tiles, int64_t ox, int64_t count) { tiles(p, from, results, part.ahead, ox, count); });
    }
  });
}

}  // namespace

void ConvDirect(const ConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) ConvPart(p, call, part);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvDirect);
Kernel<ConvParams> ConvDirectPointer() { return TENON_POINTER(ConvDirect); }
}  // namespace tenon::kernels
#endif
