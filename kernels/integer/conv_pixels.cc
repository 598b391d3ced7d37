// Convolution with filters in the lanes: a tile is some pixels that are neighbours in the image, so none is computed in vain.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/conv_pixels.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/filters-inl.h"
#include "kernels/integer/part_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
namespace {

constexpr int kPixels = static_cast<int>(integer_pixels(kLanes));

struct PixelArgs {
  const int32_t* filters = nullptr;  ///< V vectors a group
  const int32_t* starts = nullptr;   ///< what sums start with: V vectors, for all pixels or start_step behind the pixel before
  int64_t start_step = 0;
  const float* scales = nullptr;
  const uint8_t* image = nullptr;  ///< the first pixel in the first quad
  const int64_t* taps = nullptr;
  int64_t tap_count = 0, quads = 0, quad_bytes = 0;
  uint8_t* results = nullptr;  ///< four filters of a pixel side by side; of fewer than four pixels, four are written
  int64_t row_bytes = 0;       ///< from one quad of filters to the next
  int16_t zero = 0;            ///< of results as unsigned bytes
};

/// Blocks of 16 bytes, `step` apart.
template <class D>
HWY_INLINE void StoreBlocks(D d, hn::Vec<D> v, uint8_t* HWY_RESTRICT to, int64_t step) {
  if constexpr (hn::MaxLanes(d) == 4) {
    hn::StoreU(v, d, reinterpret_cast<int32_t*>(to));
  } else {
    const hn::Half<D> half;
    constexpr auto kBlocks = static_cast<int64_t>(hn::MaxLanes(half)) / 4;
    StoreBlocks(half, hn::LowerHalf(half, v), to, step);
    StoreBlocks(half, hn::UpperHalf(half, v), to + kBlocks * step, step);
  }
}

/// Rounded half to even; what is beyond 32 bits becomes the largest or, NaN too, the lowest number. Raw because Highway's conversion looks
/// after the largest by itself, for every lane.
HWY_INLINE VI Rounded(hn::Vec<hn::RebindToFloat<DI>> x) {
  const auto held = hn::Min(hn::Set(hn::RebindToFloat<DI>(), 1e9f), x);
  VI y;
#if HWY_TARGET <= HWY_AVX3
  asm("vcvtps2dq %1, %0" : "=v"(y.raw) : "v"(held.raw));
#else
  asm("vcvtps2dq %1, %0" : "=x"(y.raw) : "x"(held.raw));
#endif
  return y;
}

/// Four vectors plus `zero`, saturated to unsigned bytes: in every block of four lanes those of the first, then those of the second, ...
HWY_INLINE VI JoinSaturated(VI a, VI b, VI c, VI e, int16_t zero) {
  const hn::Repartition<int16_t, DI> d16;
  const auto moved = hn::Set(d16, zero);
  const auto low = hn::SaturatedAdd(hn::ReorderDemote2To(d16, a, b), moved),
             high = hn::SaturatedAdd(hn::ReorderDemote2To(d16, c, e), moved);
  VI y;
#if HWY_TARGET <= HWY_AVX3
  asm("vpackuswb %2, %1, %0" : "=v"(y.raw) : "v"(low.raw), "v"(high.raw));
#else
  asm("vpackuswb %2, %1, %0" : "=x"(y.raw) : "x"(low.raw), "x"(high.raw));
#endif
  return y;
}

/// R pixels, V vectors of filters.
template <int R, int V>
HWY_NOINLINE void PixelTile(const PixelArgs& t) {
  const DI d;
  const hn::RebindToFloat<DI> df;
  VI sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sums[r][v] = hn::LoadU(d, t.starts + r * t.start_step + v * kLanes);
  const int32_t* HWY_RESTRICT filters = t.filters;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    const uint8_t* HWY_RESTRICT at = t.image + t.taps[tap];
    for (int64_t q = 0; q < t.quads; ++q, at += t.quad_bytes, filters += V * kLanes) {
      VI w[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) w[v] = hn::LoadU(d, filters + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const VI x = hn::Set(d, reinterpret_cast<const int32_t*>(at)[r]);
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sums[r][v] = Bytes::MultiplyAdd(sums[r][v], x, w[v]);
      }
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) {
    const auto scale = hn::LoadU(df, t.scales + v * kLanes);
#pragma GCC unroll 4
    for (int group = 0; group < R; group += 4) {
      const int r = std::min(group, std::max(0, R - 4));  // the last four, of which some may be done already
      const auto part = [&](int i) HWY_ATTR { return Rounded(hn::Mul(hn::ConvertTo(df, sums[std::min(r + i, R - 1)][v]), scale)); };
      StoreBlocks(d, JoinSaturated(part(0), part(1), part(2), part(3), t.zero), t.results + v * kLanes / 4 * t.row_bytes + r * 4,
                  t.row_bytes);
    }
  }
}

using PixelFunction = void (*)(const PixelArgs&);
template <int V, int... R>
constexpr std::array<PixelFunction, sizeof...(R) + 1> PixelTiles(std::integer_sequence<int, R...>) {
  return {nullptr, &PixelTile<R + 1, V>...};
}
/// By number of vectors less one, and of pixels.
constexpr std::array<PixelFunction, kPixels + 1> kPixelTiles[2] = {PixelTiles<1>(std::make_integer_sequence<int, kPixels>()),
                                                                   PixelTiles<2>(std::make_integer_sequence<int, kPixels>())};

/// What the sums of pixels start with where filters have zero points: the start less the zero point times the sum of the pixel's places.
HWY_NOINLINE void StartPixels(const int32_t* starts, const int32_t* zeros, const int32_t* place_sums, int64_t pixels, int64_t lanes,
                              int32_t* HWY_RESTRICT to) {
  for (int64_t r = 0; r < pixels; ++r, to += lanes) {
    for (int64_t i = 0; i < lanes; ++i)
      to[i] = static_cast<int32_t>(static_cast<uint32_t>(starts[i]) - wrapping_mul(zeros[i], place_sums[r]));
  }
}

}  // namespace

