#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/rotary.cc"
#include "hwy/foreach_target.h"

#include <algorithm>

#include "hwy/highway.h"
#include "kernels/attention/rotary.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void Rotary(const RotaryParams& p, const Call& call, Range range) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t end = std::min(p.rows(), range.end * p.chunk);
  for (int64_t row = range.begin * p.chunk; row < end; ++row) {
    const int64_t at[3] = {row / p.dims[2] / p.dims[1], row / p.dims[2] % p.dims[1], row % p.dims[2]};
    const auto from = [&at](const float* base, const int64_t(&step)[3]) {
      return base + at[0] * step[0] + at[1] * step[1] + at[2] * step[2];
    };
    const float *x = from(call.in<float>(0), p.x), *cos = from(call.in<float>(1), p.cos), *sin = from(call.in<float>(2), p.sin);
    float* const y = call.out<float>(0) + row * 2 * p.half;
    int64_t i = 0;
    for (; i + lanes <= p.half; i += lanes) {
      const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + i + p.half);
      const auto c = hn::LoadU(d, cos + i), s = hn::LoadU(d, sin + i);
      const auto c2 = hn::LoadU(d, cos + i + p.second), s2 = hn::LoadU(d, sin + i + p.second);
      hn::StoreU(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), d, y + i);
      hn::StoreU(hn::Add(hn::Mul(b, c2), hn::Mul(a, s2)), d, y + i + p.half);
    }
    for (; i < p.half; ++i) {
      const float a = x[i], b = x[i + p.half];
      y[i] = a * cos[i] - b * sin[i];
      y[i + p.half] = b * cos[i + p.second] + a * sin[i + p.second];
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(Rotary);
}  // namespace

Kernel<RotaryParams> RotaryPointer() { return TENON_POINTER(Rotary); }

}  // namespace tenon::kernels
#endif
