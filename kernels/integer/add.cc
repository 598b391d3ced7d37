#include "kernels/integer/add.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/add.cc"
#include "hwy/foreach_target.h"

#include <cmath>

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/integer/tile-inl.h"
#include "kernels/pack_bytes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

using DF = hn::RebindToFloat<DI>;
using DB = hn::Repartition<uint8_t, DI>;

/// Which bytes of each block of 16 become its lanes of int32: the first four, or those behind them when as much is added. 128 and more:
/// zeros.
alignas(16) constexpr uint8_t kWidened[16] = {0, 128, 128, 128, 1, 128, 128, 128, 2, 128, 128, 128, 3, 128, 128, 128};

/// One operand: how its bytes become unsigned, and what the numbers they then say are in steps of the result.
struct Term {
  Term(const QuantizedAddParams& p, const Call& call, int input, DType dtype, bool has_zero, float y_scale) {
    const bool moved = dtype == DType::kInt8;
    flip = moved && !p.quads ? 0x80 : 0;
    LoadRow(p.scale, call.src[input + 1], 0, 1, 1, &ratio);
    ratio /= y_scale;
    if (has_zero) zero = moved ? *call.in<int8_t>(input + 2) : *call.in<uint8_t>(input + 2);
    if (moved) zero += 128;
  }
  uint8_t flip;
  float ratio = 1;
  int32_t zero = 0;
};

}  // namespace

void QuantizedAdd(const QuantizedAddParams& p, const Call& call, Range range) {
  const DI d;
  const DF df;
  const DB bytes;
  constexpr int64_t kStep = kLanes * 4;
  float y_scale = 1;
  LoadRow(p.scale, call.src[6], 0, 1, 1, &y_scale);
  const Term a(p, call, 0, p.a, p.a_zero, y_scale), b(p, call, 3, p.b, p.b_zero, y_scale);
  const bool moved = p.y == DType::kInt8;
  int32_t zero = !p.y_zero ? 0 : moved ? *call.in<int8_t>(7) : *call.in<uint8_t>(7);
  if (moved) zero += 128;
  const auto a_flip = hn::Set(bytes, a.flip), b_flip = hn::Set(bytes, b.flip);
  const auto y_flip = hn::Set(bytes, static_cast<uint8_t>(moved && !p.quads ? 0x80 : 0));
  const auto a_ratio = hn::Set(df, a.ratio), b_ratio = hn::Set(df, b.ratio);
  const double zeros_sum = -(static_cast<double>(a.ratio) * a.zero + static_cast<double>(b.ratio) * b.zero);
  const auto zeros = hn::Set(df, static_cast<float>(zeros_sum));
  // Whether no sum is too large to be rounded as it is.
  const double most = 255 * (std::fabs(static_cast<double>(a.ratio)) + std::fabs(static_cast<double>(b.ratio)));
  const bool small = std::fabs(zeros_sum) + most < 1 << 20;
  const auto low = hn::Set(df, -65536.0f), high = hn::Set(df, 65536.0f);
  const int64_t end = std::min(p.count, range.end * p.chunk);
  for (int64_t i = range.begin * p.chunk; i < end; i += kStep) {
    const uint8_t *x = call.in<uint8_t>(0) + i, *w = call.in<uint8_t>(3) + i;
    uint8_t* to = call.out<uint8_t>(0) + i;
    alignas(64) uint8_t rooms[3][kStep];
    const auto n = static_cast<size_t>(std::min(kStep, end - i));
    if (n < kStep) {
      x = static_cast<const uint8_t*>(std::memcpy(rooms[0], x, n));
      w = static_cast<const uint8_t*>(std::memcpy(rooms[1], w, n));
      to = rooms[2];
    }
    const auto in_a = hn::Xor(hn::LoadU(bytes, x), a_flip), in_b = hn::Xor(hn::LoadU(bytes, w), b_flip);
    hn::Vec<DF> sum[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const auto from = hn::Add(hn::LoadDup128(bytes, kWidened), hn::Set(bytes, static_cast<uint8_t>(4 * k)));
      const auto u = hn::ConvertTo(df, hn::BitCast(d, hn::TableLookupBytesOr0(in_a, from)));
      const auto v = hn::ConvertTo(df, hn::BitCast(d, hn::TableLookupBytesOr0(in_b, from)));
      sum[k] = hn::MulAdd(v, b_ratio, hn::MulAdd(u, a_ratio, zeros));
    }
    if (HWY_UNLIKELY(!small)) {  // NaN is the lowest
      for (auto& s : sum) s = hn::Min(hn::Max(s, low), high);
    }
    const auto rounded = [&](int k) HWY_ATTR { return RoundedPlus(df, sum[k], zero); };
    hn::StoreU(hn::Xor(PackBytes(d, rounded(0), rounded(1), rounded(2), rounded(3)), y_flip), bytes, to);
    if (n < kStep) std::memcpy(call.out<uint8_t>(0) + i, to, n);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(QuantizedAdd);
}  // namespace

Kernel<QuantizedAddParams> QuantizedAddPointer() { return TENON_POINTER(QuantizedAdd); }

namespace {
const Row<QuantizedAddParams> kRows[] = {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(QuantizedAddParams, Name, when, why)
#include "kernels/integer/add.inc"
#undef KERNEL
};
}  // namespace
const Table<QuantizedAddParams> quantized_add{"quantized_add", kRows, std::size(kRows)};

}  // namespace tenon::kernels
#endif
