// What the parts of integer convolutions begin with.
#pragma once

#include "kernels/integer/conv.h"
#include "kernels/sizes.h"

namespace tenon::kernels {

/// Offsets into a thread's scratch, in bytes.
struct ConvScratch {
  int64_t taps = 0;       ///< int64: where in a quad of the image each begins, filled up to a multiple of four with the first
  int64_t seen = 0;       ///< uint32 a panel of the block: a bit for each place that is a pixel of the result
  int64_t starts = 0;     ///< int32 a filter of the part: what sums start with
  int64_t scales = 0;     ///< float32 a filter: from sums to results
  int64_t zeros = 0;      ///< int32 a filter: zero point
  int64_t sums = 0;       ///< int32 [filters of a tile, panel] or the other way round, their starts; and room for the sums of places
  int64_t ones = 0;       ///< the groups of a quad of depthwise filters that are ones
  int64_t results = 0;    ///< quads of filters of the part, of the pixels of the block
  int64_t row_bytes = 0;  ///< from one of those quads to the next
  int64_t total = 0;
};

inline ConvScratch conv_scratch(const IntegerConvParams& p) {
  ConvScratch s;
  const auto take = [&](int64_t bytes) {
    const int64_t at = s.total;
    s.total += (bytes + 63) / 64 * 64;
    return at;
  };
  const int64_t quads = p.depthwise ? 1 : p.filled_rows() / 4;
  s.taps = take((p.taps() + 3) / 4 * 32);
  s.seen = take(p.by_filters ? (p.block + 1) * 16 : p.block * 4);
  s.starts = take(quads * 16);
  s.scales = take(quads * 16);
  s.zeros = take(quads * 16);
  s.sums = take(p.by_filters ? p.panel * p.unit * 2 * 4 + 64 : 13 * p.panel * 4);
  s.ones = take(p.depthwise ? (p.taps() + 3) / 4 * 32 : 0);
  s.row_bytes = (p.block * p.panel + 32) * 4;
  s.results = take(quads * s.row_bytes);
  return s;
}

/// The image of one group.
inline const uint8_t* image_of(const IntegerConvParams& p, const Call& call, int64_t n, int64_t group) {
  const auto* const image = p.in_place ? call.in<uint8_t>(0) : reinterpret_cast<const uint8_t*>(call.shared + p.shared_image);
  return image + (n * p.image_groups() + group) * p.image_quads() * p.quad_bytes;
}

/// First filter of tile t of a group, a multiple of p.unit.
inline int64_t tile_begin(const IntegerConvParams& p, int64_t t) { return t * (p.filled_rows() / p.unit) / p.tiles * p.unit; }

/// The zero point of 8-bit results as the unsigned bytes that kernels make: where they are int8, with 128 added.
int32_t result_zero(const IntegerConvParams& p, const Call& call);

/// Where in a quad of the image the places of each tap begin, in bytes, in the order of tap_of(); filled up to a multiple of four with the
/// first.
void find_taps(const IntegerConvParams& p, int64_t* taps);

/// A bit for each place of `count` panels, from place `first` on, that is a pixel of the result. Returns how many pixels come before them.
int64_t find_seen(const IntegerConvParams& p, int64_t first, int64_t count, uint32_t* seen);

/// The same, unless it is there from the part before.
class SeenHold {
 public:
  int64_t find(const IntegerConvParams& p, int64_t first, int64_t count, uint32_t* seen) {
    if (first != first_) before_ = find_seen(p, first, count, seen);
    first_ = first;
    return before_;
  }

 private:
  int64_t first_ = -1, before_ = 0;
};

/// What filters [begin, end) bring along, into the thread's scratch: what sums start with, scales and zero points; those of filters from
/// `last` on, which are not there, are zeros. `sums`: of weights, of filter `begin` and those after it. Returns whether a zero point is not
/// zero.
bool load_filters(const IntegerConvParams& p, const Call& call, int64_t begin, int64_t end, int64_t last, const int32_t* sums);

/// The same, unless it is there from the part before.
class FilterHold {
 public:
  bool load(const IntegerConvParams& p, const Call& call, int64_t begin, int64_t end, int64_t last, const int32_t* sums) {
    if (begin != begin_ || end != end_) zeros_ = load_filters(p, call, begin, end, last, sums);
    begin_ = begin, end_ = end;
    return zeros_;
  }

 private:
  int64_t begin_ = -1, end_ = -1;
  bool zeros_ = false;
};

}  // namespace tenon::kernels
