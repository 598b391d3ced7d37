// Vectors of whole numbers narrowed to bytes. Re-included once per Highway target.
#if defined(TENON_KERNELS_PACK_BYTES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_PACK_BYTES_INL_H_
#undef TENON_KERNELS_PACK_BYTES_INL_H_
#else
#define TENON_KERNELS_PACK_BYTES_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// x, below 2^22 in magnitude, rounded half to even, plus `offset`: a number of 1.5 * 2^23 has no room for a fraction, and its low bits are
/// what was added to it.
template <class DF, class V = hn::Vec<DF>>
HWY_INLINE hn::Vec<hn::RebindToSigned<DF>> RoundedPlus(DF d, V x, int32_t offset) {
  const hn::RebindToSigned<DF> di;
  return hn::Sub(hn::BitCast(di, hn::Add(x, hn::Set(d, 12582912.0f))), hn::Set(di, 0x4B400000 - offset));
}

/// Four vectors of int32 as one of bytes, saturated: each block of 16 bytes has the lanes of that block of a, then those of b, c and e.
template <class DI, class V = hn::Vec<DI>>
HWY_INLINE hn::Vec<hn::Repartition<uint8_t, DI>> PackBytes(DI d, V a, V b, V c, V e) {
  const hn::Repartition<int16_t, DI> d16;
  const auto low = hn::ReorderDemote2To(d16, a, b), high = hn::ReorderDemote2To(d16, c, e);
  static_cast<void>(d);
  // Raw because this Highway narrows words within a vector only, and then puts them in order.
#if HWY_TARGET <= HWY_AVX3
  return hn::Vec512<uint8_t>{_mm512_packus_epi16(low.raw, high.raw)};
#elif HWY_TARGET <= HWY_AVX2
  return hn::Vec256<uint8_t>{_mm256_packus_epi16(low.raw, high.raw)};
#else
  const hn::Repartition<uint8_t, DI> bytes;
  const hn::Half<decltype(bytes)> half;
  return hn::Combine(bytes, hn::DemoteTo(half, high), hn::DemoteTo(half, low));
#endif
}

/// The same, but all lanes of a come first, then those of b, c and e.
template <class DI, class V = hn::Vec<DI>>
HWY_INLINE hn::Vec<hn::Repartition<uint8_t, DI>> PackBytesInOrder(DI d, V a, V b, V c, V e) {
  const auto packed = PackBytes(d, a, b, c, e);
  constexpr int kBlocks = static_cast<int>(hn::MaxLanes(d)) / 4;
  if constexpr (kBlocks == 1) {
    return packed;
  } else {
    HWY_ALIGN int32_t from[4 * kBlocks];
    for (int i = 0; i < 4 * kBlocks; ++i) from[i] = i % kBlocks * 4 + i / kBlocks;
    return hn::BitCast(hn::Repartition<uint8_t, DI>(), hn::TableLookupLanes(hn::BitCast(d, packed), hn::SetTableIndices(d, from)));
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
