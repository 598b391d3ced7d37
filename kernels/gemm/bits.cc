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

/// Decodes word rows of kLanes columns. Codes are loaded from the byte that they are in. What comes of one is (code - middle + kShift) times
/// two to the power of its place in the byte, where kPlaces is not 1: taking that out of scales (or A) spares a shift of every code.
template <int kBits>
struct Decoder {
  static constexpr int kPerWord = 32 / kBits;
#if HWY_TARGET <= HWY_AVX3
  static constexpr float kShift = 0;
  static constexpr int kPlaces = 1;
  VF table;
  Decoder() {
    alignas(64) float values[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = static_cast<float>((i & ((1 << kBits) - 1)) - (1 << (kBits - 1)));
    table = hn::Load(DF(), values);
  }
  // A permutation looks at the lowest four bits alone: no masks, and no shift for the first code of a byte.
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* words) const {
    constexpr int kBit = kAt * kBits;
    const auto codes = hn::LoadU(DW(), reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(words) + kBit / 8));
    return hn::TableLookupLanes(table, hn::Indices512<float>{hn::ShiftRight<kBit % 8>(codes).raw});
  }
#else
  static constexpr float kShift = 1 << (kBits - 1);
  static constexpr int kPlaces = 8 / kBits;
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* words) const {
    constexpr int kBit = kAt * kBits;
    const auto codes = hn::LoadU(DW(), reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(words) + kBit / 8));
    return hn::ConvertTo(DF(), hn::BitCast(DI(), hn::And(codes, hn::Set(DW(), ((1u << kBits) - 1) << kBit % 8))));
  }
#endif
};
template <>
struct Decoder<8> {
  static constexpr int kPerWord = 4;
  static constexpr float kShift = 0;
  static constexpr int kPlaces = 1;
  template <int kAt>
  HWY_INLINE VF Get(const uint32_t* row) const {
    const hn::Rebind<int8_t, DF> bytes;
    return hn::ConvertTo(DF(), hn::PromoteTo(DI(), hn::LoadU(bytes, reinterpret_cast<const int8_t*>(row) + kAt * kPanel)));
  }
};
/// How far ahead panels are fetched, in bytes: decoding fills the window in which the CPU would find the loads itself.
constexpr uintptr_t kAhead = 4096;
HWY_INLINE void Prefetch(const void* at) { __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(at) + kAhead)); }

#define TENON_INLINE __attribute__((always_inline))

/// f(0), f(1), ... as constants.
template <class F, int... kAt>
HWY_INLINE void ForEach(std::integer_sequence<int, kAt...>, const F& f) {
  (f(std::integral_constant<int, kAt>()), ...);
}

/// What a decoded code is multiplied with to be itself.
template <int kBits>
constexpr float Unplaced(int64_t at) {
  return 1.0f / static_cast<float>(1 << at % Decoder<kBits>::kPlaces * kBits);
}

/// The columns from lane `v` of a vector's worth on: rows of bytes are four times as narrow as rows of words.
template <int kBits>
HWY_INLINE const uint32_t* Columns(const uint32_t* row, int v) {
  return kBits == 8 ? reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(row) + v * kLanes) : row + v * kLanes;
}

