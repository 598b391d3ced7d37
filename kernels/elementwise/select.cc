#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/select.cc"
#include "hwy/foreach_target.h"

#include <limits>
#include <type_traits>

#include "kernels/dispatch.h"
#include "kernels/elementwise/math-inl.h"
#include "kernels/elementwise/select.h"
#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

void Clip32(float low, float high, const float* src, float* dst, int64_t n) {
  MapTile(src, dst, n, [=](auto d, auto x) HWY_ATTR { return Between(hn::Set(d, low), x, hn::Set(d, high)); });
}
ClipTile GetClipTile() { return Clip32; }

void ClipFloat32(const ClipParams& p, const Call& call, Range range) {
  const float low = call.src[1] ? *call.in<float>(1) : -std::numeric_limits<float>::infinity();
  const float high = !p.no_high && call.src[2] ? *call.in<float>(2) : std::numeric_limits<float>::infinity();
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  if (begin < end) Clip32(low, high, call.in<float>(0) + begin, call.out<float>(0) + begin, end - begin);
}

// A row of 4-byte elements; strides 0 or 1.
void SelectRow(const uint8_t* c, const uint32_t* x, int64_t sx, const uint32_t* y, int64_t sy, uint32_t* dst, int64_t count) {
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  const auto x0 = hn::Set(d, x[0]), y0 = hn::Set(d, y[0]);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto no = hn::Eq(hn::PromoteTo(d, hn::LoadU(d8, c + i)), hn::Zero(d));
    hn::StoreU(hn::IfThenElse(no, sy ? hn::LoadU(d, y + i) : y0, sx ? hn::LoadU(d, x + i) : x0), d, dst + i);
  }
  for (; i < n; ++i) dst[i] = c[i] ? x[i * sx] : y[i * sy];
}

void Where32(const WhereParams& p, const Call& call, Range range) {
  const int last = p.shape.rank - 1;
  const int64_t sc = p.shape.strides[0][last], sx = p.shape.strides[1][last], sy = p.shape.strides[2][last];
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
    const uint8_t* c = call.in<uint8_t>(0) + offset[0];
    const uint32_t *x = call.in<uint32_t>(1) + offset[1], *y = call.in<uint32_t>(2) + offset[2];
    uint32_t* dst = call.out<uint32_t>(0) + at;
    if (sc) {
      SelectRow(c, x, sx, y, sy, dst, n);
    } else {
      const uint32_t* from = *c ? x : y;
      const int64_t step = *c ? sx : sy;
      if (dst == from && step) return;
      for (int64_t i = 0; i < n; ++i) dst[i] = from[i * step];
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(GetClipTile);
TENON_EXPORT(ClipFloat32);
TENON_EXPORT(Where32);
ClipTile clip_tile() { return TENON_POINTER(GetClipTile)(); }
Kernel<ClipParams> ClipFloat32Pointer() { return TENON_POINTER(ClipFloat32); }
Kernel<WhereParams> Where32Pointer() { return TENON_POINTER(Where32); }

namespace {

template <class T>
void clip_plain(const ClipParams& p, const Call& call, int64_t begin, int64_t end) {
  using V = std::conditional_t<std::is_arithmetic_v<T>, T, float>;
  const T *src = call.in<T>(0), *low = call.in<T>(1), *high = p.no_high ? nullptr : call.in<T>(2);
  T* dst = call.out<T>(0);
  if constexpr (std::is_arithmetic_v<T>) {
    using Limits = std::numeric_limits<T>;
    const T least = low ? *low : Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
    const T most = high ? *high : Limits::has_infinity ? Limits::infinity() : Limits::max();
    for (int64_t i = begin; i < end; ++i) {
      const T x = src[i] < least ? least : src[i];
      dst[i] = x > most ? most : x;
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    T x = src[i];
    if (low && V(x) < V(*low)) x = *low;
    if (high && V(x) > V(*high)) x = *high;
    dst[i] = x;
  }
}

void ClipPlain(const ClipParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      p.dtype, [&](auto t) { clip_plain<decltype(t)>(p, call, range.begin * p.chunk, end); });
}

struct Bytes16 {
  uint64_t a, b;
};

template <class T>
void where_plain(const WhereParams& p, const Call& call, Range range) {
  const int last = p.shape.rank - 1;
  const int64_t sc = p.shape.strides[0][last], sx = p.shape.strides[1][last], sy = p.shape.strides[2][last];
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
    const uint8_t* c = call.in<uint8_t>(0) + offset[0];
    const T *x = call.in<T>(1) + offset[1], *y = call.in<T>(2) + offset[2];
    T* dst = call.out<T>(0) + at;
    for (int64_t i = 0; i < n; ++i) dst[i] = c[i * sc] ? x[i * sx] : y[i * sy];
  });
}

void WherePlain(const WhereParams& p, const Call& call, Range range) {
  switch (p.element_size) {
    case 1: return where_plain<uint8_t>(p, call, range);
    case 2: return where_plain<uint16_t>(p, call, range);
    case 4: return where_plain<uint32_t>(p, call, range);
    case 8: return where_plain<uint64_t>(p, call, range);
    default: return where_plain<Bytes16>(p, call, range);
  }
}

}  // namespace

Kernel<ClipParams> ClipPlainPointer() { return ClipPlain; }
Kernel<WhereParams> WherePlainPointer() { return WherePlain; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(ClipParams, Name, when, why)
static const Row<ClipParams> kClipRows[] = {
#include "kernels/elementwise/clip.inc"
};
#undef KERNEL
const Table<ClipParams> clip{"clip", kClipRows, sizeof(kClipRows) / sizeof(kClipRows[0])};

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(WhereParams, Name, when, why)
static const Row<WhereParams> kWhereRows[] = {
#include "kernels/elementwise/where.inc"
};
#undef KERNEL
const Table<WhereParams> where{"where", kWhereRows, sizeof(kWhereRows) / sizeof(kWhereRows[0])};

}  // namespace tenon::kernels
#endif
