// Lanes of four bytes, by which convolutions go over images and filters. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_QUADS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_QUADS_INL_H_
#undef TENON_KERNELS_INTEGER_QUADS_INL_H_
#else
#define TENON_KERNELS_INTEGER_QUADS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DB = hn::Repartition<uint8_t, DI>;
using DW = hn::Repartition<uint16_t, DI>;

/// Sums of lanes; where an instruction set takes neighbours apart, the total of a lane is that of a pair, those of the upper half in `other`.
struct Sum {
  VI all, other;
  HWY_INLINE Sum() {}  // by hand: what compilers write themselves is for no instruction set in particular
  HWY_INLINE explicit Sum(VI start) {
    const DI d;
#if HWY_ARCH_X86
    all = start, other = hn::Zero(d);
#else
    all = hn::InterleaveLower(d, start, hn::Zero(d)), other = hn::InterleaveUpper(d, start, hn::Zero(d));
#endif
  }
};

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
/// Four products of unsigned by signed bytes are added to a lane by one instruction.
struct ByteQuads {
  static constexpr int kTileQuads = kLanes >= 16 ? 3 : 1;  ///< most of a tile of filters
  static constexpr int kVectors = kLanes >= 16 ? 2 : 3;    ///< of a panel of places
  using Group = int32_t;                                   ///< of a filter: four signed bytes
  using Image = VI;
  using Filter = VI;
  static HWY_INLINE Image image(VI bytes) { return bytes; }
  static HWY_INLINE Filter one(const Group* group) { return hn::Set(DI(), *group); }
  /// Four groups that lie one after the other, in every block of four lanes.
  static HWY_INLINE Filter four(const Group* groups) { return hn::LoadDup128(DI(), groups); }
  static HWY_INLINE void add(Sum& sum, Image x, Filter w) { sum.all = Bytes::MultiplyAdd(sum.all, x, w); }
  static HWY_INLINE VI total(const Sum& sum) { return sum.all; }
  /// Puts the group of filter i of `height`.
  static void put(const int8_t* bytes, Group* groups, int64_t i, int64_t) { std::memcpy(groups + i, bytes, 4); }
};
#endif

/// Bytes are widened to 16-bit words, whose products do not saturate: those at even positions and those at odd ones.
struct WordQuads {
  static constexpr int kTileQuads = kLanes >= 16 ? 2 : 1;
  static constexpr int kVectors = 2;
  using D16 = hn::Repartition<int16_t, DI>;
  using Group = int64_t;
  struct Pair {
    hn::Vec<D16> even, odd;
    HWY_INLINE Pair() {}  // as for Sum
    HWY_INLINE Pair(hn::Vec<D16> e, hn::Vec<D16> o) : even(e), odd(o) {}
  };
  using Image = Pair;
  using Filter = Pair;
  static HWY_INLINE Image image(VI bytes) {
    const DW d;
    const auto words = hn::BitCast(d, bytes);
    return {hn::BitCast(D16(), hn::And(words, hn::Set(d, 0xff))), hn::BitCast(D16(), hn::ShiftRight<8>(words))};
  }
  static HWY_INLINE Filter one(const Group* group) {
    const auto* const halves = reinterpret_cast<const int32_t*>(group);
    return {hn::BitCast(D16(), hn::Set(DI(), halves[0])), hn::BitCast(D16(), hn::Set(DI(), halves[1]))};
  }
  static HWY_INLINE Filter four(const Group* groups) {
    const auto* const words = reinterpret_cast<const int16_t*>(groups);
    return {hn::LoadDup128(D16(), words), hn::LoadDup128(D16(), words + 8)};
  }
  static HWY_INLINE void add(Sum& sum, const Image& x, const Filter& w) {
    sum.all = hn::ReorderWidenMulAccumulate(DI(), x.even, w.even, sum.all, sum.other);
    sum.all = hn::ReorderWidenMulAccumulate(DI(), x.odd, w.odd, sum.all, sum.other);
  }
  static HWY_INLINE VI total(const Sum& sum) { return hn::RearrangeToOddPlusEven(sum.all, sum.other); }
  /// The even words of all four filters of a depthwise quad come before their odd ones.
  static void put(const int8_t* bytes, Group* groups, int64_t i, int64_t apart) {
    const int16_t even[] = {bytes[0], bytes[2]}, odd[] = {bytes[1], bytes[3]};
    auto* const halves = reinterpret_cast<int32_t*>(groups);
    std::memcpy(halves + (apart == 1 ? 2 * i : i), even, 4);
    std::memcpy(halves + (apart == 1 ? 2 * i + 1 : i + apart), odd, 4);
  }
};

#if !HWY_ARCH_X86 || HWY_TARGET > HWY_AVX2
using ByteQuads = WordQuads;  // no row for bytes is taken without the instruction
#endif