struct BitsArgs {
  const float* a = nullptr;       ///< R rows interleaved: [k up to a full word, R]; a single one times Unplaced(k)
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
  constexpr int kPerWord = D::kPerWord, kChains = 4;
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
      VF scale[D::kPlaces][NV], offset[NV], sum[kChains][NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 4
        for (int i = 0; i < D::kPlaces; ++i) scale[i][v] = hn::Mul(hn::LoadU(d, scales + v * kLanes), hn::Set(d, Unplaced<kBits>(i)));
        offset[v] = t.format.offsets ? hn::LoadU(d, scales + kPanel + v * kLanes) : hn::Zero(d);
        if (D::kShift != 0) offset[v] = hn::NegMulAdd(hn::Set(d, D::kShift), scale[0][v], offset[v]);
#pragma GCC unroll 4
        for (int c = 0; c < kChains; ++c) sum[c][v] = hn::Zero(d);
      }
      const uint32_t* row = from + head * kPanel;
      const int64_t n = std::min(block, t.k - k);
      for (int64_t i = 0; i < n; i += kPerWord, row += kPanel, a += kPerWord * R) {
        for (int v = 0; v < NV; v += static_cast<int>(64 / (4 * kLanes))) Prefetch(row + (first + v) * kLanes);
        const auto add = [&]<int kAt>(std::integral_constant<int, kAt>) HWY_ATTR TENON_INLINE {
#pragma GCC unroll 2
          for (int v = 0; v < NV; ++v) {
            const VF code = decode.template Get<kAt>(Columns<kBits>(row, first + v));
            if constexpr (R == 1) {
              VF& chain = sum[kAt % kChains][v];
              chain = hn::MulAdd(hn::Set(d, a[kAt]), code, chain);
            } else {
              const VF weight = hn::MulAdd(code, scale[kAt % D::kPlaces][v], offset[v]);
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
          acc[0][v] = hn::MulAdd(hn::Add(hn::Add(sum[0][v], sum[1][v]), hn::Add(sum[2][v], sum[3][v])), scale[0][v], acc[0][v]);
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
    VF scale[D::kPlaces][2], offset[2];
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
#pragma GCC unroll 4
      for (int i = 0; i < D::kPlaces; ++i) scale[i][v] = hn::Mul(hn::LoadU(d, scales + v * kLanes), hn::Set(d, Unplaced<kBits>(i)));
      offset[v] = format.offsets ? hn::LoadU(d, scales + kPanel + v * kLanes) : hn::Zero(d);
      if (D::kShift != 0) offset[v] = hn::NegMulAdd(hn::Set(d, D::kShift), scale[0][v], offset[v]);
    }
    const uint32_t* row = from + (head + (k - b * block) / D::kPerWord) * kPanel;
    for (; k < last; k += D::kPerWord, row += kPanel, to += D::kPerWord * kPanel) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        ForEach(std::make_integer_sequence<int, D::kPerWord>(), [&]<int kAt>(std::integral_constant<int, kAt>) HWY_ATTR TENON_INLINE {
          const VF code = decode.template Get<kAt>(Columns<kBits>(row, v));
          hn::StoreU(hn::MulAdd(code, scale[kAt % D::kPlaces][v], offset[v]), d, to + kAt * kPanel + v * kLanes);
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

template <int kBits>
FewBitsFunction FewBitsFor(int64_t m) {
  return m == 1 ? &FewBits<kBits, 1, 2> : m == 2 ? &FewBits<kBits, 2, 2> : m <= 4 ? &FewBits<kBits, 4, kWide> : &FewBits<kBits, 8, kWide>;
}
FewBitsFunction FewBitsOf(int bits, int64_t m) { return bits == 2 ? FewBitsFor<2>(m) : bits == 4 ? FewBitsFor<4>(m) : FewBitsFor<8>(m); }
DecodeFunction DecodeOf(int bits) { return bits == 2 ? &DecodeRows<2> : bits == 4 ? &DecodeRows<4> : &DecodeRows<8>; }

}  // namespace

/// A as GemmFewBits reads it, in Call::shared: a batch a part.
void GemmBitsRows(const GemmParams& p, const Call& call, Range range) {
  const BitsFormat format = bits_format(p.format);
  const int64_t rows = bits_rows(p.m), depth = bits_depth(p.k);
  // One row is multiplied with codes as they come out of their bytes.
  float unplaced[4];
  for (int i = 0; i < 4; ++i) unplaced[i] = format.bits == 2 ? Unplaced<2>(i) : format.bits == 4 ? Unplaced<4>(i) : Unplaced<8>(i);
  for (int64_t batch = range.begin; batch < range.end; ++batch) {
    const GemmPart part = gemm_part(p, batch * p.col_parts);
    float* const a = reinterpret_cast<float*>(call.shared) + batch * bits_floats(p);
    std::memset(a, 0, static_cast<size_t>(rows * depth) * sizeof(float));
    if (p.m > 1) {
      float row[256];
      for (int64_t r = 0; r < p.m; ++r) {
        for (int64_t k = 0; k < p.k; k += 256) {
          const int64_t n = std::min<int64_t>(256, p.k - k);
          LoadRow(p.dtype, call.src[0], part.a + r * p.a_m + k * p.a_k, p.a_k, n, row);
          for (int64_t i = 0; i < n; ++i) a[(k + i) * rows + r] = row[i];
        }
      }
      continue;
    }
    LoadRow(p.dtype, call.src[0], part.a, p.a_k, p.k, a);
    BlockSums(a, p.k, format.block_of(p.k), a + depth);
    for (int64_t k = 0; k < depth; k += 4) {
      for (int i = 0; i < 4; ++i) a[k + i] *= unplaced[i];
    }
  }
}

/// At most kFewBitRows rows: B is streamed once and decoded in registers.
void GemmFewBits(const GemmParams& p, const Call& call, Range range) {
  const BitsFormat format = bits_format(p.format);
  const GemmScratch layout = gemm_scratch_layout(p);
  float* const scratch = reinterpret_cast<float*>(call.scratch);
  Finisher finisher(p, call, scratch + layout.a + layout.sums);
  const FewBitsFunction few = FewBitsOf(format.bits, p.m);
  BitsArgs t{.format = format, .k = p.k, .out = scratch + layout.total()};
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    t.a = reinterpret_cast<const float*>(call.shared) + part.block * bits_floats(p);
    t.a_sums = t.a + bits_rows(p.m) * bits_depth(p.k);
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      t.panel = call.in<uint32_t>(1) + panel * format.panel_words(p.k);
      few(t);
      for (int64_t first = 0; first < p.m; first += kFewRows) {
        const int64_t height = std::min<int64_t>(kFewRows, p.m - first);
        TileArgs end;  // no product of its own: the sums come from above
        end.a = end.b = end.sums = t.out + first * kPanel;
        finisher.Begin(part, first, height, panel * kPanel, end);
        kFewTiles[height](end);
        finisher.End();
      }
    }
  }
}

/// More rows: slices of panels are decoded.
void GemmBits(const GemmParams& p, const Call& call, Range range) {
  const BitsFormat format = bits_format(p.format);
  MultiplyDecoded(p, call, range,
                  {.b = call.in<std::byte>(1),
                   .panel_bytes = format.panel_words(p.k) * 4,
                   .decode = [](const GemmParams& params, const std::byte* panel, int64_t begin, int64_t end, float* to) {
                     const BitsFormat f = bits_format(params.format);
                     DecodeOf(f.bits)(f, params.k, reinterpret_cast<const uint32_t*>(panel), begin, end, to);
                   }});
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(GemmBitsRows);
TENON_EXPORT(GemmFewBits);
TENON_EXPORT(GemmBits);
}  // namespace
Kernel<GemmParams> GemmBitsRowsPointer() { return TENON_POINTER(GemmBitsRows); }
Kernel<GemmParams> GemmFewBitsPointer() { return TENON_POINTER(GemmFewBits); }
Kernel<GemmParams> GemmBitsPointer() { return TENON_POINTER(GemmBits); }
}  // namespace tenon::kernels
#endif
