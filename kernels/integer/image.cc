#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/image.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// Four channels of x as lanes of four unsigned bytes: rows, `step` apart, or quads already. Channels beyond the last are zeros.
class Channels {
 public:
  Channels(const IntegerConvParams& p, const Call& call, int64_t group, int64_t quad) : step_(p.in[0] * p.in[1] * p.in[2]) {
    const int64_t first = quad * 4, count = std::min<int64_t>(4, p.image_channels() - first);
    x_ = call.in<uint8_t>(0) + (group * p.image_channels() + first) * step_;
    left_ = count * step_;
    const uint32_t mask = count == 4 ? ~0u : (1u << (8 * count)) - 1;
    if (p.x_quads) quads_ = call.in<uint32_t>(0) + (group * p.image_quads() + quad) * step_;
    flip_ = (to_unsigned(p.x) != 0 ? 0x80808080u : 0) & mask;
    mask_ = mask;
    for (int64_t i = 0; i < 4; ++i) from_[i] = std::min(i, count - 1) * step_;
    pad_ = (0x01010101u * static_cast<uint32_t>(p.x_zero ? unsigned_zero(p.x, call.src[2], 0) : to_unsigned(p.x))) & mask;
  }

  uint32_t pad() const { return pad_; }

  /// Places [at, at + n) of the rows to `to`, and nothing behind them.
  HWY_NOINLINE void join(int64_t at, int64_t n, uint32_t* HWY_RESTRICT to) const {
    int64_t i = 0;
    if (quads_ != nullptr) {
      for (; i < n; ++i) to[i] = quads_[at + i] & mask_;
      return;
    }
    for (; i + kStep <= n; i += kStep) join_step(at + i, to + i);
    if (i == n) return;
    if (n >= kStep) {
      join_step(at + n - kStep, to + n - kStep);
      return;
    }
    alignas(16) uint32_t lanes[kStep];
    if (from_[3] + at + kStep <= left_) {
      join_step(at, lanes);
      std::memcpy(to, lanes, static_cast<size_t>(n) * 4);
      return;
    }
    for (; i < n; ++i) {
      uint32_t four = 0;
      for (int c = 0; c < 4; ++c) four |= static_cast<uint32_t>(x_[from_[c] + at + i]) << (8 * c);
      to[i] = (four & mask_) ^ flip_;
    }
  }

  /// The same where they lie, or in `room`.
  HWY_INLINE const uint32_t* lanes(int64_t at, int64_t n, uint32_t* HWY_RESTRICT room) const {
    if (quads_ != nullptr && mask_ == ~0u) return quads_ + at;
    join(at, n, room);
    return room;
  }

 private:
  static constexpr int64_t kStep = 16;

  HWY_INLINE void join_step(int64_t at, uint32_t* HWY_RESTRICT to) const {
    const hn::FixedTag<uint8_t, 16> d;
    const hn::FixedTag<uint16_t, 8> d16;
    const hn::FixedTag<uint32_t, 4> d32;
    const auto a = hn::LoadU(d, x_ + from_[0] + at), b = hn::LoadU(d, x_ + from_[1] + at);
    const auto c = hn::LoadU(d, x_ + from_[2] + at), e = hn::LoadU(d, x_ + from_[3] + at);
    const auto low01 = hn::BitCast(d16, hn::InterleaveLower(d, a, b)), low23 = hn::BitCast(d16, hn::InterleaveLower(d, c, e));
    const auto high01 = hn::BitCast(d16, hn::InterleaveUpper(d, a, b)), high23 = hn::BitCast(d16, hn::InterleaveUpper(d, c, e));
    const auto mask = hn::Set(d32, mask_), flip = hn::Set(d32, flip_);
    const auto store = [&](auto v, int64_t i) HWY_ATTR { hn::StoreU(hn::Xor(hn::And(hn::BitCast(d32, v), mask), flip), d32, to + i); };
    store(hn::InterleaveLower(d16, low01, low23), 0);
    store(hn::InterleaveUpper(d16, low01, low23), 4);
    store(hn::InterleaveLower(d16, high01, high23), 8);
    store(hn::InterleaveUpper(d16, high01, high23), 12);
  }

  const uint8_t* x_;
  const uint32_t* quads_ = nullptr;
  int64_t step_, left_, from_[4];
  uint32_t mask_, flip_, pad_;
};

