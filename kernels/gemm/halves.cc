// Products with weights of 16 bits, which are widened in the kernel.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/halves.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/part-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2  // others widen weights when they pack them
namespace {

/// How two rows of a panel, 2 * kPanel elements from `at` on, become floats: vector `v` of both.
struct Float16Rows {
  static HWY_INLINE void Get(const uint16_t* at, int v, VF& even, VF& odd) {
    const hn::Rebind<hwy::float16_t, DF> d;
    const auto* const from = reinterpret_cast<const hwy::float16_t*>(at) + v * kLanes;
    even = hn::PromoteTo(DF(), hn::LoadU(d, from));
    odd = hn::PromoteTo(DF(), hn::LoadU(d, from + kPanel));
  }
};
struct BFloat16Pairs {
  static HWY_INLINE void Get(const uint16_t* at, int v, VF& even, VF& odd) {
    const hn::RebindToUnsigned<DF> d;
    const auto words = hn::LoadU(d, reinterpret_cast<const uint32_t*>(at) + v * kLanes);
    even = hn::BitCast(DF(), hn::ShiftLeft<16>(words));
    odd = hn::BitCast(DF(), hn::And(words, hn::Set(d, 0xffff0000)));
  }
};

/// How far ahead panels are fetched, in bytes.
constexpr uintptr_t kAhead = 4096;

/// R <= kFewRows rows of A, with zeros after an odd number of columns, times one panel. U pairs of rows of B at a time have sums of their own,
/// and so have the rows of a pair where R < 4.
template <class Half, int R, int U>
HWY_NOINLINE void FewTile(const TileArgs& t, const uint16_t* HWY_RESTRICT b) {
  constexpr int kSums = R < 4 ? 2 * U : 1;
  const DF d;
  VF acc[kSums][R][2];
#pragma GCC unroll 4
  for (int s = 0; s < kSums; ++s)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) acc[s][r][0] = acc[s][r][1] = hn::Zero(d);
  const float* HWY_RESTRICT a = t.a;
  const int64_t a_m = t.a_m;
  const auto add = [&](int u) HWY_ATTR __attribute__((always_inline)) {
    VF row[2][2];
    // The window in which the CPU would find the loads itself is full of multiplications.
    constexpr int kPairBytes = static_cast<int>(2 * kPanel * sizeof(uint16_t));
    for (int line = 0; line < kPairBytes; line += kLineBytes) {
      __builtin_prefetch(
          reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(b) + kAhead + static_cast<uintptr_t>(u * kPairBytes + line)));
    }
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) Half::Get(b + u * 2 * kPanel, v, row[0][v], row[1][v]);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      auto& sum = acc[(2 * u + i) % kSums];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const VF x = hn::Set(d, a[r * a_m + 2 * u + i]);
        sum[r][0] = hn::MulAdd(x, row[i][0], sum[r][0]);
        sum[r][1] = hn::MulAdd(x, row[i][1], sum[r][1]);
      }
    }
  };
  int64_t pairs = (t.k + 1) / 2;
  for (; pairs >= U; pairs -= U, a += 2 * U, b += 2 * U * kPanel) {
#pragma GCC unroll 2
    for (int u = 0; u < U; ++u) add(u);
  }
  for (; pairs > 0; --pairs, a += 2, b += 2 * kPanel) add(0);
#pragma GCC unroll 4
  for (int s = 1; s < kSums; ++s)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      acc[0][r][0] = hn::Add(acc[0][r][0], acc[s][r][0]);
      acc[0][r][1] = hn::Add(acc[0][r][1], acc[s][r][1]);
    }
  StoreTile<float, R, 2>(t, acc[0]);
}

template <class Half>
inline constexpr decltype(&FewTile<Half, 1, 2>) kFewHalves[kFewRows + 1] = {nullptr, &FewTile<Half, 1, 2>, &FewTile<Half, 2, 1>,
                                                                            &FewTile<Half, 3, 1>, &FewTile<Half, 4, 1>};

/// As Coded has it. begin is even; a row more is written where end is odd.
template <class Half>
void DecodeRows(const GemmParams&, const std::byte* panel, int64_t begin, int64_t end, float* HWY_RESTRICT to) {
  const DF d;
  const uint16_t* HWY_RESTRICT from = reinterpret_cast<const uint16_t*>(panel) + begin * kPanel;
  for (int64_t k = begin; k < end; k += 2, from += 2 * kPanel, to += 2 * kPanel) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      VF even, odd;
      Half::Get(from, v, even, odd);
      hn::StoreU(even, d, to + v * kLanes);
      hn::StoreU(odd, d, to + kPanel + v * kLanes);
    }
  }
}

template <class Half>
void FewRows(const GemmParams& p, const Call& call, Range range) {
  const int64_t depth = packed_rows(p.format, p.k);
  const GemmScratch layout = gemm_scratch_layout(p);
  float* const rows = reinterpret_cast<float*>(call.scratch);
  Finisher finisher(p, call, rows + layout.a + layout.sums);
  int64_t held = -1;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    for (int64_t r = 0; held != part.block && r < p.m; ++r) {
      float* const row = rows + r * depth;
      LoadRow(p.dtype, call.src[0], part.a + r * p.a_m, p.a_k, p.k, row);
      if (depth != p.k) row[p.k] = 0;
    }
    held = part.block;
    TileArgs t;
    t.a = rows;
    t.a_m = depth;
    t.k = p.k;
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      finisher.Begin(part, 0, p.m, panel * kPanel, t);
      kFewHalves<Half>[p.m](t, call.in<uint16_t>(1) + part.b + panel * depth * kPanel);
      finisher.End();
    }
  }
}

}  // namespace

/// At most kFewRows rows: B is streamed once and widened in registers.
void GemmFewHalves(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat16 ? FewRows<Float16Rows>(p, call, range) : FewRows<BFloat16Pairs>(p, call, range);
}

/// More rows: slices of panels are widened.
void GemmHalves(const GemmParams& p, const Call& call, Range range) {
  MultiplyDecoded(p, call, range,
                  {.b = call.in<std::byte>(1),
                   .element_bytes = 2,
                   .panel_bytes = packed_rows(p.format, p.k) * kPanel * 2,
                   .decode = p.dtype == DType::kFloat16 ? &DecodeRows<Float16Rows> : &DecodeRows<BFloat16Pairs>});
}

#else
void GemmFewHalves(const GemmParams&, const Call&, Range) {}
void GemmHalves(const GemmParams&, const Call&, Range) {}
#endif

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(GemmFewHalves);
TENON_EXPORT(GemmHalves);
}  // namespace
Kernel<GemmParams> GemmFewHalvesPointer() { return TENON_POINTER(GemmFewHalves); }
Kernel<GemmParams> GemmHalvesPointer() { return TENON_POINTER(GemmHalves); }
}  // namespace tenon::kernels
#endif
