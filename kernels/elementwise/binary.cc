// The float32 tiles of the binary functions and the kernels made of them, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/binary.cc"
#include "hwy/foreach_target.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/bound-inl.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/half.h"
#include "kernels/elementwise/pow-inl.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/lines.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

#define TENON_VECTOR(Name, expression)                                                                \
  void Name##Tile2(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) { \
    MapTile2(pa, sa, pb, sb, dst, n, [](auto d, auto a, auto b) HWY_ATTR {                            \
      static_cast<void>(d);                                                                           \
      return expression;                                                                              \
    });                                                                                               \
  }
TENON_VECTOR(Add, hn::Add(a, b))
TENON_VECTOR(Sub, hn::Sub(a, b))
TENON_VECTOR(Mul, hn::Mul(a, b))
TENON_VECTOR(Div, hn::Div(a, b))
TENON_VECTOR(Max, MaxNan(a, b))
TENON_VECTOR(Min, MinNan(a, b))
TENON_VECTOR(PRelu, hn::IfThenElse(hn::Lt(a, hn::Zero(d)), hn::Mul(a, b), a))
#undef TENON_VECTOR

/// MapTile2 with f in one place, for long ones. The vector at the end is filled with ones.
template <class D, class F>
HWY_INLINE void MapLong2(D d, const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n, F f) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float a[hn::MaxLanes(d)], b[hn::MaxLanes(d)], end[hn::MaxLanes(d)];
  hn::Store(hn::Set(d, sa ? 1.0f : pa[0]), d, a);
  hn::Store(hn::Set(d, sb ? 1.0f : pb[0]), d, b);
  for (int64_t i = 0; i < n; i += lanes) {
    const float *from_a = sa ? pa + i : a, *from_b = sb ? pb + i : b;
    float* to = dst + i;
    if (i + lanes > n) {
      const size_t bytes = static_cast<size_t>(n - i) * sizeof(float);
      if (sa) std::memcpy(a, from_a, bytes);
      if (sb) std::memcpy(b, from_b, bytes);
      from_a = a, from_b = b, to = end;
    }
    hn::StoreU(f(hn::LoadU(d, from_a), hn::LoadU(d, from_b)), d, to);
    if (to == end) std::memcpy(dst + i, end, static_cast<size_t>(n - i) * sizeof(float));
  }
}

/// x - q * y, given that a float holds it.
template <class D, class V>
HWY_INLINE V ExactResidue(D d, V q, V y, V x) {
#if HWY_NATIVE_FMA
  static_cast<void>(d);
  return hn::NegMulAdd(q, y, x);
#else  // double holds the product
  const hn::Repartition<double, D> wide;
  const hn::Half<D> half;
  const auto part = [&](auto q2, auto y2, auto x2) HWY_ATTR {
    return hn::DemoteTo(half, hn::Sub(hn::PromoteTo(wide, x2), hn::Mul(hn::PromoteTo(wide, q2), hn::PromoteTo(wide, y2))));
  };
  return hn::Combine(d, part(hn::UpperHalf(half, q), hn::UpperHalf(half, y), hn::UpperHalf(half, x)),
                     part(hn::LowerHalf(half, q), hn::LowerHalf(half, y), hn::LowerHalf(half, x)));
#endif
}

/// fmod(a, b), exactly. Where |a| >= |b|, a is a multiple of b's last bit, and so is what is left after a multiple of b is taken away. The
/// quotient of the two rounds to 24 bits, so what is left of a is at most half a unit of the quotient's last place times b, which a float
/// holds; it takes the place of a until the quotient is below 2^24 and rounds to a whole number. Then what is left is less than b to either
/// side. Quotients from 2^100 on, and b so small that what is left could be subnormal, are the C library's business.
template <class D, class V>
HWY_INLINE V Fmod(D d, V a, V b) {
  const auto x = hn::Abs(a), y = hn::Abs(b), exact = hn::Set(d, 16777216.0f);
  auto q = hn::Div(x, y);
  const auto known = hn::And(hn::Lt(q, hn::Set(d, 0x1p100f)), hn::Ge(y, hn::Set(d, 0x1p-102f)));
  auto left = ExactResidue(d, hn::Round(q), y, x);
  while (HWY_UNLIKELY(!hn::AllFalse(d, hn::And(known, hn::Ge(hn::Abs(q), exact))))) {
    q = hn::Div(left, y);
    left = ExactResidue(d, hn::Round(q), y, left);
  }
  left = hn::Add(left, hn::IfThenElseZero(hn::Lt(left, hn::Zero(d)), y));
  left = hn::CopySignToAbs(hn::IfThenElse(hn::Lt(x, y), x, left), a);
  return PatchLanes(
      d, known, left, [](float one, float other) { return std::fmod(one, other); }, a, b);
}

