// Transposing copies in vector registers.
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/movement/transpose.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// clang-format off
#include "hwy/highway.h"
// clang-format on
#include "kernels/dispatch.h"
#include "kernels/movement/blocks.h"
#include "kernels/movement/copy.h"
#include "kernels/movement/cover-inl.h"

#ifndef TENON_UNROLL
#define TENON_UNROLL _Pragma("GCC unroll 16")
#endif

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// dst[j][i] = src[i][j] for j < k, i < l, one element at a time.
template <class T>
HWY_INLINE void TransposePlain(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t k, int64_t l) {
  for (int64_t j = 0; j < k; ++j) {
    for (int64_t i = 0; i < l; ++i) {
      std::memcpy(dst + j * dst_stride + i * static_cast<int64_t>(sizeof(T)), src + i * src_stride + j * static_cast<int64_t>(sizeof(T)),
                  sizeof(T));
    }
  }
}

// Vectors without a fixed number of 128-bit blocks.
#if HWY_HAVE_SCALABLE || HWY_TARGET == HWY_SCALAR
template <class T>
void TransposeBlock(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t k, int64_t l) {
  TransposePlain<T>(src, src_stride, dst, dst_stride, k, l);
}
#else

/// One 16-byte piece in each 128-bit block of the vector, from source rows `apart` bytes apart.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadPieces(D d, const std::byte* src, int64_t apart) {
  if constexpr (hn::MaxLanes(d) * sizeof(T) == 16) {
    return hn::LoadU(d, reinterpret_cast<const T*>(src));
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, LoadPieces(half, src + apart * static_cast<int64_t>(hn::MaxLanes(half) * sizeof(T) / 16), apart),
                       LoadPieces(half, src, apart));
  }
}

template <size_t kStage, class D, size_t N>
HWY_INLINE void Stages(D d, hn::Vec<D> (&a)[N]) {
  if constexpr (kStage > 1) {
    hn::Vec<D> b[N];
    TENON_UNROLL
    for (size_t i = 0; i < N / 2; ++i) {
      b[2 * i] = hn::InterleaveLower(d, a[i], a[i + N / 2]);
      b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + N / 2]);
    }
    TENON_UNROLL
    for (size_t i = 0; i < N; ++i) a[i] = b[i];
    Stages<kStage / 2>(d, a);
  }
}

/// dst[j][i] = src[i][j] for j < N = 16 / sizeof(T) and i < kTiles * lanes of D. Interleaving the lower and upper halves of rows i and
/// i + N/2, log2(N) times over, transposes every 128-bit block. Each row is stored from end to end, for the cache to get it as a whole.
template <int kTiles, class D, class T = hn::TFromD<D>>
HWY_INLINE void TransposeTiles(D d, const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride) {
  constexpr size_t N = 16 / sizeof(T);
  constexpr int64_t kLanes = hn::MaxLanes(d), kSize = sizeof(T);
  hn::Vec<D> a[kTiles][N];
  TENON_UNROLL
  for (int t = 0; t < kTiles; ++t) {
    TENON_UNROLL
    for (size_t i = 0; i < N; ++i) {
      a[t][i] = LoadPieces(d, src + (t * kLanes + static_cast<int64_t>(i)) * src_stride, src_stride * static_cast<int64_t>(N));
    }
    Stages<N>(d, a[t]);
  }
  TENON_UNROLL
  for (size_t i = 0; i < N; ++i) {
    TENON_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      hn::StoreU(a[t][i], d, reinterpret_cast<T*>(dst + static_cast<int64_t>(i) * dst_stride + t * kLanes * kSize));
    }
  }
}

/// kTiles tiles side by side: columns of the destination, k elements down. With a cache line's worth of columns every line of the
/// destination is written at once, which matters when rows are a power of two apart and share few sets of the cache.
template <int kTiles, class D, class T = hn::TFromD<D>>
HWY_INLINE void TransposeStrip(D d, const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t k) {
  constexpr int64_t kSize = sizeof(T), N = 16 / sizeof(T);
  // Half of 16 registers hold what waits to be stored.
  constexpr int kMost = N >= 8 ? 1 : 8 / static_cast<int>(N), kTogether = kTiles < kMost ? kTiles : kMost;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (k < N) return TransposePlain<T>(src, src_stride, dst, dst_stride, k, lanes * kTiles);
  for (int64_t j = 0;; j += N) {
    if (j + N > k) {
      if (j == k) return;
      j = k - N;  // the last tile overlaps the one before
    }
    TENON_UNROLL
    for (int t = 0; t < kTiles; t += kTogether) {
      TransposeTiles<kTogether>(d, src + t * lanes * src_stride + j * kSize, src_stride, dst + j * dst_stride + t * lanes * kSize,
                                dst_stride);
    }
  }
}

template <class T>
void TransposeBlock(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t k, int64_t l) {
  constexpr int64_t kSize = sizeof(T);
  const hn::ScalableTag<T> wide;
  const hn::FixedTag<T, 16 / sizeof(T)> narrow;
  constexpr int64_t kLanes = hn::MaxLanes(wide), kFew = 16 / kSize, kLine = 64 / kSize;
  if (l < kFew) return TransposePlain<T>(src, src_stride, dst, dst_stride, k, l);
  int64_t i = 0;
  for (; i + kLine <= l; i += kLine) TransposeStrip<kLine / kLanes>(wide, src + i * src_stride, src_stride, dst + i * kSize, dst_stride, k);
  for (; i + kLanes <= l; i += kLanes) TransposeStrip<1>(wide, src + i * src_stride, src_stride, dst + i * kSize, dst_stride, k);
  if (i == l) return;
  if (i > 0) {  // overlaps the strip before
    return TransposeStrip<1>(wide, src + (l - kLanes) * src_stride, src_stride, dst + (l - kLanes) * kSize, dst_stride, k);
  }
  for (; i < l; i += kFew) {
    i = i < l - kFew ? i : l - kFew;
    TransposeStrip<1>(narrow, src + i * src_stride, src_stride, dst + i * kSize, dst_stride, k);
  }
}
#endif

