// Results on their way from quads of filters to rows. Re-included once per Highway target.
#if defined(TENON_KERNELS_INTEGER_PART_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_INTEGER_PART_ROWS_INL_H_
#undef TENON_KERNELS_INTEGER_PART_ROWS_INL_H_
#else
#define TENON_KERNELS_INTEGER_PART_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/integer/conv.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Results of four filters that lie side by side, byte by byte, to the rows of those that are there, `step` apart: n bytes each, and each
/// with the bits of `flip` turned round.
HWY_NOINLINE HWY_MAYBE_UNUSED static void PartRows(const uint8_t* HWY_RESTRICT quads, int64_t n, int64_t rows, int64_t step, uint8_t flip,
                                                   uint8_t* HWY_RESTRICT to) {
  constexpr int64_t kStep = 16;
  const hn::FixedTag<uint8_t, 16> d;
  const hn::FixedTag<uint32_t, 4> d32;
  const hn::FixedTag<uint64_t, 2> d64;
  alignas(16) static constexpr uint8_t kOrder[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const auto order = hn::Load(d, kOrder), turned = hn::Set(d, flip);
  for (int64_t next = 0; next < n; next += kStep) {
    const int64_t i = n >= kStep ? std::min(next, n - kStep) : 0;  // the last step does some again
    const auto load = [&](int64_t at) HWY_ATTR { return hn::BitCast(d32, hn::TableLookupBytes(hn::LoadU(d, quads + 4 * i + at), order)); };
    const auto a = load(0), b = load(16), c = load(32), e = load(48);
    const auto ab01 = hn::BitCast(d64, hn::InterleaveLower(d32, a, b)), ab23 = hn::BitCast(d64, hn::InterleaveUpper(d32, a, b));
    const auto ce01 = hn::BitCast(d64, hn::InterleaveLower(d32, c, e)), ce23 = hn::BitCast(d64, hn::InterleaveUpper(d32, c, e));
    const auto store = [&](auto v, int64_t row) HWY_ATTR {
      if (row >= rows) return;
      uint8_t* const at = to + row * step + i;
      if (n >= kStep) {
        hn::StoreU(hn::Xor(turned, hn::BitCast(d, v)), d, at);
      } else {
        alignas(16) uint8_t bytes[kStep];
        hn::Store(hn::Xor(turned, hn::BitCast(d, v)), d, bytes);
        std::memcpy(at, bytes, static_cast<size_t>(n));
      }
    };
    store(hn::InterleaveLower(d64, ab01, ce01), 0);
    store(hn::InterleaveUpper(d64, ab01, ce01), 1);
    store(hn::InterleaveLower(d64, ab23, ce23), 2);
    store(hn::InterleaveUpper(d64, ab23, ce23), 3);
  }
}

/// Results of four filters, from filter `row` of image n and its pixel `pixel` on, to y: n pixels of the `rows` that are there.
HWY_NOINLINE HWY_MAYBE_UNUSED static void StoreQuad(const IntegerConvParams& p, const Call& call, const uint8_t* quad, int64_t count,
                                                    int64_t n, int64_t row, int64_t rows, int64_t pixel) {
  if (p.y_quads) {
    uint8_t* const to = call.out<uint8_t>(0) + ((n * ((p.filters + 3) / 4) + row / 4) * p.pixels() + pixel) * 4;
    std::memcpy(to, quad, static_cast<size_t>(count) * 4);
  } else {
    PartRows(quad, count, std::min<int64_t>(4, rows), p.pixels(), p.y == DType::kInt8 ? 0x80 : 0,
             call.out<uint8_t>(0) + (n * p.filters + row) * p.pixels() + pixel);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_INTEGER_PART_ROWS_INL_H_
