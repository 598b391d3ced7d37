#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/normalization/layer_norm.cc"
#include "hwy/foreach_target.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/elementwise/half.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/normalization/layer_norm.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

/// Sum of x[i] - shift, or of its square. Blocks are added up in double so that long rows stay accurate.
template <bool square>
double SumOf(const float* src, int64_t count, float shift) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  const auto m = hn::Set(d, shift);
  const auto term = [m](auto x) HWY_ATTR {
    const auto c = hn::Sub(x, m);
    return square ? hn::Mul(c, c) : c;
  };
  double total = 0;
  size_t i = 0;
  while (i < n) {
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const size_t stop = n - i > 1024 * lanes ? i + 1024 * lanes : n;
    for (; i + 4 * lanes <= stop; i += 4 * lanes) {
      s0 = hn::Add(s0, term(hn::LoadU(d, src + i)));
      s1 = hn::Add(s1, term(hn::LoadU(d, src + i + lanes)));
      s2 = hn::Add(s2, term(hn::LoadU(d, src + i + 2 * lanes)));
      s3 = hn::Add(s3, term(hn::LoadU(d, src + i + 3 * lanes)));
    }
    for (; i < stop; i += lanes) {
      const size_t k = stop - i < lanes ? stop - i : lanes;
      s0 = hn::Add(s0, hn::IfThenElseZero(hn::FirstN(d, k), term(LoadPart(d, src + i, k))));
    }
    if (i > stop) i = stop;
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)))));
  }
  return total;
}

/// dst = (src - mean) * inverse * scale + bias; bias may be null.
void ScaleRow(const float* src, const float* scale, const float* bias, float* dst, int64_t count, float mean, float inverse) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  const auto m = hn::Set(d, mean), r = hn::Set(d, inverse);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::Mul(hn::Mul(hn::Sub(hn::LoadU(d, src + i), m), r), hn::LoadU(d, scale + i));
    hn::StoreU(bias ? hn::Add(x, hn::LoadU(d, bias + i)) : x, d, dst + i);
  }
  if (i < n) {
    const auto x = hn::Mul(hn::Mul(hn::Sub(LoadPart(d, src + i, n - i), m), r), LoadPart(d, scale + i, n - i));
    StorePart(bias ? hn::Add(x, LoadPart(d, bias + i, n - i)) : x, d, dst + i, n - i);
  }
}

struct Statistics {
  float mean, inverse;
};
Statistics StatisticsOf(const float* src, int64_t n, bool rms, float epsilon) {
  const double count = static_cast<double>(n);
  if (rms) return {0, static_cast<float>(1 / std::sqrt(SumOf<true>(src, n, 0) / count + epsilon))};
  const auto mean = static_cast<float>(SumOf<false>(src, n, 0) / count);
  return {mean, static_cast<float>(1 / std::sqrt(SumOf<true>(src, n, mean) / count + epsilon))};
}

void LayerNormFloat32(const LayerNormParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.rows ? range.end * p.chunk : p.rows;
  const float *scale = call.in<float>(1), *bias = p.has_bias ? call.in<float>(2) : nullptr;
  for (int64_t r = range.begin * p.chunk; r < end; ++r) {
    const float* src = call.in<float>(0) + r * p.n;
    const Statistics s = StatisticsOf(src, p.n, p.rms, p.epsilon);
    ScaleRow(src, scale, bias, call.out<float>(0) + r * p.n, p.n, s.mean, s.inverse);
    if (p.wants_mean) call.out<float>(1)[r] = s.mean;
    if (p.wants_inverse) call.out<float>(2)[r] = s.inverse;
  }
}

void LayerNormHalf(const LayerNormParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.rows ? range.end * p.chunk : p.rows;
  const Widen widen = widen_half(p.dtype);
  const Narrow narrow = narrow_half(p.dtype);
  float* x = reinterpret_cast<float*>(call.scratch);
  float *scale = x + p.n, *bias = scale + p.n;
  widen(call.src[1], scale, p.n);
  if (p.has_bias) widen(call.src[2], bias, p.n);
  for (int64_t r = range.begin * p.chunk; r < end; ++r) {
    widen(call.in<uint16_t>(0) + r * p.n, x, p.n);
    const Statistics s = StatisticsOf(x, p.n, p.rms, p.epsilon);
    ScaleRow(x, scale, p.has_bias ? bias : nullptr, x, p.n, s.mean, s.inverse);
    narrow(x, call.out<uint16_t>(0) + r * p.n, p.n);
  }
}

void GroupNormFloat32(const GroupNormParams& p, const Call& call, Range range) {
  const int64_t all = p.batch * p.groups;
  const int64_t end = range.end * p.chunk < all ? range.end * p.chunk : all;
  const int64_t members = p.channels / p.groups;
  for (int64_t g = range.begin * p.chunk; g < end; ++g) {
    const float* src = call.in<float>(0) + g * members * p.inner;
    float* dst = call.out<float>(0) + g * members * p.inner;
    const Statistics s = StatisticsOf(src, members * p.inner, false, p.epsilon);
    const int64_t group = g % p.groups;
    for (int64_t c = 0; c < members; ++c) {
      const int64_t at = p.per_group ? group : group * members + c;
      const float scale = s.inverse * call.in<float>(1)[at], bias = call.in<float>(2)[at], mean = s.mean;
      MapTile(src + c * p.inner, dst + c * p.inner, p.inner,
              [=](auto d, auto x) HWY_ATTR { return hn::MulAdd(hn::Sub(x, hn::Set(d, mean)), hn::Set(d, scale), hn::Set(d, bias)); });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(LayerNormFloat32);
TENON_EXPORT(LayerNormHalf);
TENON_EXPORT(GroupNormFloat32);
Kernel<LayerNormParams> LayerNormFloat32Pointer() { return TENON_POINTER(LayerNormFloat32); }
Kernel<LayerNormParams> LayerNormHalfPointer() { return TENON_POINTER(LayerNormHalf); }
Kernel<GroupNormParams> GroupNormFloat32Pointer() { return TENON_POINTER(GroupNormFloat32); }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(LayerNormParams, Name, when, why)
static const Row<LayerNormParams> kLayerRows[] = {
#include "kernels/normalization/layer_norm.inc"
};
#undef KERNEL
const Table<LayerNormParams> layer_norm{"layer_norm", kLayerRows, sizeof(kLayerRows) / sizeof(kLayerRows[0])};

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(GroupNormParams, Name, when, why)
static const Row<GroupNormParams> kGroupRows[] = {
#include "kernels/normalization/group_norm.inc"
};
#undef KERNEL
const Table<GroupNormParams> group_norm{"group_norm", kGroupRows, sizeof(kGroupRows) / sizeof(kGroupRows[0])};
}  // namespace tenon::kernels
#endif
