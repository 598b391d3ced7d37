#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/depthwise.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/filters-inl.h"
#include "kernels/integer/part_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// Adds the products of a vector of places of four channels, from `at` on, with the filters of these. Places of four taps are put side by
/// side, channel by channel: sum i gets place i of every block of four, one channel a lane.
template <class Quads>
HWY_INLINE void AddTaps(const uint8_t* HWY_RESTRICT at, const int64_t* HWY_RESTRICT taps, int64_t tap_groups,
                        const typename Quads::Group* HWY_RESTRICT filters, Sum* sums) {
  const DB d;
  const DW d16;
  for (int64_t g = 0; g < tap_groups; ++g, taps += 4, filters += 4) {
    const auto a = hn::LoadU(d, at + taps[0]), b = hn::LoadU(d, at + taps[1]), c = hn::LoadU(d, at + taps[2]),
               e = hn::LoadU(d, at + taps[3]);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d, a, b)), low23 = hn::BitCast(d16, hn::InterleaveLower(d, c, e));
    const auto high01 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b)), high23 = hn::BitCast(d16, hn::InterleaveUpper(d, c, e));
    const auto w = Quads::four(filters);
    Quads::add(sums[0], Quads::image(hn::BitCast(DI(), hn::InterleaveLower(d16, low01, low23))), w);
    Quads::add(sums[1], Quads::image(hn::BitCast(DI(), hn::InterleaveUpper(d16, low01, low23))), w);
    Quads::add(sums[2], Quads::image(hn::BitCast(DI(), hn::InterleaveLower(d16, high01, high23))), w);
    Quads::add(sums[3], Quads::image(hn::BitCast(DI(), hn::InterleaveUpper(d16, high01, high23))), w);
  }
}

/// The same for kernels of three columns (IntegerConvParams::by_columns) that stand side by side in the image: what is put side by side for
/// one column serves the next ones a place further on.
template <class Quads>
HWY_INLINE void AddThreeColumns(const uint8_t* HWY_RESTRICT at, const int64_t* HWY_RESTRICT taps,
                                const typename Quads::Group* HWY_RESTRICT filters, Sum* sums) {
  const DB d;
  const DW d16;
  typename Quads::Image places[6];
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half, at += 16) {
    const auto a = hn::LoadU(d, at + taps[0]), b = hn::LoadU(d, at + taps[1]), c = hn::LoadU(d, at + taps[2]),
               e = hn::LoadU(d, at + taps[3]);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d, a, b)), low23 = hn::BitCast(d16, hn::InterleaveLower(d, c, e));
    places[4 * half] = Quads::image(hn::BitCast(DI(), hn::InterleaveLower(d16, low01, low23)));
    places[4 * half + 1] = Quads::image(hn::BitCast(DI(), hn::InterleaveUpper(d16, low01, low23)));
    if (half == 1) break;
    const auto high01 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b)), high23 = hn::BitCast(d16, hn::InterleaveUpper(d, c, e));
    places[2] = Quads::image(hn::BitCast(DI(), hn::InterleaveLower(d16, high01, high23)));
    places[3] = Quads::image(hn::BitCast(DI(), hn::InterleaveUpper(d16, high01, high23)));
  }
#pragma GCC unroll 3
  for (int column = 0; column < 3; ++column) {
    const auto w = Quads::four(filters + 4 * column);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) Quads::add(sums[i], places[column + i], w);
  }
}

