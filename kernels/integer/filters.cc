#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/filters.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/filters-inl.h"
#include "kernels/integer/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// `count` weights `step` apart, as signed bytes of one group, the rest zeros. Returns their sum.
HWY_INLINE int32_t TakeGroup(const uint8_t* w, int64_t step, int64_t count, uint8_t flip, int8_t* group) {
  int32_t sum = 0;
  for (int64_t i = 0; i < 4; ++i) {
    group[i] = i < count ? static_cast<int8_t>(w[i * step] ^ flip) : int8_t{0};
    sum += group[i];
  }
  return sum;
}

template <class Quads>
void PackDepthwise(const IntegerConvParams& p, const uint8_t* w, std::byte* to, Range range) {
  const Filters<Quads> filters(p, to);
  const int64_t taps = p.taps();
  for (int64_t quad = range.begin; quad < range.end; ++quad) {
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t channel = quad * 4 + i;
      uint32_t sum = 0;
      for (int64_t slot = 0; slot < taps; slot += 4) {
        int8_t group[4];
        for (int64_t k = 0; k < 4; ++k) {
          const int64_t tap = p.tap_of(slot + k);
          group[k] = channel < p.channels && tap >= 0 ? static_cast<int8_t>(w[channel * taps + tap] ^ to_signed(p.w)) : int8_t{0};
          sum += static_cast<uint32_t>(group[k]);
        }
        Quads::put(group, filters.quad(quad) + slot, i, 4);
      }
      filters.sums()[channel] = static_cast<int32_t>(sum);
    }
  }
}

template <class Quads>
void PackTiles(const IntegerConvParams& p, const uint8_t* w, std::byte* to, Range range) {
  const Filters<Quads> filters(p, to);
  const int64_t taps = p.taps(), channels = p.image_channels(), depth = p.depth();
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t group = part / p.tiles, tile = part % p.tiles, begin = tile_begin(p, tile), height = tile_begin(p, tile + 1) - begin;
    for (int64_t i = 0; i < height; ++i) {
      auto* groups = filters.tile(group, begin);
      const uint8_t* const filter = w + (group * p.rows() + begin + i) * depth;
      const bool real = begin + i < p.rows();
      uint32_t sum = 0;
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < channels; c += 4, groups += height) {
          int8_t four[4];
          sum += static_cast<uint32_t>(
              TakeGroup(filter + c * taps + tap, taps, real ? std::min<int64_t>(4, channels - c) : 0, to_signed(p.w), four));
          Quads::put(four, groups, i, 1);
        }
      }
      filters.sums()[group * p.filled_rows() + begin + i] = static_cast<int32_t>(sum);
    }
  }
}

}  // namespace

void IntegerFilters(const IntegerConvParams& p, const Call& call, Range range) {
  const bool shared = p.shared_filters >= 0;
  const auto* const w = call.in<uint8_t>(shared ? 3 : 0);
  std::byte* const to = shared ? call.shared + p.shared_filters : static_cast<std::byte*>(call.dst[0]);
  if (p.format == IntegerFormat::kByteFilters4 || p.format == IntegerFormat::kByteFilters12) {
    p.depthwise ? PackDepthwise<ByteQuads>(p, w, to, range) : PackTiles<ByteQuads>(p, w, to, range);
    return;
  }
  p.depthwise ? PackDepthwise<WordQuads>(p, w, to, range) : PackTiles<WordQuads>(p, w, to, range);
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(IntegerFilters);
}  // namespace
Kernel<IntegerConvParams> IntegerFiltersPointer() { return TENON_POINTER(IntegerFilters); }
}  // namespace tenon::kernels
#endif
