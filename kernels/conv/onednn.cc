// Convolution by oneDNN: its primitives compute a slice of the filters of one image, bias included; what else happens to a result follows
// in a pass over the slice, for oneDNN's own clamps turn NaN into numbers.
#include "kernels/onednn/onednn.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/onednn.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// What follows the sums, over n floats in whole blocks.
void FinishSpan(const Epilogue& e, const float* residual, float* to, int64_t n) {
  const DF d;
  const VF low = hn::Set(d, e.low);
  const VF high = hn::Set(d, e.high);
  for (int64_t i = 0; i < n; i += kLanes) {
    VF x = hn::LoadU(d, to + i);
    if (residual != nullptr) x = hn::Add(x, hn::LoadU(d, residual + i));
    hn::StoreU(Between(low, x, high), d, to + i);
  }
  if (e.tile != nullptr) e.tile(e.alpha, e.beta, to, to, n);
}

}  // namespace

void ConvOneDnn(const ConvParams& p, const Call& call, Range range) {
  const onednn::Slices& slices = *p.slices;
  const int64_t in_pixels = p.in[0] * p.in[1] * p.in[2], out_pixels = p.out[0] * p.out[1] * p.out[2];
  const int64_t group_filters = p.filters / p.groups, group_channels = p.channels / p.groups;
  const Epilogue& e = p.epilogue;
  const bool finishes =
      e.residual || e.tile != nullptr || e.low > -std::numeric_limits<float>::infinity() || e.high < std::numeric_limits<float>::infinity();
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t image = part / slices.count(), slice = part % slices.count();
    const int64_t first = slices.begin(slice), filters = slices.begin(slice + 1) - first;
    const int64_t first_channel = p.groups > 1 ? first / group_filters * group_channels : 0;
    const int64_t at = (image * p.filters + first) * out_pixels;
    float* const dst = call.out<float>(0) + at;
    const float* const src = call.in<float>(0) + (image * p.channels + first_channel) * in_pixels;
    const float* const bias = e.bias ? call.in<float>(2) + first : nullptr;
    if (!slices.execute(slice, {src, call.in<float>(1), bias, dst, call.scratch})) {
      call.fault->report(Fault::kLength, filters * out_pixels, 0, -1);  // no memory for oneDNN's own few objects
      return;
    }
    if (finishes) FinishSpan(e, e.residual ? call.in<float>(3) + at : nullptr, dst, filters * out_pixels);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ConvOneDnn);
Kernel<ConvParams> ConvOneDnnPointer() { return TENON_POINTER(ConvOneDnn); }
}  // namespace tenon::kernels
#endif