void ConvPixels(const IntegerConvParams& p, const Call& call, Range range) {
  const ConvScratch layout = conv_scratch(p);
  const Filters<ByteQuads> filters(
      p, p.shared_filters >= 0 ? call.shared + p.shared_filters : static_cast<std::byte*>(const_cast<void*>(call.src[3])));
  const auto at = [&](int64_t offset) { return reinterpret_cast<int32_t*>(call.scratch + offset); };
  auto* const results = reinterpret_cast<uint8_t*>(call.scratch + layout.results);
  auto* const taps = reinterpret_cast<int64_t*>(call.scratch + layout.taps);
  find_taps(p, taps);
  const int64_t run = p.run(), run_panels = p.run_panels(), panels = p.pixels() / run * run_panels;
  // Of the panels of a part, and the one after them: first pixel, and its place.
  auto* const pixels = reinterpret_cast<int64_t*>(call.scratch + layout.seen);
  int64_t* const places = pixels + p.block + 1;
  PixelArgs t;
  t.taps = taps, t.tap_count = p.taps(), t.quads = p.image_quads(), t.quad_bytes = p.quad_bytes;
  t.row_bytes = layout.row_bytes;
  int32_t* const own_starts = at(layout.sums);
  int32_t* const place_sums = own_starts + p.panel * p.unit * 2;
  t.zero = static_cast<int16_t>(result_zero(p, call));
  // Results go to y at once where they fill its quads, and nothing is written behind them.
  const bool direct = p.y_quads && p.filled_rows() / 4 == ceil_div(p.rows(), 4) && run / run_panels >= 4;
  if (direct) t.row_bytes = p.pixels() * 4;
  FilterHold held;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t share = part % p.tile_parts, place = part / p.tile_parts;
    const int64_t block = place % p.blocks, group = place / p.blocks % p.groups, n = place / p.blocks / p.groups;
    const int64_t first_tile = share * p.tiles / p.tile_parts, last_tile = (share + 1) * p.tiles / p.tile_parts;
    const int64_t begin = tile_begin(p, first_tile), end = tile_begin(p, last_tile), row = group * p.rows();
    const bool zeros = held.load(p, call, row + begin, row + end, row + p.rows(), filters.sums() + group * p.filled_rows() + begin);
    const uint8_t* const image = image_of(p, call, n, group);
    const int64_t first = block * p.block, count = std::min(panels - first, p.block);
    for (int64_t i = 0; i <= count; ++i) {
      pixels[i] = (first + i) / run_panels * run + (first + i) % run_panels * run / run_panels;
      places[i] = p.place_of(pixels[i]);
    }
    uint8_t* const to =
        !direct ? results : call.out<uint8_t>(0) + ((n * ceil_div(p.filters, 4) + (row + begin) / 4) * p.pixels() + pixels[0]) * 4;
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
      const int64_t f = tile_begin(p, tile), lanes = tile_begin(p, tile + 1) - f;
      const int32_t* const starts = at(layout.starts) + (f - begin);
      t.filters = filters.tile(group, f);
      t.starts = starts, t.start_step = 0;
      t.scales = reinterpret_cast<const float*>(at(layout.scales)) + (f - begin);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t width = pixels[i + 1] - pixels[i];
        t.image = image + places[i] * 4;
        t.results = to + (f - begin) / 4 * t.row_bytes + (pixels[i] - pixels[0]) * 4;
        if (zeros) {
          // A vector of places, which may not end behind the last one when the image is x itself.
          const int64_t from = std::max<int64_t>(0, std::min(places[i], p.places() - kLanes));
          SumPlaces<1>(p, taps, image + from * 4, place_sums);
          StartPixels(starts, at(layout.zeros) + (f - begin), place_sums + (places[i] - from), width, lanes, own_starts);
          t.starts = own_starts, t.start_step = lanes;
        }
        kPixelTiles[lanes / kLanes - 1][static_cast<size_t>(width)](t);
      }
    }
    const int64_t there = direct ? begin : std::min(end, p.rows());
    for (int64_t f = begin; f < there; f += 4) {
      StoreQuad(p, call, results + (f - begin) / 4 * layout.row_bytes, pixels[count] - pixels[0], n, row + f, there - f, pixels[0]);
    }
  }
}
#else
void ConvPixels(const IntegerConvParams&, const Call&, Range) {}  // its row asks for an instruction that is not there
#endif

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(ConvPixels);
}  // namespace

Kernel<IntegerConvParams> IntegerConvPixelsPointer() { return TENON_POINTER(ConvPixels); }

}  // namespace tenon::kernels
#endif
