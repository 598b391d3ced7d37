// Packing of rows and of columns. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_PACK_INL_H_
#undef TENON_KERNELS_INTEGER_PACK_INL_H_
#else
#define TENON_KERNELS_INTEGER_PACK_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/integer/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// What turns a byte of this dtype into one of the other sign, 128 away.
inline uint8_t to_signed(DType dtype) { return dtype == DType::kUint8 ? 0x80 : 0; }
inline uint8_t to_unsigned(DType dtype) { return dtype == DType::kInt8 ? 0x80 : 0; }
/// A zero point of that dtype after its operand became signed or unsigned.
inline int32_t signed_zero(DType dtype, const void* zeros, int64_t at) {
  return static_cast<int8_t>(static_cast<const uint8_t*>(zeros)[at] ^ to_signed(dtype));
}
inline int32_t unsigned_zero(DType dtype, const void* zeros, int64_t at) {
  return static_cast<uint8_t>(static_cast<const uint8_t*>(zeros)[at] ^ to_unsigned(dtype));
}

/// Packs k bytes, made signed by `flip`, as one of `height` rows of a tile: group g goes to to[g * height]. Returns their sum.
template <class Group>
HWY_INLINE int32_t PackRow(const uint8_t* HWY_RESTRICT src, uint8_t flip, int64_t k, int64_t height, Group* HWY_RESTRICT to) {
  const hn::CappedTag<uint8_t, 64> d;
  const hn::Repartition<uint64_t, decltype(d)> d64;
  constexpr int64_t kChunk = 256;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN uint8_t bytes[kChunk];
  const auto to_u = hn::Set(d, static_cast<uint8_t>(flip ^ 0x80));
  auto total = hn::Zero(d64);
  for (int64_t from = 0; from < k; from += kChunk) {
    const int64_t n = std::min(kChunk, k - from);
    const uint8_t* unsigned_bytes = src + from;
    if (flip != 0x80 || n < kChunk) {
      std::memset(bytes, 0, kChunk);
      std::memcpy(bytes, src + from, static_cast<size_t>(n));
      if (flip != 0x80) {
        for (int64_t i = 0; i < n; i += lanes) hn::Store(hn::Xor(hn::Load(d, bytes + i), to_u), d, bytes + i);
        for (int64_t i = n; i < kChunk; ++i) bytes[i] = 0;
      }
      unsigned_bytes = bytes;
    }
    for (int64_t i = 0; i < n; i += lanes) total = hn::Add(total, hn::SumsOf8(hn::LoadU(d, unsigned_bytes + i)));
    Group* HWY_RESTRICT out = to + from / 4 * height;
    const int64_t groups = groups_of(n);
    for (int64_t g = 0; g < groups; ++g, out += height) {
      uint32_t four;
      std::memcpy(&four, unsigned_bytes + 4 * g, 4);
      four ^= 0x80808080u;
      if constexpr (sizeof(Group) == 4) {
        std::memcpy(out, &four, 4);
      } else {
        int8_t narrow[4];
        int16_t wide[4];
        std::memcpy(narrow, &four, 4);
        for (int i = 0; i < 4; ++i) wide[i] = narrow[i];
        std::memcpy(out, wide, 8);
      }
    }
  }
  const auto sum = static_cast<uint32_t>(hn::GetLane(hn::SumOfLanes(d64, total)));
  return static_cast<int32_t>(sum - 128u * static_cast<uint32_t>(k));
}

/// Packs four rows of kPanel bytes, all flipped, as one group of a panel.
HWY_INLINE void PackGroup(const uint8_t* HWY_RESTRICT r0, const uint8_t* HWY_RESTRICT r1, const uint8_t* HWY_RESTRICT r2,
                          const uint8_t* HWY_RESTRICT r3, uint8_t flip, uint8_t* HWY_RESTRICT to) {
  constexpr int64_t kStep = std::min<int64_t>(16, kPanel);
  const hn::FixedTag<uint8_t, static_cast<size_t>(kStep)> d;
  const hn::Repartition<uint16_t, decltype(d)> d16;
  const auto x = hn::Set(d, flip);
#pragma GCC unroll 2
  for (int64_t i = 0; i < kPanel; i += kStep, to += 4 * kStep) {
    const auto a = hn::LoadU(d, r0 + i), b = hn::LoadU(d, r1 + i), c = hn::LoadU(d, r2 + i), e = hn::LoadU(d, r3 + i);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d, a, b)), low23 = hn::BitCast(d16, hn::InterleaveLower(d, c, e));
    const auto high01 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b)), high23 = hn::BitCast(d16, hn::InterleaveUpper(d, c, e));
    hn::StoreU(hn::Xor(x, hn::BitCast(d, hn::InterleaveLower(d16, low01, low23))), d, to);
    hn::StoreU(hn::Xor(x, hn::BitCast(d, hn::InterleaveUpper(d16, low01, low23))), d, to + kStep);
    hn::StoreU(hn::Xor(x, hn::BitCast(d, hn::InterleaveLower(d16, high01, high23))), d, to + 2 * kStep);
    hn::StoreU(hn::Xor(x, hn::BitCast(d, hn::InterleaveUpper(d16, high01, high23))), d, to + 3 * kStep);
  }
}

/// The sums of the columns of a panel.
HWY_INLINE void SumColumns(const uint8_t* HWY_RESTRICT panel, int64_t groups, int32_t* HWY_RESTRICT sums) {
  const DI d;
  const hn::Repartition<uint32_t, DI> du;
  const auto pairs = hn::Set(du, 0x00ff00ffu);
  for (int64_t v = 0; v < kPanel; v += kLanes) {
    auto total = hn::Zero(du);
    for (int64_t g = 0; g < groups; ++g) {
      const auto four = hn::LoadU(du, reinterpret_cast<const uint32_t*>(panel + (g * kPanel + v) * 4));
      const auto two = hn::Add(hn::And(four, pairs), hn::And(hn::ShiftRight<8>(four), pairs));
      total = hn::Add(total, hn::Add(hn::And(two, hn::Set(du, 0xffffu)), hn::ShiftRight<16>(two)));
    }
    hn::StoreU(hn::BitCast(d, total), d, sums + v);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_PACK_INL_H_