/// block(T(), src, dst, k, l) for every block, with the unsigned integer that is as large as an element. One walk serves all of them.
template <class Block>
HWY_INLINE void ForEachBlockOf(const CopyParams& p, const Call& call, Range range, Block block) {
  for_each_block(p, call, range, [&](const std::byte* src, std::byte* dst, int64_t k, int64_t l) HWY_ATTR {
    switch (p.element) {
      case 1: return block(uint8_t(), src, dst, k, l);
      case 2: return block(uint16_t(), src, dst, k, l);
      case 4: return block(uint32_t(), src, dst, k, l);
      default: return block(uint64_t(), src, dst, k, l);
    }
  });
}

void CopyTransposed(const CopyParams& p, const Call& call, Range range) {
  ForEachBlockOf(p, call, range, [&p](auto element, const std::byte* src, std::byte* dst, int64_t k, int64_t l) HWY_ATTR {
    TransposeBlock<decltype(element)>(src, p.l.src, dst, p.k.dst, k, l);
  });
}

/// src: n rows of kWays interleaved elements; dst: kWays dense rows, dst_stride apart.
template <class T, int kWays>
void Deinterleave(const std::byte* src, std::byte* dst, int64_t dst_stride, int64_t n) {
  const hn::ScalableTag<T> d;
  if (n < static_cast<int64_t>(hn::Lanes(d))) return TransposePlain<T>(src, kWays * sizeof(T), dst, dst_stride, kWays, n);
  const T* from = reinterpret_cast<const T*>(src);
  T* out[4] = {};
  for (int w = 0; w < kWays; ++w) out[w] = reinterpret_cast<T*>(dst + w * dst_stride);
  Cover(d, n, FirstInLine(d, out[0]), [=](int64_t i) HWY_ATTR {
    hn::Vec<decltype(d)> a, b, c, e;
    if constexpr (kWays == 2) hn::LoadInterleaved2(d, from + i * kWays, a, b);
    if constexpr (kWays == 3) hn::LoadInterleaved3(d, from + i * kWays, a, b, c);
    if constexpr (kWays == 4) hn::LoadInterleaved4(d, from + i * kWays, a, b, c, e);
    hn::StoreU(a, d, out[0] + i);
    hn::StoreU(b, d, out[1] + i);
    if constexpr (kWays >= 3) hn::StoreU(c, d, out[2] + i);
    if constexpr (kWays >= 4) hn::StoreU(e, d, out[3] + i);
  });
}

/// src: kWays dense rows, src_stride apart; dst: n rows of kWays interleaved elements.
template <class T, int kWays>
void Interleave(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const T* in[4] = {};
  for (int w = 0; w < kWays; ++w) in[w] = reinterpret_cast<const T*>(src + w * src_stride);
  T* to = reinterpret_cast<T*>(dst);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto a = hn::LoadU(d, in[0] + i);
    const auto b = hn::LoadU(d, in[1] + i);
    if constexpr (kWays == 2) hn::StoreInterleaved2(a, b, d, to + i * kWays);
    if constexpr (kWays == 3) hn::StoreInterleaved3(a, b, hn::LoadU(d, in[2] + i), d, to + i * kWays);
    if constexpr (kWays == 4) hn::StoreInterleaved4(a, b, hn::LoadU(d, in[2] + i), hn::LoadU(d, in[3] + i), d, to + i * kWays);
  }
  constexpr int64_t kSize = sizeof(T);
  TransposePlain<T>(src + i * kSize, src_stride, dst + i * kWays * kSize, kWays * kSize, n - i, kWays);
}

void CopyInterleaved(const CopyParams& p, const Call& call, Range range) {
  const bool split = p.k.count >= 2 && p.k.count <= 4 && p.l.src == p.k.count * p.element;
  ForEachBlockOf(p, call, range, [&p, split](auto element, const std::byte* src, std::byte* dst, int64_t k, int64_t l) HWY_ATTR {
    using T = decltype(element);
    if (split && k == p.k.count) {
      if (k == 2) return Deinterleave<T, 2>(src, dst, p.k.dst, l);
      if (k == 3) return Deinterleave<T, 3>(src, dst, p.k.dst, l);
      return Deinterleave<T, 4>(src, dst, p.k.dst, l);
    }
    if (!split && l == p.l.count) {
      if (l == 2) return Interleave<T, 2>(src, p.l.src, dst, k);
      if (l == 3) return Interleave<T, 3>(src, p.l.src, dst, k);
      return Interleave<T, 4>(src, p.l.src, dst, k);
    }
    TransposeBlock<T>(src, p.l.src, dst, p.k.dst, k, l);
  });
}

}  // namespace
}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(CopyTransposed);
TENON_EXPORT(CopyInterleaved);

Kernel<CopyParams> copy_transposed() { return TENON_POINTER(CopyTransposed); }
Kernel<CopyParams> copy_interleaved() { return TENON_POINTER(CopyInterleaved); }
}  // namespace tenon::kernels
#endif
