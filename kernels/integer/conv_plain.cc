#include <algorithm>
#include <cstring>

#include "base/small_float.h"
#include "kernels/integer/conv_part.h"

namespace tenon::kernels {

namespace {

/// An 8-bit zero point after 128 was taken from unsigned operands: as weights are packed.
int32_t signed_at(DType dtype, const void* zeros, int64_t i) {
  return dtype == DType::kInt8 ? static_cast<const int8_t*>(zeros)[i] : static_cast<const uint8_t*>(zeros)[i] - 128;
}

float float_at(DType dtype, const void* values, int64_t i) {
  switch (dtype) {
    case DType::kFloat16: return static_cast<float>(static_cast<const Float16*>(values)[i]);
    case DType::kBFloat16: return static_cast<float>(static_cast<const BFloat16*>(values)[i]);
    default: return static_cast<const float*>(values)[i];
  }
}

}  // namespace

int32_t result_zero(const IntegerConvParams& p, const Call& call) {
  if (!p.y_zero) return 0;
  return p.y == DType::kInt8 ? *call.in<int8_t>(7) : *call.in<uint8_t>(7);
}

void find_taps(const IntegerConvParams& p, int64_t* taps) {
  const int64_t picture = p.extent[0] * p.extent[1] * p.extent[2];
  int64_t* to = taps;
  for (int64_t tap = 0; tap < p.taps(); ++tap) {
    const int64_t at[3] = {tap / p.kernel[2] / p.kernel[1], tap / p.kernel[2] % p.kernel[1], tap % p.kernel[2]};
    int64_t residue = 0, place = 0;
    for (int i = 0; i < 3; ++i) {
      residue = residue * p.residues[i] + at[i] * p.dilation[i] % p.stride[i];
      place = place * p.extent[i] + at[i] * p.dilation[i] / p.stride[i];
    }
    *to++ = (residue * picture + place) * 4;
  }
  while ((to - taps) % 4 != 0) *to++ = taps[0];
}

int64_t find_seen(const IntegerConvParams& p, int64_t first, int64_t count, uint32_t* seen) {
  int64_t x = first % p.extent[2], y = first / p.extent[2] % p.extent[1], z = first / p.extent[2] / p.extent[1];
  const int64_t before = (z * p.out[1] + std::min(y, p.out[1])) * p.out[2] + (y < p.out[1] ? std::min(x, p.out[2]) : 0);
  for (int64_t panel = 0; panel < count; ++panel) {
    uint32_t bits = 0;
    for (int64_t i = 0; i < p.panel;) {
      const int64_t length = std::min(p.panel - i, p.extent[2] - x), in = std::clamp<int64_t>(p.out[2] - x, 0, length);
      if (y < p.out[1] && z < p.out[0]) bits |= static_cast<uint32_t>((uint64_t{1} << in) - 1) << i;
      i += length;
      x += length;
      if (x < p.extent[2]) continue;
      x = 0;
      if (++y == p.extent[1]) y = 0, ++z;
    }
    seen[panel] = bits;
  }
  return before;
}

bool load_filters(const IntegerConvParams& p, const Call& call, int64_t begin, int64_t end, int64_t last, const int32_t* sums) {
  const ConvScratch layout = conv_scratch(p);
  auto* const starts = reinterpret_cast<int32_t*>(call.scratch + layout.starts);
  auto* const scales = reinterpret_cast<float*>(call.scratch + layout.scales);
  auto* const zeros = reinterpret_cast<int32_t*>(call.scratch + layout.zeros);
  const bool scaled = p.y != DType::kInt32;
  const int32_t x_zero = p.x == DType::kUint8 ? (p.x_zero ? *call.in<uint8_t>(2) : 0) : 128 + (p.x_zero ? *call.in<int8_t>(2) : 0);
  const float x_scale = scaled ? float_at(p.scale, call.src[1], 0) : 1;
  const float divisor = scaled && p.y != DType::kFloat32 ? float_at(p.scale, call.src[6], 0) : 1;
  bool any = false;
  for (int64_t f = begin; f < end; ++f) {
    const int64_t i = f - begin;
    starts[i] = zeros[i] = 0;
    scales[i] = 0;
    if (f >= last) continue;
    const int32_t zero = p.w_zero ? signed_at(p.w, call.src[5], p.w_zeros ? f : 0) : p.w == DType::kUint8 ? -128 : 0;
    const uint32_t centred = static_cast<uint32_t>(sums[i]) - wrapping_mul(static_cast<int32_t>(p.depth()), zero);
    const uint32_t bias = p.bias ? static_cast<uint32_t>(call.in<int32_t>(8)[f]) : 0;
    starts[i] = static_cast<int32_t>(bias - wrapping_mul(x_zero, static_cast<int32_t>(centred)));
    zeros[i] = zero;
    any |= zero != 0;
    if (scaled) scales[i] = x_scale * float_at(p.scale, call.src[4], p.w_scales ? f : 0) / divisor;
  }
  return any;
}

}  // namespace tenon::kernels
