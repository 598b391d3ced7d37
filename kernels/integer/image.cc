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

/// Four channels of x: rows of bytes, `step` apart, become lanes of four. Channels beyond the last are zeros.
class Channels {
 public:
  Channels(const IntegerConvParams& p, const Call& call, int64_t group, int64_t quad) : step_(p.in[0] * p.in[1] * p.in[2]) {
    const int64_t first = quad * 4, count = std::min<int64_t>(4, p.image_channels() - first);
    x_ = call.in<uint8_t>(0) + (group * p.image_channels() + first) * step_;
    left_ = count * step_;
    const uint32_t mask = count == 4 ? ~0u : (1u << (8 * count)) - 1;
    flip_ = (to_unsigned(p.x) != 0 ? 0x80808080u : 0) & mask;
    mask_ = mask;
    for (int64_t i = 0; i < 4; ++i) from_[i] = std::min(i, count - 1) * step_;
    pad_ = (0x01010101u * static_cast<uint32_t>(p.x_zero ? unsigned_zero(p.x, call.src[2], 0) : to_unsigned(p.x))) & mask;
  }

  uint32_t pad() const { return pad_; }

  /// Places [at, at + n) of the rows to `to`, and nothing behind them.
  HWY_NOINLINE void join(int64_t at, int64_t n, uint32_t* HWY_RESTRICT to) const {
    int64_t i = 0;
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
  int64_t step_, left_, from_[4];
  uint32_t mask_, flip_, pad_;
};

/// Every `step`-th of the lanes.
HWY_NOINLINE void Pick(const uint32_t* HWY_RESTRICT from, int64_t step, int64_t n, uint32_t* HWY_RESTRICT to) {
  if (step == 2) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[2 * i];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
  }
}

/// One quad of the image: rows of x, cut into residues, between pads.
void FillQuad(const IntegerConvParams& p, const Channels& x, uint32_t* HWY_RESTRICT line, uint32_t* HWY_RESTRICT to) {
  const int64_t *in = p.in, *extent = p.extent, step = p.stride[2];
  const uint32_t pad = x.pad();
  for (int64_t picture = 0; picture < p.residues[0] * p.residues[1]; ++picture) {
    for (int64_t i = 0; i < extent[0] * extent[1]; ++i) {
      const int64_t z = i / extent[1] * p.stride[0] + picture / p.residues[1] - p.pad[0];
      const int64_t y = i % extent[1] * p.stride[1] + picture % p.residues[1] - p.pad[1];
      const bool inside = z >= 0 && z < in[0] && y >= 0 && y < in[1];
      const int64_t at = (z * in[1] + y) * in[2];
      if (inside && step != 1) x.join(at, in[2], line);
      for (int64_t residue = 0; residue < p.residues[2]; ++residue) {
        uint32_t* const row = to + ((picture * p.residues[2] + residue) * extent[0] * extent[1] + i) * extent[2];
        // Positions of x along the row are first, first + step, ...
        const int64_t first = residue - p.pad[2];
        const int64_t b = inside ? std::clamp<int64_t>((step - 1 - first) / step, 0, extent[2]) : extent[2];
        const int64_t e = inside ? std::clamp<int64_t>((in[2] - first + step - 1) / step, b, extent[2]) : extent[2];
        for (int64_t j = 0; j < b; ++j) row[j] = pad;
        if (b < e) step == 1 ? x.join(at + first + b, e - b, row + b) : Pick(line + first + b * step, step, e - b, row + b);
        for (int64_t j = e; j < extent[2]; ++j) row[j] = pad;
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
HWY_EXPORT(IntegerImage);
}  // namespace
Kernel<IntegerConvParams> IntegerImagePointer() { return TENON_POINTER(IntegerImage); }
}  // namespace tenon::kernels
#endif
