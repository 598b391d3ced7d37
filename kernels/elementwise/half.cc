#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/half.cc"
#include "hwy/foreach_target.h"

#include "kernels/dispatch.h"
#include "kernels/elementwise/half.h"
#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

void WidenBFloat16(const void* source, float* dst, int64_t count) {
  const auto* src = static_cast<const uint16_t*>(source);
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  auto* bits = reinterpret_cast<uint32_t*>(dst);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::ShiftLeft<16>(hn::PromoteTo(d, hn::LoadU(d16, src + i))), d, bits + i);
  for (; i < n; ++i) dst[i] = static_cast<float>(reinterpret_cast<const BFloat16*>(src)[i]);
}

void NarrowBFloat16(const float* src, void* destination, int64_t count) {
  auto* dst = static_cast<uint16_t*>(destination);
  const hn::ScalableTag<float> df;
  const hn::RebindToUnsigned<decltype(df)> d;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(df, src + i);
    const auto bits = hn::BitCast(d, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d, 0x40));
    const auto nan = hn::RebindMask(d, hn::IsNaN(x));
    // The values fit 16 bits, so the saturating demotion keeps them.
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di, hn::IfThenElse(nan, quiet, rounded))), d16, dst + i);
  }
  for (; i < n; ++i) dst[i] = BFloat16(src[i]).bits;
}

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON  // one instruction, which rounds to nearest even
void WidenFloat16(const void* source, float* dst, int64_t count) {
  const auto* src = static_cast<const hwy::float16_t*>(source);
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, src + i)), d, dst + i);
  for (; i < n; ++i) dst[i] = static_cast<float>(static_cast<const Float16*>(source)[i]);
}

void NarrowFloat16(const float* src, void* destination, int64_t count) {
  auto* dst = static_cast<hwy::float16_t*>(destination);
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, src + i)), d16, dst + i);
  for (; i < n; ++i) static_cast<Float16*>(destination)[i] = Float16(src[i]);
}
#else
void WidenFloat16(const void* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = static_cast<float>(static_cast<const Float16*>(src)[i]);
}
void NarrowFloat16(const float* src, void* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) static_cast<Float16*>(dst)[i] = Float16(src[i]);
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(WidenBFloat16);
TENON_EXPORT(WidenFloat16);
TENON_EXPORT(NarrowBFloat16);
TENON_EXPORT(NarrowFloat16);
Widen widen_half(DType dtype) { return dtype == DType::kFloat16 ? TENON_POINTER(WidenFloat16) : TENON_POINTER(WidenBFloat16); }
Narrow narrow_half(DType dtype) { return dtype == DType::kFloat16 ? TENON_POINTER(NarrowFloat16) : TENON_POINTER(NarrowBFloat16); }
}  // namespace tenon::kernels
#endif
