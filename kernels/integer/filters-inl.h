// Where packed filters lie. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_FILTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_FILTERS_INL_H_
#undef TENON_KERNELS_INTEGER_FILTERS_INL_H_
#else
#define TENON_KERNELS_INTEGER_FILTERS_INL_H_
#endif

#include "kernels/integer/conv_part.h"
#include "kernels/integer/quads-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {

/// Groups of four weights each, and behind them the sum of every filter, int32. Of a tile: all filters' first groups, then the second ones,
/// ...; groups go along channels, and these along taps. Depthwise: for every quad of channels those of the first four taps (tap_of), one a
/// channel, then those of the next taps. Those of a group are filled up to a multiple of p.unit.
template <class Quads>
class Filters {
 public:
  using Group = typename Quads::Group;
  Filters(const IntegerConvParams& p, std::byte* at)
      : groups_(reinterpret_cast<Group*>(at)), depth_(p.depthwise ? ceil_div(p.taps(), 4) : p.taps() * p.image_quads()) {
    rows_ = p.depthwise ? 4 : p.filled_rows();
    count_ = p.depthwise ? p.image_quads() * 4 : p.groups * rows_;
  }

  /// The tile that begins with filter `first` of a group.
  Group* tile(int64_t group, int64_t first) const { return groups_ + (group * rows_ + first) * depth_; }
  Group* quad(int64_t quad) const { return tile(quad, 0); }
  int32_t* sums() const { return reinterpret_cast<int32_t*>(groups_ + count_ * depth_); }

 private:
  Group* groups_;
  int64_t depth_, rows_ = 0, count_ = 0;
};

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_FILTERS_INL_H_
