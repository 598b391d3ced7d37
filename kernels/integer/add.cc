#include "kernels/integer/add.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/add.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/integer/quads-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

using DF = hn::RebindToFloat<DI>;

/// One operand: how its bytes become unsigned, and what the numbers they then say are in steps of the result.
struct Term {
  Term(const QuantizedAddParams& p, const Call& call, int input, DType dtype, bool has_zero, float y_scale) {
    const bool moved = dtype == DType::kInt8;
    flip = moved && !p.quads ? 0x80808080u : 0;
    LoadRow(p.scale, call.src[input + 1], 0, 1, 1, &ratio);
    ratio /= y_scale;
    if (has_zero) zero = moved ? *call.in<int8_t>(input + 2) : *call.in<uint8_t>(input + 2);
    if (moved) zero += 128;
  }
  uint32_t flip;
  float ratio = 1;
  int32_t zero = 0;
};

}  // namespace

void QuantizedAdd(const QuantizedAddParams& p, const Call& call, Range range) {
  const DI d;
  const DF df;
  constexpr int64_t kStep = kLanes * 4;
  float y_scale = 1;
  LoadRow(p.scale, call.src[6], 0, 1, 1, &y_scale);
  const Term a(p, call, 0, p.a, p.a_zero, y_scale), b(p, call, 3, p.b, p.b_zero, y_scale);
  const bool moved = p.y == DType::kInt8;
  int32_t zero = !p.y_zero ? 0 : moved ? *call.in<int8_t>(7) : *call.in<uint8_t>(7);
  if (moved) zero += 128;
  const Quantiser quantise(zero);
  const auto a_flip = hn::Set(d, static_cast<int32_t>(a.flip)), b_flip = hn::Set(d, static_cast<int32_t>(b.flip));
  const auto y_flip = hn::Set(d, moved && !p.quads ? static_cast<int32_t>(0x80808080u) : 0);
  const auto low = hn::Set(d, 0xff);
  const auto a_ratio = hn::Set(df, a.ratio), b_ratio = hn::Set(df, b.ratio);
  const auto zeros = hn::Set(df, static_cast<float>(-(static_cast<double>(a.ratio) * a.zero + static_cast<double>(b.ratio) * b.zero)));
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
    const VI fours[] = {hn::Xor(hn::LoadU(d, reinterpret_cast<const int32_t*>(x)), a_flip),
                        hn::Xor(hn::LoadU(d, reinterpret_cast<const int32_t*>(w)), b_flip)};
    const auto byte = [&](VI shifted_a, VI shifted_b) HWY_ATTR {
      const auto u = hn::ConvertTo(df, hn::And(shifted_a, low));
      const auto v = hn::ConvertTo(df, hn::And(shifted_b, low));
      return quantise(hn::MulAdd(v, b_ratio, hn::MulAdd(u, a_ratio, zeros)));
    };
    const VI joined = quantise.join(byte(fours[0], fours[1]), byte(hn::ShiftRight<8>(fours[0]), hn::ShiftRight<8>(fours[1])),
                                    byte(hn::ShiftRight<16>(fours[0]), hn::ShiftRight<16>(fours[1])),
                                    byte(hn::ShiftRight<24>(fours[0]), hn::ShiftRight<24>(fours[1])));
    hn::StoreU(hn::Xor(joined, y_flip), d, reinterpret_cast<int32_t*>(to));
    if (n < kStep) std::memcpy(call.out<uint8_t>(0) + i, to, n);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
HWY_EXPORT(QuantizedAdd);
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
