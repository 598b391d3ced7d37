// Depthwise convolution (one filter a channel), blocked. A part is a run of output rows of one block of filters. Weights:
// [block][tap][filter of the block].
#include "kernels/conv/conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/depthwise.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

alignas(64) constexpr float kZeros[16] = {};

/// R pixels of one row from pixel `ox` on, all vectors of the block; `e.tile` is left to the caller.
template <int R>
HWY_NOINLINE void DepthwiseTile(const ConvParams& p, const Part& part, const float* line, const float* w, TapRange zs, TapRange ys,
                                int64_t ox, float* row, const float* residual) {
  const DF d;
  const VF low = hn::Set(d, p.epilogue.low);
  const VF high = hn::Set(d, p.epilogue.high);
  const int64_t x0 = ox * p.stride[2] - p.pad[2];
  const bool inside = x0 >= 0 && x0 + (R - 1) * p.stride[2] + (p.kernel[2] - 1) * p.dilation[2] < p.in[2];
  const int64_t step = p.stride[2] * kBlock;
  for (int v = 0; v < kVectorsABlock; ++v) {
    VF acc[R][1];
    FillTile<R, 1>(part.bias + v * kLanes, acc);
    for (int64_t kz = zs.begin; kz < zs.end; ++kz) {
      for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
        const float* from = line + (kz * p.dilation[0] * p.in[1] + ky * p.dilation[1]) * p.in[2] * kBlock + v * kLanes;
        const float* weights = w + (kz * p.kernel[1] + ky) * p.kernel[2] * kBlock + v * kLanes;
        int64_t ix = x0;
        for (int64_t kx = 0; kx < p.kernel[2]; ++kx, ix += p.dilation[2], weights += kBlock) {
          const VF weight = hn::LoadU(d, weights);
          if (inside) {
            const float* x = from + ix * kBlock;
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) acc[r][0] = hn::MulAdd(hn::LoadU(d, x + r * step), weight, acc[r][0]);
          } else {
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
              const int64_t at = ix + r * p.stride[2];
              const float* x = at >= 0 && at < p.in[2] ? from + at * kBlock : kZeros;
              acc[r][0] = hn::MulAdd(hn::LoadU(d, x), weight, acc[r][0]);
            }
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      VF value = acc[r][0];
      if (residual != nullptr) value = hn::Add(value, hn::LoadU(d, residual + (ox + r) * kBlock + v * kLanes));
      hn::StoreU(Between(low, value, high), d, row + (ox + r) * kBlock + v * kLanes);
    }
  }
}

using DepthwiseFunction = void (*)(const ConvParams&, const Part&, const float*, const float*, TapRange, TapRange, int64_t, float*,
                                   const float*);
constexpr DepthwiseFunction kDepthwise[] = {nullptr,          DepthwiseTile<1>, DepthwiseTile<2>, DepthwiseTile<3>, DepthwiseTile<4>,
                                            DepthwiseTile<5>, DepthwiseTile<6>, DepthwiseTile<7>, DepthwiseTile<8>};

void DepthwiseRow(const ConvParams& p, const Part& part, const float* plane, const float* w, int64_t r) {
  const int64_t z = r / p.out[1] * p.stride[0] - p.pad[0];
  const int64_t y = r % p.out[1] * p.stride[1] - p.pad[1];
  const TapRange zs = ValidTaps(z, p.dilation[0], p.kernel[0], p.in[0]);
  const TapRange ys = ValidTaps(y, p.dilation[1], p.kernel[1], p.in[1]);
  const float* line = plane + (z * p.in[1] + y) * p.in[2] * kBlock;
  float* dst = part.dst + r * p.out[2] * kBlock;
  const float* residual = part.residual != nullptr ? part.residual + r * p.out[2] * kBlock : nullptr;
  const Pieces pieces(p.out[2], 8);
  for (int64_t i = 0; i < pieces.count; ++i) {
    const int64_t ox = pieces.begin(i);
    kDepthwise[pieces.begin(i + 1) - ox](p, part, line, w, zs, ys, ox, dst, residual);
  }
  const Epilogue& e = p.epilogue;
  if (e.tile != nullptr) e.tile(e.alpha, e.beta, dst, dst, p.out[2] * kBlock);
}

// The common case: kernels 3 or 5 wide with stride 1 or 2, or 7 wide with stride 1, over images. Each vector of the input is loaded once
// for all the taps of a line that want it.

/// One output row. `src`: the line of the first tap, at its first pixel.
struct LineArgs {
  const float* src;
  const float* weights;
  TapRange ys;
  float* row;
  const float* residual;
};

