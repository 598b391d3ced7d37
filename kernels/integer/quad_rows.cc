#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/quad_rows.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/part_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {

void QuadRows(const QuadRowsParams& p, const Call& call, Range range) {
  const int64_t quads = (p.channels + 3) / 4;
  // The last vector of a quad may reach beyond its pixels, but not beyond the tensor.
  alignas(64) uint8_t last[64] = {};
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t row = part % quads * 4;
    const uint8_t* from = call.in<uint8_t>(0) + part * p.pixels * 4;
    if (p.pixels < 16) from = static_cast<const uint8_t*>(std::memcpy(last, from, static_cast<size_t>(p.pixels) * 4));
    PartRows(from, p.pixels, std::min<int64_t>(4, p.channels - row), p.pixels, p.dtype == DType::kInt8 ? 0x80 : 0,
             call.out<uint8_t>(0) + (part / quads * p.channels + row) * p.pixels);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(QuadRows);
}  // namespace
Kernel<QuadRowsParams> QuadRowsPointer() { return TENON_POINTER(QuadRows); }
}  // namespace tenon::kernels
#endif
