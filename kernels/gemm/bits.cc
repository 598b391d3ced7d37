// Products with weights of a few bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/bits.cc"
#include <algorithm>
#include <cstring>
#include <utility>

#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/bits.h"
#include "kernels/gemm/part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

using DI = hn::RebindToSigned<DF>;
using DW = hn::RebindToUnsigned<DF>;

/// Decodes word rows of kLanes columns. `kShift` is what the decoded numbers are too large by, against code - middle.
template <int kBits>
struct Decoder {
  static constexpr int kPerWord = 32 / kBits;
#if HWY_TARGET <= HWY_AVX3
  static constexpr float kShift = 0;
  VF table;
  Decoder() {
    alignas(64) float values[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = static_cast<float>((i & ((1 << kBits) - 1)) - (1 << (kBits - 1)));
    table = hn::Load(DF(), values);
  }
  // A permutation looks at the lowest four bits alone, so codes that begin a byte need no shift, only to be loaded from there.
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* words) const {
    constexpr int kBit = kAt * kBits;
    const auto codes = hn::LoadU(DW(), reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(words) + kBit / 8));
    return hn::TableLookupLanes(table, hn::Indices512<float>{hn::ShiftRight<kBit % 8>(codes).raw});
  }
#else
  static constexpr float kShift = 1 << (kBits - 1);
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* words) const {
    const auto code = hn::And(hn::ShiftRight<kAt * kBits>(hn::LoadU(DW(), words)), hn::Set(DW(), (1u << kBits) - 1));
    return hn::ConvertTo(DF(), hn::BitCast(DI(), code));
  }
#endif
};
template <>
struct Decoder<8> {
  static constexpr int kPerWord = 4;
  static constexpr float kShift = 0;
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* row) const {
    const hn::Rebind<int8_t, DF> bytes;
    return hn::ConvertTo(DF(), hn::PromoteTo(DI(), hn::LoadU(bytes, reinterpret_cast<const int8_t*>(row) + kAt * kPanel)));
  }
};
/// How far ahead panels are fetched, in bytes: decoding fills the window in which the CPU would find the loads itself.
constexpr uintptr_t kAhead = 4096;

#define TENON_INLINE __attribute__((always_inline))

/// f(0), f(1), ... as constants.
template <class F, int... kAt>
HWY_INLINE void ForEach(std::integer_sequence<int, kAt...>, const F& f) {
  (f(std::integral_constant<int, kAt>()), ...);
}

/// The columns from lane `v` of a vector's worth on: rows of bytes are four times as narrow as rows of words.
template <int kBits>
HWY_INLINE const uint32_t* Columns(const uint32_t* row, int v) {
  return kBits == 8 ? reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(row) + v * kLanes) : row + v * kLanes;
}

struct BitsArgs {
  const float* a = nullptr;       ///< R rows interleaved: [k up to a full word, R]
  const float* a_sums = nullptr;  ///< of each block of A; for one row
  const uint32_t* panel = nullptr;
  BitsFormat format;
  int64_t k = 0;
  float* out = nullptr;  ///< R rows, kPanel apart
};

/// Sums of a panel with R rows of A, NV vectors of columns at a time. One row: products of a block are
/// summed before they are scaled. More: every weight is scaled, once for all rows.
template <int kBits, int R, int NV>
HWY_NOINLINE void FewBits(const BitsArgs& t) {
  using D = Decoder<kBits>;
  constexpr int kPerWord = D::kPerWord;
  const DF d;
  const D decode;
  const int64_t block = t.format.block_of(t.k), block_words = t.format.block_rows(t.k) * kPanel;
  const int64_t head = t.format.offsets ? 2 : 1;
  for (int first = 0; first < 2; first += NV) {
    VF acc[R][NV];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[r][v] = hn::Zero(d);
    const uint32_t* from = t.panel;
    const float* HWY_RESTRICT a = t.a;
    for (int64_t k = 0, b = 0; k < t.k; k += block, ++b, from += block_words) {
      const float* const scales = reinterpret_cast<const float*>(from) + first * kLanes;
      VF scale[NV], offset[NV], sum[2][NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
        scale[v] = hn::LoadU(d, scales + v * kLanes);
        offset[v] = t.format.offsets ? hn::LoadU(d, scales + kPanel + v * kLanes) : hn::Zero(d);
        if (D::kShift != 0) offset[v] = hn::NegMulAdd(hn::Set(d, D::kShift), scale[v], offset[v]);
        sum[0][v] = sum[1][v] = hn::Zero(d);
      }
      const uint32_t* row = from + head * kPanel;
      const int64_t n = std::min(block, t.k - k);
      for (int64_t i = 0; i < n; i += kPerWord, row += kPanel, a += kPerWord * R) {
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v)
          __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(row + (first + v) * kLanes) + kAhead));
        const auto add = [&]<int kAt>(std::integral_constant<int, kAt>) HWY_ATTR TENON_INLINE {
#pragma GCC unroll 2
          for (int v = 0; v < NV; ++v) {
            const VF code = decode.template Get<kAt>(Columns<kBits>(row, first + v));
            if constexpr (R == 1) {
              sum[kAt & 1][v] = hn::MulAdd(hn::Set(d, a[kAt]), code, sum[kAt & 1][v]);
            } else {
              const VF weight = hn::MulAdd(code, scale[v], offset[v]);
#pragma GCC unroll 8
              for (int r = 0; r < R; ++r) acc[r][v] = hn::MulAdd(hn::Set(d, a[kAt * R + r]), weight, acc[r][v]);
            }
          }
        };
        ForEach(std::make_integer_sequence<int, kPerWord>(), add);
      }
      if constexpr (R == 1) {
        const VF a_sum = hn::Set(d, t.a_sums[b]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) {
          acc[0][v] = hn::MulAdd(hn::Add(sum[0][v], sum[1][v]), scale[v], acc[0][v]);
          if (D::kShift != 0 || t.format.offsets) acc[0][v] = hn::MulAdd(a_sum, offset[v], acc[0][v]);  // 0 times infinity is NaN
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, t.out + r * kPanel + (first + v) * kLanes);
  }
}