void FmodTile2(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  MapLong2(d, pa, sa, pb, sb, dst, n, [d](auto a, auto b) HWY_ATTR { return Fmod(d, a, b); });
}

/// The remainder with the sign of b.
void ModTile2(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  MapLong2(d, pa, sa, pb, sb, dst, n, [d](auto a, auto b) HWY_ATTR {
    const auto zero = hn::Zero(d), r = Fmod(d, a, b);
    const auto other_side = hn::Or(hn::And(hn::Lt(r, zero), hn::Ge(b, zero)), hn::And(hn::Gt(r, zero), hn::Lt(b, zero)));
    return hn::IfThenElse(other_side, hn::Add(r, b), r);
  });
}

/// 2^(b log2 a) in double for positive normal a and any finite b, off from what pow() gives by rare last bits: the logarithm is off by at
/// most 2^-45 of itself, the power by 2^-34. Minimax fits, by Remez' exchange.
template <class D, class V>
HWY_INLINE V PowNormal(D df, V a, V b) {
  const hn::RebindToSigned<D> di;
  const hn::Half<D> half;
  const hn::Half<decltype(di)> half_i;
  const hn::Repartition<double, D> d;
  using VD = hn::Vec<decltype(d)>;
  const auto C = [d](double c) HWY_ATTR { return hn::Set(d, c); };
  // a = 2^e m with m from sqrt(1/2) to sqrt(2).
  const auto bits = hn::BitCast(di, a), e = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, 0x3F3504F3)));
  const V m = hn::BitCast(df, hn::Sub(bits, hn::ShiftLeft<23>(e)));
  const auto part = [&](auto m2, auto e2, auto b2) HWY_ATTR {
    const VD x = hn::PromoteTo(d, m2), one = C(1), s = hn::Div(hn::Sub(x, one), hn::Add(x, one)), z = hn::Mul(s, s);
    VD log = hn::MulAdd(C(0x1.21a68f2f522eep-2), z, C(0x1.47962acaf7bdfp-2));  // of m, by s
    log = hn::MulAdd(log, z, C(0x1.a61a289798f37p-2));
    log = hn::MulAdd(log, z, C(0x1.2776c29d59da6p-1));
    log = hn::MulAdd(log, z, C(0x1.ec709dc52ef68p-1));
    log = hn::MulAdd(log, z, C(0x1.71547652b8265p+1));
    // What is beyond these bounds is infinity or 0 as a float. Added to `large`, a number is rounded to a whole one, n, and n + 1023, which
    // is the exponent of 2^n, is in the sum's low bits.
    const VD y = hn::Mul(hn::PromoteTo(d, b2), hn::MulAdd(log, s, hn::PromoteTo(d, e2)));
    const VD bounded = hn::Min(hn::Max(y, C(-200)), C(200)), large = C(0x1.8p52 + 1023);
    const VD sum = hn::Add(bounded, large), r = hn::Sub(bounded, hn::Sub(sum, large));
    VD power = hn::MulAdd(C(0x1.fe178322cfa16p-17), r, C(0x1.446a1fda8cc75p-13));
    power = hn::MulAdd(power, r, C(0x1.5d8a7088f88a2p-10));
    power = hn::MulAdd(power, r, C(0x1.3b29dc40d6c3dp-7));
    power = hn::MulAdd(power, r, C(0x1.c6b08aaf2e370p-5));
    power = hn::MulAdd(power, r, C(0x1.ebfbe0a4be810p-3));
    power = hn::MulAdd(power, r, C(0x1.62e42ff116290p-1));
    power = hn::MulAdd(power, r, C(0x1.ffffffffabbcdp-1));
    const hn::RebindToSigned<decltype(d)> di64;
    return hn::DemoteTo(half, hn::Mul(power, hn::BitCast(d, hn::ShiftLeft<52>(hn::BitCast(di64, sum)))));
  };
  return hn::Combine(df, part(hn::UpperHalf(half, m), hn::UpperHalf(half_i, e), hn::UpperHalf(half, b)),
                     part(hn::LowerHalf(half, m), hn::LowerHalf(half_i, e), hn::LowerHalf(half, b)));
}