/// Lane i of four vectors becomes its four bytes, one of each.
HWY_INLINE VI JoinBytes(VI a, VI b, VI c, VI e) {
  const DI d;
  const DW d16;
  const auto ac = hn::OddEven(hn::BitCast(d16, hn::ShiftLeft<16>(c)), hn::BitCast(d16, a));
  const auto be = hn::OddEven(hn::BitCast(d16, hn::ShiftLeft<16>(e)), hn::BitCast(d16, b));
  return hn::BitCast(d, hn::Or(hn::And(ac, hn::Set(d16, 0xff)), hn::ShiftLeft<8>(be)));
}

/// The bytes of each block of four lanes as a 4 x 4 matrix, transposed.
HWY_INLINE VI TransposeBytes(VI v) {
  alignas(16) static constexpr uint8_t kOrder[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const DB d;
  return hn::BitCast(DI(), hn::TableLookupBytes(hn::BitCast(d, v), hn::LoadDup128(d, kOrder)));
}

/// Results as unsigned bytes: sums times their scale, rounded half to even and moved by the zero point, between 0 and 255.
class Quantiser {
 public:
  explicit Quantiser(int32_t zero)
      : low_(hn::Set(DF(), static_cast<float>(-zero))),
        high_(hn::Set(DF(), static_cast<float>(255 - zero))),
        zero_(hn::Set(DB(), static_cast<uint8_t>(zero))) {}

  /// The result less the zero point is the lowest byte of each lane, modulo 256.
  HWY_INLINE VI operator()(VI sum, hn::Vec<hn::RebindToFloat<DI>> scale) const { return (*this)(hn::Mul(hn::ConvertTo(DF(), sum), scale)); }
  HWY_INLINE VI operator()(hn::Vec<hn::RebindToFloat<DI>> scaled) const {
    // Numbers of this size have no room for a fraction, and hold what is added to them in their last bits.
    const auto x = hn::Min(hn::Max(scaled, low_), high_);
    return hn::BitCast(DI(), hn::Add(x, hn::Set(DF(), 12582912.0f)));
  }
  /// The results of four vectors, one of each in the bytes of a lane.
  HWY_INLINE VI join(VI a, VI b, VI c, VI e) const { return hn::BitCast(DI(), hn::Add(hn::BitCast(DB(), JoinBytes(a, b, c, e)), zero_)); }

 private:
  using DF = hn::RebindToFloat<DI>;
  hn::Vec<DF> low_, high_;
  hn::Vec<DB> zero_;
};

/// The lanes of a vector that `seen` has bits for, at the start of `to`, where there is room for `room` of them; what lies behind them
/// there may change. Returns how many there are.
HWY_INLINE int64_t StoreSeen(VI v, uint32_t seen, int32_t* HWY_RESTRICT to, int64_t room) {
  const DI d;
  seen &= static_cast<uint32_t>((uint64_t{1} << kLanes) - 1);
  const int count = __builtin_popcount(seen);
  if (count != kLanes) {
    const uint8_t bits[8] = {static_cast<uint8_t>(seen), static_cast<uint8_t>(seen >> 8)};
    v = hn::Compress(v, hn::LoadMaskBits(d, bits));
    if (room < kLanes) {
      alignas(64) int32_t lanes[kLanes];
      hn::Store(v, d, lanes);
      std::memcpy(to, lanes, static_cast<size_t>(count) * 4);
      return count;
    }
  }
  hn::StoreU(v, d, to);
  return count;
}

/// What V vectors of places, from `image` on, sum up to over all taps and channels.
template <int V>
HWY_NOINLINE void SumPlaces(const IntegerConvParams& p, const int64_t* taps, const uint8_t* image, int32_t* HWY_RESTRICT sums) {
  const DI d;
  const hn::Repartition<uint32_t, DI> du;
  VI total[V];
  for (int v = 0; v < V; ++v) total[v] = hn::Zero(d);
  const auto pairs = hn::Set(du, 0x00ff00ffu);
  const int64_t channels = p.image_channels(), count = p.taps();
  for (int64_t tap = 0; tap < count; ++tap) {
    const uint8_t* at = image + taps[tap];
    for (int64_t c = 0; c < channels; c += 4, at += p.quad_bytes) {
      const auto mask = hn::Set(du, channels - c >= 4 ? ~0u : (1u << (8 * (channels - c))) - 1);
      for (int v = 0; v < V; ++v) {
        const auto four = hn::And(mask, hn::LoadU(du, reinterpret_cast<const uint32_t*>(at) + v * kLanes));
        const auto two = hn::Add(hn::And(four, pairs), hn::And(hn::ShiftRight<8>(four), pairs));
        total[v] = hn::Add(total[v], hn::BitCast(d, hn::Add(hn::And(two, hn::Set(du, 0xffffu)), hn::ShiftRight<16>(two))));
      }
    }
  }
  for (int v = 0; v < V; ++v) hn::StoreU(total[v], d, sums + v * kLanes);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_QUADS_INL_H_
