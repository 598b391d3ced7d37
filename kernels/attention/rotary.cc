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

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

/// Where the elements of pair i are: [i * step] and [i * step + apart].
struct Pairs {
  int64_t step, apart;
};

template <bool interleaved>
void LoadPairs(const float* from, int64_t i, int64_t half, V& a, V& b) {
  const D d;
  if constexpr (interleaved) {
    hn::LoadInterleaved2(d, from + 2 * i, a, b);
  } else {
    a = hn::LoadU(d, from + i);
    b = hn::LoadU(d, from + i + half);
  }
}

template <bool interleaved>
void StorePairs(V a, V b, float* to, int64_t i, int64_t half) {
  const D d;
  if constexpr (interleaved) {
    hn::StoreInterleaved2(a, b, d, to + 2 * i);
  } else {
    hn::StoreU(a, d, to + i);
    hn::StoreU(b, d, to + i + half);
  }
}

template <bool interleaved>
void TurnRow(const RotaryParams& p, const float* x, const float* cos, const float* sin, float* y) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t half = p.half;
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    V a, b, c, c2, s, s2;
    LoadPairs<interleaved>(x, i, half, a, b);
    if (p.paired_angles) {
      LoadPairs<interleaved>(cos, i, half, c, c2);
      LoadPairs<interleaved>(sin, i, half, s, s2);
    } else {
      c = c2 = hn::LoadU(d, cos + i);
      s = s2 = hn::LoadU(d, sin + i);
    }
    StorePairs<interleaved>(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), hn::Add(hn::Mul(b, c2), hn::Mul(a, s2)), y, i, half);
  }
  const Pairs pairs = interleaved ? Pairs{2, 1} : Pairs{1, half};
  const Pairs angles = p.paired_angles ? pairs : Pairs{1, 0};
  for (; i < half; ++i) {
    const int64_t first = i * pairs.step, second = first + pairs.apart, angle = i * angles.step;
    const float a = x[first], b = x[second];
    y[first] = a * cos[angle] - b * sin[angle];
    y[second] = b * cos[angle + angles.apart] + a * sin[angle + angles.apart];
  }
  if (y != x) std::copy(x + 2 * half, x + p.size, y + 2 * half);
}

void Rotary(const RotaryParams& p, const Call& call, Range range) {
  const int64_t end = std::min(p.rows(), range.end * p.chunk);
  for (int64_t row = range.begin * p.chunk; row < end; ++row) {
    const int64_t at[3] = {row / p.dims[2] / p.dims[1], row / p.dims[2] % p.dims[1], row % p.dims[2]};
    const auto from = [&at](const float* base, const int64_t(&step)[3]) {
      return base + at[0] * step[0] + at[1] * step[1] + at[2] * step[2];
    };
    const float *x = from(call.in<float>(0), p.x), *cos = from(call.in<float>(1), p.cos), *sin = from(call.in<float>(2), p.sin);
    (p.interleaved ? TurnRow<true> : TurnRow<false>)(p, x, cos, sin, call.out<float>(0) + row * p.size);
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
