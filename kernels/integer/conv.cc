#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/conv.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/filters-inl.h"
#include "kernels/integer/part_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

using DF = hn::RebindToFloat<DI>;

/// Sums of the filters of one tile over one panel of places, and what becomes of them.
struct TileArgs {
  const void* filters = nullptr;
  const uint8_t* image = nullptr;  ///< the panel's first place in the first quad
  const int64_t* taps = nullptr;
  int64_t tap_count = 0, quads = 0, quad_bytes = 0;
  const int32_t* starts = nullptr;
  const float* scales = nullptr;
  const int32_t* zeros = nullptr;       ///< null: all are zero
  const int32_t* place_sums = nullptr;  ///< a panel; read when there are zeros
  uint32_t seen = 0;
  int32_t* sums = nullptr;  ///< where they go, [filters, panel]; null: 8-bit results are wanted
  uint8_t* results = nullptr;
  int64_t row_bytes = 0;  ///< from one quad of filters to the next
  int64_t room = 0;       ///< pixels in a row from there on
};

/// Q quads of filters.
template <class Quads, int Q>
HWY_NOINLINE void Tile(const TileArgs& t, const Quantiser& quantise) {
  constexpr int R = 4 * Q, V = Quads::kVectors;
  const DI d;
  Sum sums[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = Sum(hn::Set(d, t.starts[r]));
  const auto* HWY_RESTRICT filters = static_cast<const typename Quads::Group*>(t.filters);
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    const uint8_t* HWY_RESTRICT at = t.image + t.taps[tap];
    for (int64_t q = 0; q < t.quads; ++q, at += t.quad_bytes, filters += R) {
      typename Quads::Image x[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) x[v] = Quads::image(hn::LoadU(d, reinterpret_cast<const int32_t*>(at) + v * kLanes));
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const auto w = Quads::one(filters + r);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) Quads::add(sums[r][v], x[v], w);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v].all = Quads::total(sums[r][v]);
  if (t.zeros != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sums[r][v].all = hn::Sub(sums[r][v].all, hn::Mul(hn::Set(d, t.zeros[r]), hn::Load(d, t.place_sums + v * kLanes)));
      }
  }
  if (t.sums != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) hn::Store(sums[r][v].all, d, t.sums + (r * V + v) * kLanes);
    return;
  }
  // Row by row of the result, so that what one store writes too much the next one overwrites.
#pragma GCC unroll 4
  for (int q = 0; q < Q; ++q) {
    auto* to = reinterpret_cast<int32_t*>(t.results + q * t.row_bytes);
    int64_t room = t.room;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      VI part[4];
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) part[r] = quantise(sums[4 * q + r][v].all, hn::Set(DF(), t.scales[4 * q + r]));
      const int64_t stored = StoreSeen(quantise.join(part[0], part[1], part[2], part[3]), t.seen >> (v * kLanes), to, room);
      to += stored;
      room -= stored;
    }
  }
}

/// One filter's sums to the pixels of its row of int32 or, scaled, float32 results.
template <int V>
void StoreRow(const int32_t* sums, const float* scale, uint32_t seen, int32_t* HWY_RESTRICT to, int64_t room) {
  const DI d;
  for (int v = 0; v < V; ++v) {
    VI x = hn::Load(d, sums + v * kLanes);
    if (scale != nullptr) x = hn::BitCast(d, hn::Mul(hn::ConvertTo(DF(), x), hn::Set(DF(), *scale)));
    const int64_t stored = StoreSeen(x, seen >> (v * kLanes), to, room);
    to += stored;
    room -= stored;
  }
}

using TileFunction = void (*)(const TileArgs&, const Quantiser&);
template <class Quads>
TileFunction TileOf(int64_t quads) {
  if constexpr (Quads::kTileQuads == 1) return &Tile<Quads, 1>;
  if constexpr (Quads::kTileQuads == 2) return quads == 1 ? &Tile<Quads, 1> : &Tile<Quads, 2>;
  if constexpr (Quads::kTileQuads == 3) return quads == 1 ? &Tile<Quads, 1> : quads == 2 ? &Tile<Quads, 2> : &Tile<Quads, 3>;
}

/// Bytes of filters that stay in L2 while all of them meet one panel after the other; where there are more, all panels meet one tile after
/// the other.
constexpr int64_t kFewFilterBytes = 512 << 10;

/// The convolution of one thread, part after part.
template <class Quads>
class Convolution {
 public:
  Convolution(const IntegerConvParams& p, const Call& call)
      : p_(p),
        call_(call),
        layout_(conv_scratch(p)),
        filters_(p, p.shared_filters >= 0 ? call.shared + p.shared_filters : static_cast<std::byte*>(const_cast<void*>(call.src[3]))),
        quantised_(p.y != DType::kInt32 && p.y != DType::kFloat32),
        quantise_(quantised_ ? result_zero(p, call) : 0) {
    find_taps(p, at<int64_t>(layout_.taps));
    t_.taps = at<int64_t>(layout_.taps);
    t_.tap_count = p.taps(), t_.quads = p.image_quads(), t_.quad_bytes = p.quad_bytes;
    t_.row_bytes = layout_.row_bytes;
    if (!quantised_) t_.sums = at<int32_t>(layout_.sums);
  }