template <class Quads>
void Depthwise(const IntegerConvParams& p, const Call& call, Range range) {
  using Group = typename Quads::Group;
  const DI d;
  const hn::RebindToFloat<DI> df;
  const ConvScratch layout = conv_scratch(p);
  const Filters<Quads> filters(
      p, p.shared_filters >= 0 ? call.shared + p.shared_filters : static_cast<std::byte*>(const_cast<void*>(call.src[3])));
  auto* const taps = reinterpret_cast<int64_t*>(call.scratch + layout.taps);
  auto* const seen = reinterpret_cast<uint32_t*>(call.scratch + layout.seen);
  auto* const ones = reinterpret_cast<Group*>(call.scratch + layout.ones);
  auto* const results = reinterpret_cast<int32_t*>(call.scratch + layout.results);
  find_taps(p, taps);
  const int64_t tap_groups = ceil_div(p.taps(), 4);
  const bool side_by_side = p.by_columns() && p.kernel[2] == 3 && p.stride[2] == 1 && p.dilation[2] == 1;
  for (int64_t tap = 0; tap < 4 * tap_groups; tap += 4) {
    int8_t group[4];
    for (int64_t i = 0; i < 4; ++i) group[i] = p.tap_of(tap + i) >= 0 ? 1 : 0;
    for (int64_t i = 0; i < 4; ++i) Quads::put(group, ones + tap, i, 4);
  }
  const Quantiser quantise(result_zero(p, call));
  SeenHold held;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t block = part % p.blocks, quad = part / p.blocks % p.image_quads(), n = part / p.blocks / p.image_quads();
    const int64_t first = block * p.block * p.panel, panels = ceil_div(std::min(p.block * p.panel, p.places() - first), p.panel);
    const bool zeros = load_filters(p, call, 4 * quad, 4 * quad + 4, p.filters, filters.sums() + 4 * quad);
    const VI start = hn::LoadDup128(d, reinterpret_cast<const int32_t*>(call.scratch + layout.starts));
    const VI zero = hn::LoadDup128(d, reinterpret_cast<const int32_t*>(call.scratch + layout.zeros));
    const auto scale = hn::LoadDup128(df, reinterpret_cast<const float*>(call.scratch + layout.scales));
    const int64_t pixel = held.find(p, first, panels, seen);
    const uint8_t* image = image_of(p, call, n, 0) + quad * p.quad_bytes + first * 4;
    int32_t* to = results;
    for (int64_t panel = 0; panel < panels; ++panel) {
      for (int v = 0; v < Quads::kVectors; ++v, image += kLanes * 4) {
        Sum sums[4] = {Sum(start), Sum(start), Sum(start), Sum(start)};
        if (side_by_side) {
          AddThreeColumns<Quads>(image, taps, filters.quad(quad), sums);
        } else {
          AddTaps<Quads>(image, taps, tap_groups, filters.quad(quad), sums);
        }
        VI total[4];
        for (int i = 0; i < 4; ++i) total[i] = Quads::total(sums[i]);
        if (zeros) {
          Sum places[4] = {Sum(hn::Zero(d)), Sum(hn::Zero(d)), Sum(hn::Zero(d)), Sum(hn::Zero(d))};
          AddTaps<Quads>(image, taps, tap_groups, ones, places);
          for (int i = 0; i < 4; ++i) total[i] = hn::Sub(total[i], hn::Mul(zero, Quads::total(places[i])));
        }
        for (VI& sum : total) sum = quantise(sum, scale);
        to += StoreSeen(TransposeBytes(quantise.join(total[0], total[1], total[2], total[3])), seen[panel] >> (v * kLanes), to, kLanes);
      }
    }
    StoreQuad(p, call, reinterpret_cast<const uint8_t*>(results), to - results, n, 4 * quad, p.filters - 4 * quad, pixel);
  }
}

}  // namespace

void DepthwiseWords(const IntegerConvParams& p, const Call& call, Range range) { Depthwise<WordQuads>(p, call, range); }
void DepthwiseBytes(const IntegerConvParams& p, const Call& call, Range range) { Depthwise<ByteQuads>(p, call, range); }

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(DepthwiseBytes);
TENON_EXPORT(DepthwiseWords);
}  // namespace

Kernel<IntegerConvParams> IntegerDepthwiseBytesPointer() { return TENON_POINTER(DepthwiseBytes); }
Kernel<IntegerConvParams> IntegerDepthwiseWordsPointer() { return TENON_POINTER(DepthwiseWords); }

}  // namespace tenon::kernels
#endif
