// float32 to int8 and uint8, and from 2- to 8-bit integers, with vectors.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantize/bytes.cc"
#include <cmath>
#include <limits>
#include <type_traits>

#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/pack_bytes-inl.h"
#include "kernels/quantize/quantize.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

/// Whole vectors, then elements one by one: all round alike.
template <class T>
void QuantizeRun(const float* x, const float* scale, const T* zero, int64_t step, int64_t n, T* y) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> ints;
  const hn::Rebind<T, decltype(d)> bytes;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr float kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  auto s = hn::Set(d, *scale);
  auto z = hn::Set(ints, zero == nullptr ? 0 : *zero);
  auto low = hn::Sub(hn::Set(d, kLow), hn::ConvertTo(d, z)), high = hn::Sub(hn::Set(d, kHigh), hn::ConvertTo(d, z));
  // Clamped first: what is rounded is small. NaN is the lowest.
  const auto quotient = [&](int64_t i) HWY_ATTR { return hn::Min(hn::Max(hn::Div(hn::LoadU(d, x + i), s), low), high); };
  int64_t i = 0;
  if (step == 0) {
    // Packed as unsigned bytes.
    constexpr int32_t kAbove = -std::numeric_limits<T>::min();
    const hn::Repartition<uint8_t, decltype(d)> packed;
    const int32_t offset = kAbove + (zero == nullptr ? 0 : *zero);
    const auto rounded = [&](int64_t at) HWY_ATTR { return RoundedPlus(d, quotient(at), offset); };
    const auto flip = hn::Set(packed, static_cast<uint8_t>(kAbove));
    for (; i + 4 * lanes <= n; i += 4 * lanes) {
      const auto v = PackBytesInOrder(ints, rounded(i), rounded(i + lanes), rounded(i + 2 * lanes), rounded(i + 3 * lanes));
      hn::StoreU(hn::Xor(v, flip), packed, reinterpret_cast<uint8_t*>(y + i));
    }
  }
  for (; i + lanes <= n; i += lanes) {
    if (step != 0) {
      s = hn::LoadU(d, scale + i);
      if (zero != nullptr) {
        z = hn::PromoteTo(ints, hn::LoadU(bytes, zero + i));
        low = hn::Sub(hn::Set(d, kLow), hn::ConvertTo(d, z));
        high = hn::Sub(hn::Set(d, kHigh), hn::ConvertTo(d, z));
      }
    }
    hn::StoreU(hn::DemoteTo(bytes, hn::Add(RoundedPlus(d, quotient(i), 0), z)), bytes, y + i);
  }
  for (; i < n; ++i) {
    const float zero_point = zero == nullptr ? 0 : static_cast<float>(zero[i * step]);
    const float q = x[i] / scale[i * step], lowest = kLow - zero_point;
    y[i] = static_cast<T>(std::nearbyint(q >= lowest ? std::min(q, kHigh - zero_point) : lowest) + zero_point);
  }
}

template <class T>
void DequantizeRun(const T* x, const float* scale, const T* zero, int64_t step, int64_t n, float* y) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> ints;
  const hn::Rebind<T, decltype(d)> bytes;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s = hn::Set(d, *scale);
  auto z = hn::Set(ints, zero == nullptr ? 0 : *zero);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    if (step != 0) {
      s = hn::LoadU(d, scale + i);
      if (zero != nullptr) z = hn::PromoteTo(ints, hn::LoadU(bytes, zero + i));
    }
    const auto difference = hn::Sub(hn::PromoteTo(ints, hn::LoadU(bytes, x + i)), z);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, difference), s), d, y + i);
  }
  for (; i < n; ++i) y[i] = static_cast<float>(x[i] - (zero == nullptr ? 0 : zero[i * step])) * scale[i * step];
}

template <class T>
void Quantize(const QuantizeParams& p, const Call& call, Range range) {
  for_each_run(p, range, [&](int64_t at, int64_t n, int64_t s) {
    QuantizeRun(call.in<float>(0) + at, call.in<float>(1) + s, p.zero_point ? call.in<T>(2) + s : nullptr, p.scale_inner, n,
                call.out<T>(0) + at);
  });
}
template <class T>
void Dequantize(const QuantizeParams& p, const Call& call, Range range) {
  for_each_run(p, range, [&](int64_t at, int64_t n, int64_t s) {
    DequantizeRun(call.in<T>(0) + at, call.in<float>(1) + s, p.zero_point ? call.in<T>(2) + s : nullptr, p.scale_inner, n,
                  call.out<float>(0) + at);
  });
}

}  // namespace

void QuantizeBytes(const QuantizeParams& p, const Call& call, Range range) {
  p.narrow == DType::kInt8 ? Quantize<int8_t>(p, call, range) : Quantize<uint8_t>(p, call, range);
}
void DequantizeBytes(const QuantizeParams& p, const Call& call, Range range) {
  const bool is_signed = p.narrow == DType::kInt8 || p.narrow == DType::kInt4 || p.narrow == DType::kInt2;  // a byte an element all of them
  is_signed ? Dequantize<int8_t>(p, call, range) : Dequantize<uint8_t>(p, call, range);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(QuantizeBytes);
TENON_EXPORT(DequantizeBytes);
Kernel<QuantizeParams> QuantizeBytesPointer() { return TENON_POINTER(QuantizeBytes); }
Kernel<QuantizeParams> DequantizeBytesPointer() { return TENON_POINTER(DequantizeBytes); }
}  // namespace tenon::kernels
#endif
