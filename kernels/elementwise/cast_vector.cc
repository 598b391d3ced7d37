// Casts between float32 and whole numbers with vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/cast_vector.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/cast.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

Range Elements(const CastParams& p, Range range) {
  return {range.begin * p.chunk, range.end * p.chunk < p.count ? range.end * p.chunk : p.count};
}

template <class Byte>
void BytesToFloats(const Byte* src, float* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<Byte, decltype(d)> bytes;
  const hn::RebindToSigned<decltype(d)> ints;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(ints, hn::LoadU(bytes, src + i))), d, dst + i);
  for (; i < n; ++i) dst[i] = static_cast<float>(src[i]);
}

/// To int32_t or int64_t, towards zero; a vector with numbers that do not fit int32 goes through cast_elements().
template <class Int>
void Truncate(const CastParams& p, const float* src, Int* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> ints;
  const hn::Repartition<int64_t, decltype(d)> longs;
  const hn::Rebind<int32_t, decltype(longs)> half;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto limit = hn::Set(d, 2147483648.0f);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, src + i);
    if (!hn::AllTrue(d, hn::Lt(hn::Abs(x), limit))) {
      cast_elements(p, src + i, dst + i, lanes);
      continue;
    }
    const auto v = hn::ConvertTo(ints, x);
    if constexpr (sizeof(Int) == 4) {
      hn::StoreU(v, ints, dst + i);
    } else {
      hn::StoreU(hn::PromoteTo(longs, hn::LowerHalf(half, v)), longs, dst + i);
      hn::StoreU(hn::PromoteTo(longs, hn::UpperHalf(half, v)), longs, dst + i + lanes / 2);
    }
  }
  if (i < n) cast_elements(p, src + i, dst + i, n - i);
}

}  // namespace

void CastBytes(const CastParams& p, const Call& call, Range range) {
  const Range r = Elements(p, range);
  float* dst = call.out<float>(0) + r.begin;
  if (p.from == DType::kInt8) return BytesToFloats(call.in<int8_t>(0) + r.begin, dst, r.end - r.begin);
  BytesToFloats(call.in<uint8_t>(0) + r.begin, dst, r.end - r.begin);
}

void CastTruncate(const CastParams& p, const Call& call, Range range) {
  const Range r = Elements(p, range);
  const float* src = call.in<float>(0) + r.begin;
  if (p.to == DType::kInt32) return Truncate(p, src, call.out<int32_t>(0) + r.begin, r.end - r.begin);
  Truncate(p, src, call.out<int64_t>(0) + r.begin, r.end - r.begin);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
HWY_EXPORT(CastBytes);
HWY_EXPORT(CastTruncate);
Kernel<CastParams> CastBytesPointer() { return TENON_POINTER(CastBytes); }
Kernel<CastParams> CastTruncatePointer() { return TENON_POINTER(CastTruncate); }
}  // namespace tenon::kernels
#endif
