// Powers of float64 on vectors, for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/pow_float64.cc"
#include "hwy/foreach_target.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/math64-inl.h"
#include "kernels/elementwise/pow-inl.h"
#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

/// Lanes with a base or an exponent that Pow64 does not know are left to the C library.
void AnyPow64(const double* a, int64_t sa, const double* b, int64_t sb, double* dst, int64_t count) {
  const D64 d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  for (size_t i = 0; i < n; i += lanes) {
    const size_t k = n - i < lanes ? n - i : lanes;
    const auto load = [=](const double* from, int64_t step) HWY_ATTR {
      if (step == 0) return hn::Set(d, from[0]);
      return k == lanes ? hn::LoadU(d, from + i) : hn::IfThenElse(hn::FirstN(d, k), LoadPart(d, from + i, k), hn::Set(d, 1.0));
    };
    const V64 base = load(a, sa), exponent = load(b, sb), size = hn::Abs(base);
    const auto known = hn::And(hn::And(hn::Gt(size, hn::Zero(d)), hn::Lt(size, hn::Inf(d))), hn::Lt(hn::Abs(exponent), hn::Set(d, 0x1p64)));
    const V64 y = PatchLanes(
        d, known, Pow64(base, exponent), [](double x, double e) { return std::pow(x, e); }, base, exponent);
    if (k == lanes) hn::StoreU(y, d, dst + i);
    else StorePart(y, d, dst + i, k);
  }
}

void PowTile64(const double* a, int64_t sa, const double* b, int64_t sb, double* dst, int64_t n) {
  if (sb == 0 && sa == 1 && PowByArithmetic(a, b[0], dst, n)) return;
  AnyPow64(a, sa, b, sb, dst, n);
}
BinaryTile64 GetPowTile64() { return PowTile64; }

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(GetPowTile64);
BinaryTile64 pow_tile64() { return TENON_POINTER(GetPowTile64)(); }
}  // namespace tenon::kernels
#endif
