// Runs of bytes and repeated elements in vector registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/movement/rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// clang-format off
#include "hwy/highway.h"
// clang-format on
#include "kernels/dispatch.h"
#include "kernels/movement/blocks.h"
#include "kernels/movement/copy.h"
#include "kernels/movement/cover-inl.h"
#include "kernels/movement/run_copy.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

using Bytes = hn::ScalableTag<uint8_t>;

/// From here on memcpy() brings its stores into line as well, and knows better when memory is the limit.
constexpr int64_t kLongRun = 1024;

/// The innermost loop is contiguous on both sides.
void CopyRuns(const CopyParams& p, const Call& call, Range range) {
  const Bytes d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for_each_block(p, call, range, [&p, d, lanes](const std::byte* src, std::byte* dst, int64_t k, int64_t l) HWY_ATTR {
    // In registers: what is read from memory between stores may wait for them.
    const int64_t n = l * p.element, dst_stride = p.k.dst, src_stride = p.k.src;
    if (n < lanes || n >= kLongRun || (n == dst_stride && n == src_stride)) return copy_rows(dst, dst_stride, src, src_stride, k, n);
    const auto* from = reinterpret_cast<const uint8_t*>(src);
    auto* to = reinterpret_cast<uint8_t*>(dst);
    for (; k > 0; --k, from += src_stride, to += dst_stride) {
      Cover(d, n, FirstInLine(d, to), [&](int64_t i) HWY_ATTR { hn::StoreU(hn::LoadU(d, from + i), d, to + i); });
    }
  });
}

/// An element of 1, 2, 4, 8 or 16 bytes all over a vector. Made in registers: a pattern put together in memory could be read only once all
/// stores before it have reached the cache.
template <class T>
HWY_INLINE hn::Vec<Bytes> Repeated(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof(T));
  return hn::BitCast(Bytes(), hn::Set(hn::ScalableTag<T>(), value));
}
HWY_INLINE hn::Vec<Bytes> RepeatedOf(const std::byte* element, int64_t size) {
  switch (size) {
    case 1: return Repeated<uint8_t>(element);
    case 2: return Repeated<uint16_t>(element);
    case 4: return Repeated<uint32_t>(element);
    case 8: return Repeated<uint64_t>(element);
    default: return hn::LoadDup128(Bytes(), reinterpret_cast<const uint8_t*>(element));
  }
}

/// The lowest 16 bytes.
template <class D>
HWY_INLINE hn::Vec<hn::FixedTag<uint8_t, 16>> Lowest(D d, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(d) == 16) return v;
  else return Lowest(hn::Half<D>(), hn::LowerHalf(hn::Half<D>(), v));
}

/// The innermost loop repeats one element.
void CopyRepeated(const CopyParams& p, const Call& call, Range range) {
  const Bytes d;
  const hn::FixedTag<uint8_t, 16> d16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), size = p.element;
  for_each_block(p, call, range, [&](const std::byte* src, std::byte* dst, int64_t k, int64_t l) HWY_ATTR {
    const int64_t n = l * size;
    for (; k > 0; --k, src += p.k.src, dst += p.k.dst) {
      if (n < lanes) {
        fill_elements(dst, src, size, l);
        continue;
      }
      const auto v = RepeatedOf(src, size);
      auto* to = reinterpret_cast<uint8_t*>(dst);
      const auto piece = Lowest(d, v);
      // A larger element made of short runs may begin anywhere.
      const bool whole = reinterpret_cast<uintptr_t>(to) % static_cast<uintptr_t>(size) == 0;
      const int64_t first = whole ? FirstInLine(d, to) % lanes : 0;
      for (int64_t i = 0; i < first; i += 16) hn::StoreU(piece, d16, to + i);
      int64_t i = first;
      for (; i + lanes <= n; i += lanes) hn::StoreU(v, d, to + i);
      for (; i + 16 <= n; i += 16) hn::StoreU(piece, d16, to + i);
      if (i < n) hn::StoreU(piece, d16, to + n - 16);
    }
  });
}

}  // namespace
}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(CopyRuns);
TENON_EXPORT(CopyRepeated);

Kernel<CopyParams> copy_runs() { return TENON_POINTER(CopyRuns); }
Kernel<CopyParams> copy_repeated() { return TENON_POINTER(CopyRepeated); }
}  // namespace tenon::kernels
#endif
