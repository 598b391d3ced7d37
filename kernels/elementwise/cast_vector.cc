// Casts between float32 and whole numbers with vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/cast_vector.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/cast.h"
#include "kernels/lines.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

/// convert(from, to, n) for the elements of the range.
template <class From, class To, class Convert>
void Elements(const CastParams& p, const Call& call, Range range, Convert convert) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  if (begin >= end) return;
  const From* src = call.in<From>(0) + begin;
  To* dst = call.out<To>(0) + begin;
  by_lines(dst, end - begin, [&](int64_t i, int64_t n) { convert(src + i, dst + i, n); });
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

/// Through double, exactly, so that only the second step rounds: v + 2^51, when it is in [0, 2^52), makes the mantissa of a double of 2^52
/// and more. A vector with other numbers goes through cast_elements().
void LongsToFloats(const CastParams& p, const int64_t* src, float* dst, int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Half<decltype(floats)> half;
  const hn::Repartition<int64_t, decltype(floats)> longs;
  const hn::Repartition<double, decltype(floats)> doubles;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(floats));
  const auto shift = hn::Set(longs, int64_t{1} << 51), above = hn::Set(longs, -(int64_t{1} << 52));
  const auto exponent = hn::BitCast(longs, hn::Set(doubles, 0x1p52)), zero = hn::Zero(longs);
  const auto narrow = [&](auto u) HWY_ATTR {
    return hn::DemoteTo(half, hn::Sub(hn::BitCast(doubles, hn::Or(u, exponent)), hn::Set(doubles, 0x1.8p52)));
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto low = hn::Add(hn::LoadU(longs, src + i), shift), high = hn::Add(hn::LoadU(longs, src + i + lanes / 2), shift);
    if (hn::AllTrue(longs, hn::Eq(hn::And(hn::Or(low, high), above), zero))) {
      hn::StoreU(hn::Combine(floats, narrow(high), narrow(low)), floats, dst + i);
    } else {
      cast_elements(p, src + i, dst + i, lanes);
    }
  }
  if (i < n) cast_elements(p, src + i, dst + i, n - i);
}

}  // namespace

void CastBytes(const CastParams& p, const Call& call, Range range) {
  if (p.from == DType::kInt8) return Elements<int8_t, float>(p, call, range, BytesToFloats<int8_t>);
  Elements<uint8_t, float>(p, call, range, BytesToFloats<uint8_t>);
}

void CastTruncate(const CastParams& p, const Call& call, Range range) {
  const auto truncate = [&p](const float* src, auto* dst, int64_t n) { Truncate(p, src, dst, n); };
  if (p.to == DType::kInt32) return Elements<float, int32_t>(p, call, range, truncate);
  Elements<float, int64_t>(p, call, range, truncate);
}

void CastLongs(const CastParams& p, const Call& call, Range range) {
  Elements<int64_t, float>(p, call, range, [&p](const int64_t* src, float* dst, int64_t n) { LongsToFloats(p, src, dst, n); });
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(CastBytes);
TENON_EXPORT(CastTruncate);
TENON_EXPORT(CastLongs);
Kernel<CastParams> CastBytesPointer() { return TENON_POINTER(CastBytes); }
Kernel<CastParams> CastTruncatePointer() { return TENON_POINTER(CastTruncate); }
Kernel<CastParams> CastLongsPointer() { return TENON_POINTER(CastLongs); }
}  // namespace tenon::kernels
#endif
