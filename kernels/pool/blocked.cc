// Max and average pooling of channel-blocked float32 tensors. A part is a run of output rows of one plane of blocks.
#include "kernels/pool/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/blocked.cc"
#include "hwy/foreach_target.h"

#include <limits>

#include "hwy/highway.h"
#include "kernels/pool/window-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;

template <PoolKind kKind>
void PoolRow(const PoolParams& p, const Dims3& d, const float* plane, float* dst, int64_t row) {
  const DF df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df));
  const int64_t block = p.block;
  const int64_t oz = row / d.out[1], oy = row % d.out[1];
  const Taps3 zs(d, 0, oz), ys(d, 1, oy);
  const int64_t z = oz * d.stride[0] - d.pad[0], y = oy * d.stride[1] - d.pad[1];
  for (int64_t ox = 0; ox < d.out[2]; ++ox) {
    const Taps3 xs(d, 2, ox);
    const int64_t x = ox * d.stride[2] - d.pad[2];
    const auto size = [&](const Taps3& t) { return static_cast<double>(p.count_include_pad ? t.padded : t.end - t.begin); };
    const VF scale = hn::Set(df, static_cast<float>(1.0 / (size(zs) * size(ys) * size(xs))));
    for (int64_t c = 0; c < block; c += lanes) {
      VF acc = kKind == PoolKind::kMax ? hn::Set(df, -std::numeric_limits<float>::infinity()) : hn::Zero(df);
      for (int64_t kz = zs.begin; kz < zs.end; ++kz) {
        for (int64_t ky = ys.begin; ky < ys.end; ++ky) {
          const float* line = plane + (((z + kz * d.dilation[0]) * d.in[1] + y + ky * d.dilation[1]) * d.in[2] + x) * block + c;
          for (int64_t kx = xs.begin; kx < xs.end; ++kx) {
            const VF value = hn::LoadU(df, line + kx * d.dilation[2] * block);
            acc = kKind == PoolKind::kMax ? MaxNan(acc, value) : hn::Add(acc, value);
          }
        }
      }
      if (kKind == PoolKind::kAverage) acc = hn::Mul(acc, scale);
      hn::StoreU(acc, df, dst + ox * block + c);
    }
  }
}

template <PoolKind kKind>
void GlobalPlane(int64_t block, int64_t pixels, const float* src, float* dst) {
  const DF df;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df));
  for (int64_t c = 0; c < block; c += lanes) {
    constexpr int kChains = 4;
    VF acc[kChains];
    for (int i = 0; i < kChains; ++i)
      acc[i] = kKind == PoolKind::kMax ? hn::Set(df, -std::numeric_limits<float>::infinity()) : hn::Zero(df);
    int64_t at = 0;
    for (; at + kChains <= pixels; at += kChains) {
#pragma GCC unroll 4
      for (int i = 0; i < kChains; ++i) {
        const VF value = hn::LoadU(df, src + (at + i) * block + c);
        acc[i] = kKind == PoolKind::kMax ? MaxNan(acc[i], value) : hn::Add(acc[i], value);
      }
    }
    for (; at < pixels; ++at) {
      const VF value = hn::LoadU(df, src + at * block + c);
      acc[0] = kKind == PoolKind::kMax ? MaxNan(acc[0], value) : hn::Add(acc[0], value);
    }
    for (int i = 1; i < kChains; ++i) acc[0] = kKind == PoolKind::kMax ? MaxNan(acc[0], acc[i]) : hn::Add(acc[0], acc[i]);
    if (kKind == PoolKind::kAverage) acc[0] = hn::Mul(acc[0], hn::Set(df, 1.0f / static_cast<float>(pixels)));
    hn::StoreU(acc[0], df, dst + c);
  }
}

}  // namespace

void PoolBlocked(const PoolParams& p, const Call& call, Range range) {
  const Dims3 d(p);
  const int64_t in_plane = d.in[0] * d.in[1] * d.in[2] * p.block, out_row = d.out[2] * p.block;
  const int64_t rows = p.row_count(), row_parts = p.row_parts();
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts;
    const int64_t begin = part % row_parts * p.rows;
    const int64_t end = begin + p.rows < rows ? begin + p.rows : rows;
    for (int64_t row = begin; row < end; ++row) {
      const float* src = call.in<float>(0) + plane * in_plane;
      float* dst = call.out<float>(0) + (plane * rows + row) * out_row;
      if (p.kind == PoolKind::kMax) {
        PoolRow<PoolKind::kMax>(p, d, src, dst, row);
      } else {
        PoolRow<PoolKind::kAverage>(p, d, src, dst, row);
      }
    }
  }
}

void GlobalPoolBlocked(const GlobalPoolParams& p, const Call& call, Range range) {
  for (int64_t plane = range.begin; plane < range.end; ++plane) {
    const float* src = call.in<float>(0) + plane * p.pixels * p.block;
    float* dst = call.out<float>(0) + plane * p.block;
    if (p.kind == PoolKind::kMax) {
      GlobalPlane<PoolKind::kMax>(p.block, p.pixels, src, dst);
    } else {
      GlobalPlane<PoolKind::kAverage>(p.block, p.pixels, src, dst);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(PoolBlocked);
TENON_EXPORT(GlobalPoolBlocked);
Kernel<PoolParams> PoolBlockedPointer() { return TENON_POINTER(PoolBlocked); }
Kernel<GlobalPoolParams> GlobalPoolBlockedPointer() { return TENON_POINTER(GlobalPoolBlocked); }
}  // namespace tenon::kernels
#endif