/// Rows [begin, end) of a panel as floats, kPanel apart. begin is the first row of a word; up to kPerWord - 1 rows more are written.
template <int kBits>
HWY_NOINLINE void DecodeRows(const BitsFormat& format, int64_t all, const uint32_t* panel, int64_t begin, int64_t end, float* to) {
  using D = Decoder<kBits>;
  const DF d;
  const D decode;
  const int64_t block = format.block_of(all), block_words = format.block_rows(all) * kPanel, head = format.offsets ? 2 : 1;
  for (int64_t k = begin; k < end;) {
    const int64_t b = k / block, last = std::min(end, (b + 1) * block);
    const uint32_t* const from = panel + b * block_words;
    const float* const scales = reinterpret_cast<const float*>(from);
    VF scale[2], offset[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      scale[v] = hn::LoadU(d, scales + v * kLanes);
      offset[v] = format.offsets ? hn::LoadU(d, scales + kPanel + v * kLanes) : hn::Zero(d);
      if (D::kShift != 0) offset[v] = hn::NegMulAdd(hn::Set(d, D::kShift), scale[v], offset[v]);
    }
    const uint32_t* row = from + (head + (k - b * block) / D::kPerWord) * kPanel;
    for (; k < last; k += D::kPerWord, row += kPanel, to += D::kPerWord * kPanel) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        ForEach(std::make_integer_sequence<int, D::kPerWord>(), [&]<int kAt>(std::integral_constant<int, kAt>) HWY_ATTR TENON_INLINE {
          const VF code = decode.template Get<kAt>(Columns<kBits>(row, v));
          hn::StoreU(hn::MulAdd(code, scale[v], offset[v]), d, to + kAt * kPanel + v * kLanes);
        });
      }
    }
    k = last;
  }
}

