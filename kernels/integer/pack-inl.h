// Packing of rows and of columns. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_PACK_INL_H_
#undef TENON_KERNELS_INTEGER_PACK_INL_H_
#else
#define TENON_KERNELS_INTEGER_PACK_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/gemm/rows-inl.h"
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

/// Packs `height` rows of k bytes, made signed by `flip`, as a tile: group g of row r goes to to[g * height + r]. sums[r]: of the row's
/// signed bytes.
template <class Group>
HWY_NOINLINE void PackTile(const uint8_t* HWY_RESTRICT src, uint8_t flip, int64_t k, int64_t height, Group* HWY_RESTRICT to,
                           int32_t* HWY_RESTRICT sums) {
  using Element = std::conditional_t<sizeof(Group) == 4, int8_t, int16_t>;
  const hn::Rebind<uint8_t, hn::CappedTag<Element, 64 / sizeof(Element)>> d;
  const hn::Rebind<Element, decltype(d)> wide;
  const hn::RebindToSigned<decltype(d)> narrow;
  constexpr int64_t kChunk = 256;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto to_unsigned_bytes = hn::Set(d, static_cast<uint8_t>(flip ^ 0x80)), sign = hn::Set(d, uint8_t{0x80});
  HWY_ALIGN uint8_t padded[kChunk];
  HWY_ALIGN Element rows[kTileRows * kChunk];
  std::fill_n(sums, height, static_cast<int32_t>(0u - 128u * static_cast<uint32_t>(k)));
  for (int64_t from = 0; from < k; from += kChunk) {
    const int64_t n = std::min(kChunk, k - from);
    for (int64_t r = 0; r < height; ++r) {
      const uint8_t* row = src + r * k + from;
      if (n < kChunk) {
        std::memset(padded, flip ^ 0x80, kChunk);
        std::memcpy(padded, row, static_cast<size_t>(n));
        row = padded;
      }
      Element* const out = rows + r * kChunk;
      auto total = hn::Zero(hn::Repartition<uint64_t, decltype(d)>());
      for (int64_t i = 0; i < n; i += lanes) {
        const auto bytes = hn::Xor(hn::LoadU(d, row + i), to_unsigned_bytes);
        total = hn::Add(total, hn::SumsOf8(bytes));
        const auto made_signed = hn::BitCast(narrow, hn::Xor(bytes, sign));
        if constexpr (sizeof(Element) == 1) {
          hn::StoreU(made_signed, wide, out + i);
        } else {
          hn::StoreU(hn::PromoteTo(wide, made_signed), wide, out + i);
        }
      }
      const auto sum = static_cast<uint32_t>(hn::GetLane(hn::SumOfLanes(hn::Repartition<uint64_t, decltype(d)>(), total)));
      sums[r] = static_cast<int32_t>(static_cast<uint32_t>(sums[r]) + sum);
    }
    Transpose(reinterpret_cast<const Group*>(rows), kChunk / 4, groups_of(n), height, to + from / 4 * height, height);
  }
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