  void part(int64_t index) {
    const int64_t share = index % p_.tile_parts, place = index / p_.tile_parts;
    const int64_t block = place % p_.blocks, group = place / p_.blocks % p_.groups, n = place / p_.blocks / p_.groups;
    const int64_t first_tile = share * p_.tiles / p_.tile_parts, last_tile = (share + 1) * p_.tiles / p_.tile_parts;
    begin_ = tile_begin(p_, first_tile);
    group_ = group;
    const int64_t end = tile_begin(p_, last_tile), first = block * p_.block * p_.panel;
    const int64_t panels = ceil_div(std::min(p_.block * p_.panel, p_.places() - first), p_.panel);
    const bool zeros = held_.load(p_, call_, group * p_.rows() + begin_, group * p_.rows() + end, (group + 1) * p_.rows(),
                                  filters_.sums() + group * p_.filled_rows() + begin_);
    zeros_ = zeros ? at<int32_t>(layout_.zeros) : nullptr;
    seen_ = at<uint32_t>(layout_.seen);
    pixel_ = held_seen_.find(p_, first, panels, seen_);
    int64_t count = 0;
    for (int64_t panel = 0; panel < panels; ++panel) count += __builtin_popcount(seen_[panel]);
    count_ = count;
    image_ = image_of(p_, call_, n, group) + first * 4;
    n_ = n;
    row_ = n * p_.filters + group * p_.rows();
    if (p_.depth() * (end - begin_) <= kFewFilterBytes || zeros) {
      int64_t done = 0;
      for (int64_t panel = 0; panel < panels; done += __builtin_popcount(seen_[panel++])) {
        look_at(panel);
        for (int64_t tile = first_tile; tile < last_tile; ++tile) compute(tile, panel, done);
      }
    } else {
      for (int64_t tile = first_tile; tile < last_tile; ++tile) {
        int64_t done = 0;
        for (int64_t panel = 0; panel < panels; done += __builtin_popcount(seen_[panel++])) {
          look_at(panel);
          compute(tile, panel, done);
        }
      }
    }
    if (quantised_) part_rows(std::min(end, p_.rows()));
  }

 private:
  template <class T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(call_.scratch + offset);
  }

  void look_at(int64_t panel) {
    t_.image = image_ + panel * p_.panel * 4;
    t_.seen = seen_[panel];
    if (zeros_ == nullptr) return;
    auto* const sums = at<int32_t>(layout_.sums) + 12 * p_.panel;
    SumPlaces<Quads::kVectors>(p_, t_.taps, t_.image, sums);
    t_.place_sums = sums;
  }

  /// `done`: pixels of the part before this panel.
  void compute(int64_t tile, int64_t panel, int64_t done) {
    const int64_t first = tile_begin(p_, tile), height = tile_begin(p_, tile + 1) - first, f = first - begin_;
    t_.filters = filters_.tile(group_, first);
    t_.starts = at<int32_t>(layout_.starts) + f;
    t_.scales = at<float>(layout_.scales) + f;
    t_.zeros = zeros_ != nullptr ? zeros_ + f : nullptr;
    t_.results = at<uint8_t>(layout_.results) + f / 4 * layout_.row_bytes + done * 4;
    t_.room = layout_.row_bytes / 4 - done;
    TileOf<Quads>(height / 4)(t_, quantise_);
    if (quantised_) return;
    const int64_t rows = std::min(height, p_.rows() - first);
    for (int64_t r = 0; r < rows; ++r) {
      StoreRow<Quads::kVectors>(t_.sums + r * p_.panel, p_.y == DType::kFloat32 ? t_.scales + r : nullptr, seen_[panel],
                                call_.out<int32_t>(0) + (row_ + first + r) * p_.pixels() + pixel_ + done, count_ - done);
    }
  }

  void part_rows(int64_t end) const {
    for (int64_t f = begin_; f < end; f += 4) {
      StoreQuad(p_, call_, at<uint8_t>(layout_.results) + (f - begin_) / 4 * layout_.row_bytes, count_, n_, group_ * p_.rows() + f, end - f,
                pixel_);
    }
  }

  const IntegerConvParams& p_;
  const Call& call_;
  const ConvScratch layout_;
  const Filters<Quads> filters_;
  const bool quantised_;
  const Quantiser quantise_;
  FilterHold held_;
  SeenHold held_seen_;
  TileArgs t_;
  const int32_t* zeros_ = nullptr;
  uint32_t* seen_ = nullptr;
  const uint8_t* image_ = nullptr;
  int64_t group_ = 0, begin_ = 0;  ///< of the part: its group, and its first filter of that
  int64_t n_ = 0;                  ///< which image
  int64_t row_ = 0;                ///< of the result: that of the group's first filter
  int64_t pixel_ = 0, count_ = 0;  ///< of the part
};

template <class Quads>
void Conv(const IntegerConvParams& p, const Call& call, Range range) {
  Convolution<Quads> convolution(p, call);
  for (int64_t part = range.begin; part < range.end; ++part) convolution.part(part);
}

}  // namespace

void ConvWords(const IntegerConvParams& p, const Call& call, Range range) { Conv<WordQuads>(p, call, range); }
void ConvBytes(const IntegerConvParams& p, const Call& call, Range range) { Conv<ByteQuads>(p, call, range); }

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(ConvBytes);
TENON_EXPORT(ConvWords);
}  // namespace

Kernel<IntegerConvParams> IntegerConvBytesPointer() { return TENON_POINTER(ConvBytes); }
Kernel<IntegerConvParams> IntegerConvWordsPointer() { return TENON_POINTER(ConvWords); }

namespace {
const Row<IntegerConvParams> kRows[] = {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(IntegerConvParams, Name, when, why)
#include "kernels/integer/conv.inc"
#undef KERNEL
};
}  // namespace
const Table<IntegerConvParams> integer_conv{"integer_conv", kRows, std::size(kRows)};

}  // namespace tenon::kernels
#endif
