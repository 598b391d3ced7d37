// Loads and stores that end inside a vector, and loops over a tile. Re-included once per Highway target.
#if defined(TENON_KERNELS_ELEMENTWISE_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_ELEMENTWISE_VECTOR_INL_H_
#undef TENON_KERNELS_ELEMENTWISE_VECTOR_INL_H_
#else
#define TENON_KERNELS_ELEMENTWISE_VECTOR_INL_H_
#endif

#include <cstring>
#include <type_traits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Whether instructions load and store a part of a vector of T without touching memory beside it. AVX2 has them for 32 and 64 bits.
template <class T>
constexpr bool kPartInstructions = !HWY_MEM_OPS_MIGHT_FAULT || (HWY_TARGET == HWY_AVX2 && sizeof(T) >= 4);

/// The first n < Lanes(d) lanes from src, the others 0. Reads exactly n elements.
template <class D>
HWY_INLINE hn::Vec<D> LoadPart(D d, const hn::TFromD<D>* src, size_t n) {
  if constexpr (kPartInstructions<hn::TFromD<D>>) {
    return hn::MaskedLoad(hn::FirstN(d, n), d, src);
  } else {
    HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)] = {};
    std::memcpy(lanes, src, n * sizeof(hn::TFromD<D>));
    return hn::Load(d, lanes);
  }
}

/// Writes exactly the first n lanes.
template <class D>
HWY_INLINE void StorePart(hn::Vec<D> v, D d, hn::TFromD<D>* dst, size_t n) {
  if constexpr (kPartInstructions<hn::TFromD<D>>) {
    hn::BlendedStore(v, hn::FirstN(d, n), d, dst);
  } else {
    HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(d)];
    hn::Store(v, d, lanes);
    std::memcpy(dst, lanes, n * sizeof(hn::TFromD<D>));
  }
}

/// y, but f(a, b) in the lanes where `known` is false.
template <class D, class V, class T = hn::TFromD<D>>
HWY_NOINLINE V PatchUnknown(D d, hn::Mask<D> known, V y, hn::TFromD<D> (*f)(hn::TFromD<D>, hn::TFromD<D>), V a, V b) {
  constexpr size_t kLanes = hn::MaxLanes(d);
  HWY_ALIGN T is_known[kLanes], out[kLanes], in[2][kLanes];
  hn::Store(hn::IfThenElseZero(known, hn::Set(d, T(1))), d, is_known);
  hn::Store(y, d, out);
  hn::Store(a, d, in[0]);
  hn::Store(b, d, in[1]);
  for (size_t l = 0; l < kLanes; ++l) {
    if (is_known[l] == 0) out[l] = f(in[0][l], in[1][l]);
  }
  return hn::Load(d, out);
}
/// The same, where that is rare. What a lane becomes does not depend on its neighbours, nor on where vectors begin.
template <class D, class V>
HWY_INLINE V PatchLanes(D d, hn::Mask<D> known, V y, hn::TFromD<D> (*f)(hn::TFromD<D>, hn::TFromD<D>), V a, V b) {
  return HWY_LIKELY(hn::AllTrue(d, known)) ? y : PatchUnknown(d, known, y, f, a, b);
}

/// dst[i] = f(src[i]), vector by vector.
template <class T, class F>
HWY_INLINE void MapTile(const T* src, T* dst, int64_t count, F f) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, src + i)), d, dst + i);
  if (i < n) StorePart(f(d, LoadPart(d, src + i, n - i)), d, dst + i, n - i);
}

/// The same, where f(d, x, count) does a few vectors at once, x[0] to x[count - 1], in place: count is a constant, kVectors or 1.
template <int kVectors, class T, class F>
HWY_INLINE void MapTiles(const T* src, T* dst, int64_t count, F f) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), step = kVectors * lanes;
  for (; count >= step; count -= step, src += step, dst += step) {
    V x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = hn::LoadU(d, src + v * lanes);
    f(d, x, std::integral_constant<int, kVectors>());
    for (int v = 0; v < kVectors; ++v) hn::StoreU(x[v], d, dst + v * lanes);
  }
  MapTile(src, dst, count, [&](auto, V x) HWY_ATTR {
    f(d, &x, std::integral_constant<int, 1>());
    return x;
  });
}

/// dst[i] = f(a[i * stride_a], b[i * stride_b]) with strides 0 or 1.
template <class F>
HWY_INLINE void MapTile2(const float* a, int64_t stride_a, const float* b, int64_t stride_b, float* dst, int64_t count, F f) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  size_t i = 0;
  if (stride_a == 0) {
    const auto va = hn::Set(d, a[0]);
    for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, va, hn::LoadU(d, b + i)), d, dst + i);
    if (i < n) {
      const auto vb = stride_b ? LoadPart(d, b + i, n - i) : hn::Set(d, b[0]);
      StorePart(f(d, va, vb), d, dst + i, n - i);
    }
  } else if (stride_b == 0) {
    const auto vb = hn::Set(d, b[0]);
    for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), vb), d, dst + i);
    if (i < n) StorePart(f(d, LoadPart(d, a + i, n - i), vb), d, dst + i, n - i);
  } else {
    for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, dst + i);
    if (i < n) StorePart(f(d, LoadPart(d, a + i, n - i), LoadPart(d, b + i, n - i)), d, dst + i, n - i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