/// R pixels from `ox` on. `Edge`: taps may reach beyond the line, on the left the first K - 1 inputs only and on the right the last K - 1
/// (depthwise_lines).
template <int K, int S, int R, bool Edge>
HWY_INLINE void LinePixels(const ConvParams& p, const Part& part, const LineArgs& a, int64_t ox) {
  const DF d;
  const int64_t line = p.in[2] * kBlock * p.dilation[1], x0 = ox * S - p.pad[2];
  for (int v = 0; v < kVectorsABlock; ++v) {
    VF acc[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) acc[r] = hn::LoadU(d, part.bias + v * kLanes);
    for (int64_t ky = a.ys.begin; ky < a.ys.end; ++ky) {
      const float* x = a.src + ky * line + x0 * kBlock + v * kLanes;
      const float* weights = a.weights + ky * K * kBlock + v * kLanes;
      VF tap[K];
#pragma GCC unroll 7
      for (int k = 0; k < K; ++k) tap[k] = hn::LoadU(d, weights + k * kBlock);
#pragma GCC unroll 20
      for (int i = 0; i < (R - 1) * S + K; ++i) {
        const bool outside = Edge && ((i < K - 1 && x0 + i < 0) || (i > (R - 1) * S && x0 + i >= p.in[2]));
        const VF value = hn::LoadU(d, outside ? kZeros : x + i * kBlock);
#pragma GCC unroll 7
        for (int k = 0; k < K; ++k) {
          if (i - k >= 0 && (i - k) % S == 0 && (i - k) / S < R) acc[(i - k) / S] = hn::MulAdd(value, tap[k], acc[(i - k) / S]);
        }
      }
    }
    const VF low = hn::Set(d, p.epilogue.low), high = hn::Set(d, p.epilogue.high);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int64_t at = (ox + r) * kBlock + v * kLanes;
      if (a.residual != nullptr) acc[r] = hn::Add(acc[r], hn::LoadU(d, a.residual + at));
      hn::StoreU(Between(low, acc[r], high), d, a.row + at);
    }
  }
}

template <int K, int S, int R>
HWY_INLINE void LineTile(const ConvParams& p, const Part& part, const LineArgs& a, int64_t ox) {
  const int64_t x0 = ox * S - p.pad[2];
  if (x0 >= 0 && x0 + (R - 1) * S + K <= p.in[2]) return LinePixels<K, S, R, false>(p, part, a, ox);
  LinePixels<K, S, R, true>(p, part, a, ox);
}

template <int K, int S>
HWY_NOINLINE void LineRow(const ConvParams& p, const Part& part, const LineArgs& a) {
  const int64_t width = p.out[2];
  int64_t ox = 0;
  if (width % 8 != 0 && width % 7 == 0) {
    for (; ox < width; ox += 7) LineTile<K, S, 7>(p, part, a, ox);
    return;
  }
  for (; ox + 8 <= width; ox += 8) LineTile<K, S, 8>(p, part, a, ox);
  for (; ox + 4 <= width; ox += 4) LineTile<K, S, 4>(p, part, a, ox);
  if (ox < width && width >= 4) return LineTile<K, S, 4>(p, part, a, width - 4);  // some of them again
  for (; ox < width; ++ox) LineTile<K, S, 1>(p, part, a, ox);
}

using LineFunction = void (*)(const ConvParams&, const Part&, const LineArgs&);
LineFunction line_row(const ConvParams& p) {
  const int64_t k = p.kernel[2], s = p.stride[2];
  if (k == 3) return s == 1 ? LineRow<3, 1> : LineRow<3, 2>;
  if (k == 7) return LineRow<7, 1>;
  return s == 1 ? LineRow<5, 1> : LineRow<5, 2>;
}

void DepthwiseLines(const ConvParams& p, const Part& part, const float* plane, const float* w) {
  const LineFunction run = line_row(p);
  const int64_t pitch = p.out[2] * kBlock;
  for (int64_t r = part.row_begin; r < part.row_end; ++r) {
    const int64_t y = r * p.stride[1] - p.pad[1];
    const LineArgs line{plane + y * p.in[2] * kBlock, w, ValidTaps(y, p.dilation[1], p.kernel[1], p.in[1]), part.dst + r * pitch,
                        part.residual != nullptr ? part.residual + r * pitch : nullptr};
    run(p, part, line);
    const Epilogue& e = p.epilogue;
    if (e.tile != nullptr) e.tile(e.alpha, e.beta, line.row, line.row, pitch);
  }
}

}  // namespace

void ConvDepthwise(const ConvParams& p, const Call& call, Range range) {
  for (int64_t i = range.begin; i < range.end; ++i) {
    const Part part(p, call, i);
    const int64_t blocks = (p.channels + kBlock - 1) / kBlock;
    const float* plane = Operand(call, 0, p.shared_input) + (part.image * blocks + part.block) * part.in_plane;
    const float* w = Operand(call, 1, p.shared_weights) + part.block * p.taps() * kBlock;
    if (depthwise_lines(p)) {
      DepthwiseLines(p, part, plane, w);
      continue;
    }
    for (int64_t r = part.row_begin; r < part.row_end; ++r) DepthwiseRow(p, part, plane, w, r);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvDepthwise);
Kernel<ConvParams> ConvDepthwisePointer() { return TENON_POINTER(ConvDepthwise); }
}  // namespace tenon::kernels
#endif
