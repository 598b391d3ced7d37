#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize/range.cc"
#include <algorithm>
#include <cmath>

#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/quantize/range.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void Range(const MinMaxParams& p, const Call& call, kernels::Range range) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t part = range.begin; part < range.end; ++part) {
    const float* x = call.in<float>(0) + part * p.chunk;
    const int64_t n = std::min(p.chunk, p.count - part * p.chunk);
    // Several of each, since a comparison takes longer than a load. Beside NaN a minimum is its second operand, or the number.
    constexpr int64_t kChains = 4;
    hn::Vec<decltype(d)> lows[kChains], highs[kChains];
    for (int c = 0; c < kChains; ++c) lows[c] = highs[c] = hn::Zero(d);
    int64_t i = 0;
    for (; i + kChains * lanes <= n; i += kChains * lanes) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) {
        const auto v = hn::LoadU(d, x + i + c * lanes);
        lows[c] = hn::Min(v, lows[c]), highs[c] = hn::Max(v, highs[c]);
      }
    }
    for (int c = 1; c < kChains; ++c) lows[0] = hn::Min(lows[0], lows[c]), highs[0] = hn::Max(highs[0], highs[c]);
    float low = hn::GetLane(hn::MinOfLanes(d, lows[0])), high = hn::GetLane(hn::MaxOfLanes(d, highs[0]));
    for (; i < n; ++i) {
      if (x[i] < low) low = x[i];
      if (x[i] > high) high = x[i];
    }
    reinterpret_cast<PartRange*>(call.shared + sizeof(DynamicScale))[part] = {low, high};
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(Range);

void dynamic_scale(const MinMaxParams& p, const Call& call, struct Range) {
  const auto* ranges = reinterpret_cast<const PartRange*>(call.shared + sizeof(DynamicScale));
  float low = 0, high = 0;
  for (int64_t i = 0; i < p.parts(); ++i) {
    low = std::min(low, ranges[i].low);
    high = std::max(high, ranges[i].high);
  }
  auto* const to = reinterpret_cast<DynamicScale*>(call.shared);
  to->scale = low == high ? 1.0f : (high - low) / 255.0f;
  const float zero = std::nearbyint(std::min(std::max(0.0f - low / to->scale, 0.0f), 255.0f));
  to->zero = static_cast<uint8_t>(zero >= 0 ? zero : 0);
  if (call.dst[1] != nullptr) *call.out<float>(1) = to->scale;
  if (call.dst[2] != nullptr) *call.out<uint8_t>(2) = to->zero;
}
}  // namespace

Kernel<MinMaxParams> RangePointer() { return TENON_POINTER(Range); }
Kernel<MinMaxParams> DynamicScalePointer() { return &dynamic_scale; }

}  // namespace tenon::kernels
#endif