/// What is not finite, and bases that are not positive or not normal, are left to the C library.
void AnyPowTile2(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) {
  const hn::ScalableTag<float> d;
  MapLong2(d, pa, sa, pb, sb, dst, n, [d](auto a, auto b) HWY_ATTR {
    const auto infinity = hn::Inf(d);
    const auto known =
        hn::And(hn::Ge(a, hn::Set(d, std::numeric_limits<float>::min())), hn::And(hn::Lt(a, infinity), hn::Lt(hn::Abs(b), infinity)));
    return PatchLanes(
        d, known, PowNormal(d, a, b), [](float one, float other) { return std::pow(one, other); }, a, b);
  });
}

void PowTile2(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) {
  if (sb == 0 && sa == 1 && PowByArithmetic(pa, pb[0], dst, n)) return;
  AnyPowTile2(pa, sa, pb, sb, dst, n);
}

BinaryTile TileFor2(BinaryKind kind) {
  switch (kind) {
    case BinaryKind::kAdd: return AddTile2;
    case BinaryKind::kSub: return SubTile2;
    case BinaryKind::kMul: return MulTile2;
    case BinaryKind::kDiv: return DivTile2;
    case BinaryKind::kPow: return PowTile2;
    case BinaryKind::kMod: return ModTile2;
    case BinaryKind::kFmod: return FmodTile2;
    case BinaryKind::kMax: return MaxTile2;
    case BinaryKind::kMin: return MinTile2;
    case BinaryKind::kPRelu: return PReluTile2;
    default: return nullptr;
  }
}

/// The operand that is stepped without gaps over the last two dims while the other repeats along one of them, when the last dim is too
/// short to be worth a call of its own; -1 when there is none.
int DenseOperand(const BroadcastShape<2>& s) {
  const int last = s.rank - 1;
  if (s.rank < 2 || s.dims[last] >= 32 || s.dims[last - 1] < 8) return -1;
  for (int k = 0; k < 2; ++k) {
    if (s.strides[k][last] == 1 && s.strides[k][last - 1] == s.dims[last]) return k;
  }
  return -1;
}

/// Walks the last two dims as one; the repeating operand is spelled out in a buffer.
void ShortRows(const BinaryParams& p, const Call& call, int64_t begin, int64_t end, int dense) {
  constexpr int64_t kBuffer = 1024;
  const int other = 1 - dense, last = p.shape.rank - 1;
  const int64_t inner = p.shape.dims[last], rows = p.shape.dims[last - 1];
  const int64_t row_step = p.shape.strides[other][last - 1], step = p.shape.strides[other][last];
  BroadcastShape<2> merged = p.shape;
  --merged.rank;
  merged.dims[last - 1] = rows * inner;
  merged.strides[dense][last - 1] = 1;
  merged.strides[other][last - 1] = 0;
  const BinaryTile tile = TileFor2(p.kind);
  const int64_t stride = kBuffer / inner * inner;  // whole rows, so that every piece starts at the same column
  alignas(64) float buffer[kBuffer];
  for_each_row(merged, begin, end, [&](int64_t at, const int64_t* offset, int64_t n) {
    const float* full = call.in<float>(dense) + offset[dense];
    const float* part = call.in<float>(other) + offset[other];
    const int64_t first = at % (rows * inner);
    for (int64_t i = 0; i < n; i += stride) {
      const int64_t m = n - i < stride ? n - i : stride;
      // A row vector looks the same in every piece.
      if (i == 0 || row_step != 0) {
        int64_t row = (first + i) / inner, column = (first + i) % inner;
        for (int64_t k = 0; k < m; ++k) {
          buffer[k] = part[row * row_step + column * step];
          if (++column == inner) column = 0, ++row;
        }
      }
      float* dst = call.out<float>(0) + at + i;
      if (dense == 0) tile(full + i, 1, buffer, 1, dst, m);
      else tile(buffer, 1, full + i, 1, dst, m);
    }
  });
}