/// Sums of `block` elements of a row that zeros follow, up to bits_depth(k) elements. The last block may be shorter.
void BlockSums(const float* a, int64_t k, int64_t block, float* sums) {
  const hn::CappedTag<float, 16> d;
  for (int64_t begin = 0; begin < k; begin += block) {
    auto sum = hn::Zero(d);
    for (int64_t i = begin; i < std::min(k, begin + block); i += static_cast<int64_t>(hn::Lanes(d)))
      sum = hn::Add(sum, hn::LoadU(d, a + i));
    *sums++ = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

using FewBitsFunction = void (*)(const BitsArgs&);
using DecodeFunction = void (*)(const BitsFormat&, int64_t, const uint32_t*, int64_t, int64_t, float*);
/// Eight rows by two vectors need registers that only AVX-512 has.
inline constexpr int kWide = kLanes >= 16 ? 2 : 1;

/// Rows that are done at once where there are m.
constexpr int64_t FewBitsRows(int64_t m) { return m <= 2 ? m : m <= 4 ? 4 : 8; }
template <int kBits>
FewBitsFunction FewBitsFor(int64_t m) {
  return m == 1 ? &FewBits<kBits, 1, 2> : m == 2 ? &FewBits<kBits, 2, 2> : m <= 4 ? &FewBits<kBits, 4, kWide> : &FewBits<kBits, 8, kWide>;
}
FewBitsFunction FewBitsOf(int bits, int64_t m) { return bits == 2 ? FewBitsFor<2>(m) : bits == 4 ? FewBitsFor<4>(m) : FewBitsFor<8>(m); }
DecodeFunction DecodeOf(int bits) { return bits == 2 ? &DecodeRows<2> : bits == 4 ? &DecodeRows<4> : &DecodeRows<8>; }

}  // namespace

/// At most kFewBitRows rows: B is streamed once and decoded in registers.
void GemmFewBits(const GemmParams& p, const Call& call, Range range) {
  const BitsFormat format = bits_format(p.format);
  const GemmScratch layout = gemm_scratch_layout(p);
  float* const row = reinterpret_cast<float*>(call.scratch);
  Finisher finisher(p, call, row + layout.a + layout.sums);
  float* const products = row + layout.total();
  float* const a = products + kFewBitRows * kPanel;
  float* const a_sums = a + kFewBitRows * bits_depth(p.k);
  const int64_t rows = FewBitsRows(p.m);
  const FewBitsFunction few = FewBitsOf(format.bits, p.m);
  int64_t held = -1;
  const BitsArgs t{.a = a, .a_sums = a_sums, .format = format, .k = p.k, .out = products};
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    if (held != part.block) {
      held = part.block;
      std::memset(a, 0, static_cast<size_t>(rows * bits_depth(p.k)) * sizeof(float));
      for (int64_t r = 0; r < p.m; ++r) {
        LoadRow(p.dtype, call.src[0], part.a + r * p.a_m, p.a_k, p.k, row);
        for (int64_t k = 0; k < p.k; ++k) a[k * rows + r] = row[k];
      }
      if (p.m == 1) BlockSums(a, p.k, format.block_of(p.k), a_sums);
    }
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      BitsArgs own = t;
      own.panel = call.in<uint32_t>(1) + panel * format.panel_words(p.k);
      few(own);
      for (int64_t first = 0; first < p.m; first += kFewRows) {
        const int64_t height = std::min<int64_t>(kFewRows, p.m - first);
        TileArgs end;  // no product of its own: the sums come from above
        end.a = end.b = end.sums = products + first * kPanel;
        finisher.Begin(part, first, height, panel * kPanel, end);
        kFewTiles[height](end);
        finisher.End();
      }
    }
  }
}

/// Many rows: a slice of a panel, kBlockDepth deep, is decoded once for all rows of a part, and stays near while they pass.
void GemmBits(const GemmParams& p, const Call& call, Range range) {
  const BitsFormat format = bits_format(p.format);
  const DecodeFunction decode = DecodeOf(format.bits);
  const GemmScratch layout = gemm_scratch_layout(p);
  float* const packed = reinterpret_cast<float*>(call.scratch);
  float* const sums = packed + layout.a;
  Finisher finisher(p, call, sums + layout.sums);
  float* const slice = packed + layout.total();
  int64_t held = -1;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    const int64_t first = tile_row(p, part.tile_begin), rows = tile_row(p, part.tile_end) - first;
    if (held != part.block) {
      PackRows(p, call.src[0], part.a, first, first + rows, packed);
      held = part.block;
    }
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      const uint32_t* const b = call.in<uint32_t>(1) + panel * format.panel_words(p.k);
      const auto& tiles = p.n - panel * kPanel <= kLanes ? kHalfTiles : kPackedTiles;
      for (int64_t k = 0; k < p.k; k += kBlockDepth) {
        const bool last = k + kBlockDepth >= p.k;
        TileArgs t;
        t.k = std::min(kBlockDepth, p.k - k);
        t.b = slice;
        decode(format, p.k, b, k, k + t.k, slice);
        const float* const block = packed + k / kBlockDepth * rows * kRowStride;
        t.ahead = reinterpret_cast<uintptr_t>(slice);
        for (int64_t tile = part.tile_begin; tile < part.tile_end; ++tile) {
          const int64_t row = tile_row(p, tile), height = tile_row(p, tile + 1) - row;
          t.a = block + (row - first) * kRowStride;
          float* const partial = sums + (row - first) * kPanel;
          t.sums = k > 0 ? partial : nullptr;
          if (last) {
            finisher.Begin(part, row, height, panel * kPanel, t);
            tiles[static_cast<size_t>(height)](t);
            finisher.End();
          } else {
            t.finish = false;
            t.c = partial;
            t.c_m = kPanel;
            tiles[static_cast<size_t>(height)](t);
          }
        }
      }
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
HWY_EXPORT(GemmFewBits);
HWY_EXPORT(GemmBits);
}  // namespace
Kernel<GemmParams> GemmFewBitsPointer() { return TENON_POINTER(GemmFewBits); }
Kernel<GemmParams> GemmBitsPointer() { return TENON_POINTER(GemmBits); }
}  // namespace tenon::kernels
#endif
