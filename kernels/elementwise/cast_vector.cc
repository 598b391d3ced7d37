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

void BytesToFloats(const uint8_t* src, float* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint8_t, decltype(d)> bytes;
  const hn::RebindToSigned<decltype(d)> ints;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::ConvertTo(d, hn::PromoteTo(ints, hn::LoadU(bytes, src + i))), d, dst + i);
  for (; i < n; ++i) dst[i] = static_cast<float>(src[i]);
}

/// Towards zero; a vector with numbers that do not fit int32 goes through cast_elements().
void Truncate(const CastParams& p, const float* src, int32_t* narrow, int64_t* wide, int64_t n) {
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
      cast_elements(p, src + i, narrow != nullptr ? static_cast<void*>(narrow + i) : wide + i, lanes);
      continue;
    }
    const auto v = hn::ConvertTo(ints, x);
    if (narrow != nullptr) {
      hn::StoreU(v, ints, narrow + i);
    } else {
      hn::StoreU(hn::PromoteTo(longs, hn::LowerHalf(half, v)), longs, wide + i);
      hn::StoreU(hn::PromoteTo(longs, hn::UpperHalf(half, v)), longs, wide + i + lanes / 2);
    }
  }
  if (i < n) cast_elements(p, src + i, narrow != nullptr ? static_cast<void*>(narrow + i) : wide + i, n - i);
}

}  // namespace

void CastBytes(const CastParams& p, const Call& call, Range range) {
  const Range r = Elements(p, range);
  BytesToFloats(call.in<uint8_t>(0) + r.begin, call.out<float>(0) + r.begin, r.end - r.begin);
}

void CastTruncate(const CastParams& p, const Call& call, Range range) {
  const Range r = Elements(p, range);
  const bool narrow = p.to == DType::kInt32;
  Truncate(p, call.in<float>(0) + r.begin, narrow ? call.out<int32_t>(0) + r.begin : nullptr,
           narrow ? nullptr : call.out<int64_t>(0) + r.begin, r.end - r.begin);
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