void BinaryFloat32(const BinaryParams& p, const Call& call, Range range) {
  const BinaryTile tile = TileFor2(p.kind);
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  if (const int dense = DenseOperand(p.shape); dense >= 0) return ShortRows(p, call, range.begin * p.chunk, end, dense);
  const float *a = call.in<float>(0), *b = call.in<float>(1);
  float* dst = call.out<float>(0);
  const int64_t sa = p.shape.strides[0][p.shape.rank - 1], sb = p.shape.strides[1][p.shape.rank - 1];
  for_each_row(p.shape, range.begin * p.chunk, end, [=](int64_t at, const int64_t* offset, int64_t n) {
    by_lines(dst + at, n, [&](int64_t i, int64_t m) {
      // The row takes only kinds that have a tile. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage)
      tile(a + offset[0] + i * sa, sa, b + offset[1] + i * sb, sb, dst + at + i, m);
    });
  });
}

void BinaryHalf(const BinaryParams& p, const Call& call, Range range) {
  constexpr int64_t kTile = 512;
  const BinaryTile tile = TileFor2(p.kind);
  const Widen widen = widen_half(p.dtype);
  const Narrow narrow = narrow_half(p.dtype);
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  const uint16_t *a = call.in<uint16_t>(0), *b = call.in<uint16_t>(1);
  uint16_t* dst = call.out<uint16_t>(0);
  const int64_t sa = p.shape.strides[0][p.shape.rank - 1], sb = p.shape.strides[1][p.shape.rank - 1];
  alignas(64) float x[kTile], y[kTile];
  for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t n) {
    for (int64_t i = 0; i < n; i += kTile) {
      const int64_t m = n - i < kTile ? n - i : kTile;
      widen(a + offset[0] + i * sa, x, sa ? m : 1);
      widen(b + offset[1] + i * sb, y, sb ? m : 1);
      // Into the operand that is no repeated value: a tile may read that again after its first result.
      float* result = sa ? x : y;
      tile(x, sa, y, sb, result, m);
      narrow(result, dst + at + i, m);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(TileFor2);
TENON_EXPORT(BinaryFloat32);
TENON_EXPORT(BinaryHalf);
BinaryTile binary_tile(BinaryKind kind) { return TENON_POINTER(TileFor2)(kind); }
Kernel<BinaryParams> BinaryFloat32Pointer() { return TENON_POINTER(BinaryFloat32); }
Kernel<BinaryParams> BinaryHalfPointer() { return TENON_POINTER(BinaryHalf); }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(BinaryParams, Name, when, why)
static const Row<BinaryParams> kRows[] = {
#include "kernels/elementwise/binary.inc"
};
#undef KERNEL
const Table<BinaryParams> binary{"binary", kRows, sizeof(kRows) / sizeof(kRows[0])};

double binary_cost(BinaryKind kind, DType dtype) {
  switch (kind) {
    case BinaryKind::kPow: return 4.0;
    case BinaryKind::kMod:
    case BinaryKind::kFmod: return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 ? 0.6 : 5.0;
    case BinaryKind::kDiv: return is_integer(dtype) ? 2.0 : 0.35;
    default: return dtype == DType::kString ? 10.0 : 0.3;
  }
}
}  // namespace tenon::kernels
#endif