/// Every `step`-th of the lanes: n of them, of which none but lanes from the first to the last are read.
HWY_NOINLINE void Pick(const uint32_t* HWY_RESTRICT from, int64_t step, int64_t n, uint32_t* HWY_RESTRICT to) {
  const hn::CappedTag<uint32_t, 8> d;
  constexpr auto kStep = static_cast<int64_t>(hn::MaxLanes(d));
  if (step != 2 || n <= kStep) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
    return;
  }
  for (int64_t i = 0; i + kStep < n; i += kStep) {
    hn::StoreU(hn::ConcatEven(d, hn::LoadU(d, from + 2 * i + kStep), hn::LoadU(d, from + 2 * i)), d, to + i);
  }
  const uint32_t* const last = from + 2 * (n - kStep) - 1;  // ends with the last lane
  hn::StoreU(hn::ConcatOdd(d, hn::LoadU(d, last + kStep), hn::LoadU(d, last)), d, to + n - kStep);
}

/// Positions [begin, end) of a row of a picture that lie in x; the others are pads.
struct Inside {
  Inside(const IntegerConvParams& p, int64_t residue) : first(residue - p.pad[2]) {
    const int64_t step = p.stride[2];
    begin = std::clamp<int64_t>((step - 1 - first) / step, 0, p.extent[2]);
    end = std::clamp<int64_t>((p.in[2] - first + step - 1) / step, begin, p.extent[2]);
  }
  int64_t first;  ///< where in x position 0 is
  int64_t begin, end;
};

/// Rows y, y + stride, ... of the pictures of residues [first, last) along the row, `picture` apart, of plane z of x.
void FillRows(const IntegerConvParams& p, const Channels& from, int64_t z, int64_t y, int64_t first, int64_t last,
              uint32_t* HWY_RESTRICT line, uint32_t* HWY_RESTRICT to, int64_t picture) {
  const int64_t step = p.stride[2], count = last - first;
  const Inside inside[] = {Inside(p, first), Inside(p, last - 1)};
  for (int64_t j = 0; j < p.extent[1]; ++j, y += p.stride[1], to += p.extent[2]) {
    const bool there = z >= 0 && z < p.in[0] && y >= 0 && y < p.in[1];
    const int64_t at = (z * p.in[1] + y) * p.in[2];
    const uint32_t* const lanes = there && step != 1 ? from.lanes(at, p.in[2], line) : line;
    for (int64_t k = 0; k < count; ++k) {
      uint32_t* const row = to + k * picture;
      const Inside& in = inside[k];
      if (!there || in.begin == in.end) {
        std::fill_n(row, p.extent[2], from.pad());
        continue;
      }
      for (int64_t i = 0; i < in.begin; ++i) row[i] = from.pad();
      if (step == 1) {
        from.join(at + in.first + in.begin, in.end - in.begin, row + in.begin);
      } else {
        Pick(lanes + in.first + in.begin * step, step, in.end - in.begin, row + in.begin);
      }
      for (int64_t i = in.end; i < p.extent[2]; ++i) row[i] = from.pad();
    }
  }
}

/// One quad of the image. Residues along the row are taken two by two, so that rows of stride 2 are put together once.
void FillQuad(const IntegerConvParams& p, const Channels& from, uint32_t* HWY_RESTRICT line, uint32_t* HWY_RESTRICT to) {
  const int64_t plane = p.extent[1] * p.extent[2], picture = p.extent[0] * plane;
  for (int64_t z = 0; z < p.residues[0]; ++z) {
    for (int64_t y = 0; y < p.residues[1]; ++y) {
      for (int64_t x = 0; x < p.residues[2]; x += 2) {
        const int64_t last = std::min(x + 2, p.residues[2]);
        for (int64_t i = 0; i < p.extent[0]; ++i) {
          FillRows(p, from, z - p.pad[0] + i * p.stride[0], y - p.pad[1], x, last, line, to + i * plane, picture);
        }
        to += (last - x) * picture;
      }
    }
  }
}

}  // namespace

void IntegerImage(const IntegerConvParams& p, const Call& call, Range range) {
  const bool whole = p.stride[0] == 1 && p.stride[1] == 1 && p.stride[2] == 1 && p.extent[0] == p.in[0] && p.extent[1] == p.in[1] &&
                     p.extent[2] == p.in[2] && p.pad[0] == 0 && p.pad[1] == 0 && p.pad[2] == 0;
  const int64_t quads = p.image_quads();
  for (int64_t part = range.begin; part < range.end; ++part) {
    const Channels x(p, call, part / quads, part % quads);
    auto* const to = reinterpret_cast<uint32_t*>(call.shared + p.shared_image + part * p.quad_bytes);
    if (whole) {
      x.join(0, p.in[0] * p.in[1] * p.in[2], to);
    } else {
      FillQuad(p, x, reinterpret_cast<uint32_t*>(call.scratch), to);
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(IntegerImage);
}  // namespace
Kernel<IntegerConvParams> IntegerImagePointer() { return TENON_POINTER(IntegerImage); }
}  // namespace tenon::kernels
#endif
