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
  if (p.y == DType::kUint8) return p.y_zero ? *call.in<uint8_t>(7) : 0;
  return 128 + (p.y_zero ? *call.in<int8_t>(7) : 0);
}

void find_taps(const IntegerConvParams& p, int64_t* taps) {
  const int64_t picture = p.extent[0] * p.extent[1] * p.extent[2];
  for (int64_t slot = 0; slot < (p.taps() + 3) / 4 * 4; ++slot) {
    const int64_t tap = p.tap_of(slot);
    const int64_t at[3] = {tap / p.kernel[2] / p.kernel[1], tap / p.kernel[2] % p.kernel[1], tap % p.kernel[2]};
    int64_t residue = 0, place = 0;
    for (int i = 0; i < 3; ++i) {
      residue = residue * p.residues[i] + at[i] * p.dilation[i] % p.stride[i];
      place = place * p.extent[i] + at[i] * p.dilation[i] / p.stride[i];
    }
    taps[slot] = tap < 0 ? taps[0] : (residue * picture + place) * 4;
  }
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
  const int64_t count = std::min(end, last) - begin;
  const auto depth = static_cast<uint32_t>(p.depth());
  const int32_t one_zero = !p.w_zero ? (p.w == DType::kUint8 ? -128 : 0) : signed_at(p.w, call.src[5], 0);
  int32_t any = 0;
  for (int64_t i = 0; i < count; ++i) zeros[i] = one_zero;
  for (int64_t i = 0; i < count && p.w_zero && p.w_zeros; ++i) zeros[i] = signed_at(p.w, call.src[5], begin + i);
  for (int64_t i = 0; i < count; ++i) {
    starts[i] = static_cast<int32_t>(0u - static_cast<uint32_t>(x_zero) *
                                              (static_cast<uint32_t>(sums[i]) - depth * static_cast<uint32_t>(zeros[i])));
    any |= zeros[i];
  }
  if (p.bias) {
    const int32_t* const bias = call.in<int32_t>(8) + begin;
    for (int64_t i = 0; i < count; ++i) starts[i] = static_cast<int32_t>(static_cast<uint32_t>(starts[i]) + static_cast<uint32_t>(bias[i]));
  }
  if (scaled) {
    if (p.scale == DType::kFloat32 && p.w_scales) {
      std::memcpy(scales, call.in<float>(4) + begin, static_cast<size_t>(count) * 4);
    } else {
      for (int64_t i = 0; i < count; ++i) scales[i] = float_at(p.scale, call.src[4], p.w_scales ? begin + i : 0);
    }
    for (int64_t i = 0; i < count; ++i) scales[i] = x_scale * scales[i] / divisor;
  }
  for (int64_t i = count; i < end - begin; ++i) {
    starts[i] = zeros[i] = 0;
    scales[i] = 0;
  }
  return any != 0;
}

}  // namespace tenon::kernels
