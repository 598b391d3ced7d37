// The plain product and the plain convolution.
#include <cmath>

#include "base/small_float.h"
#include "kernels/integer/blocking.h"
#include "kernels/integer/conv.h"

namespace tenon::kernels {
namespace {

int32_t integer_at(DType dtype, const void* values, int64_t i) {
  return dtype == DType::kInt8 ? static_cast<const int8_t*>(values)[i] : static_cast<const uint8_t*>(values)[i];
}

float scale_at(DType dtype, const void* values, int64_t i) {
  switch (dtype) {
    case DType::kFloat16: return static_cast<float>(static_cast<const Float16*>(values)[i]);
    case DType::kBFloat16: return static_cast<float>(static_cast<const BFloat16*>(values)[i]);
    default: return static_cast<const float*>(values)[i];
  }
}

/// saturate(round(sum * scale) + zero)
uint8_t quantized(int32_t sum, float scale, int32_t zero, DType to) {
  const int32_t low = to == DType::kInt8 ? -128 : 0;
  const float y =
      std::fmin(std::fmax(static_cast<float>(sum) * scale, static_cast<float>(low - zero)), static_cast<float>(low + 255 - zero));
  return static_cast<uint8_t>(static_cast<int32_t>(std::nearbyint(y)) + zero);
}

void IntegerGemmReference(const IntegerGemmParams& p, const Call& call, Range range) {
  for (int64_t index = range.begin; index < range.end; ++index) {
    const ProductPart part = product_part(p, index);
    const int64_t a = batch_offset(p, part, p.a_batch), b = batch_offset(p, part, p.b_batch), c = batch_offset(p, part, p.c_batch);
    const int64_t last = std::min(p.n, part.panel_end * p.panel);
    for (int64_t m = tile_row(p, part.tile_begin); m < tile_row(p, part.tile_end); ++m) {
      for (int64_t n = part.panel_begin * p.panel; n < last; ++n) {
        const auto a_at = [&](const Spread& s) { return batch_offset(p, part, s.batch) + m * s.step; };
        const auto b_at = [&](const Spread& s) { return batch_offset(p, part, s.batch) + n * s.step; };
        const int32_t a_zero = p.a_zero ? integer_at(p.a, call.src[2], a_at(p.a_zeros)) : 0;
        const int32_t b_zero = p.b_zero ? integer_at(p.b, call.src[5], b_at(p.b_zeros)) : 0;
        uint32_t sum = 0;
        for (int64_t k = 0; k < p.k; ++k) {
          sum += static_cast<uint32_t>((integer_at(p.a, call.src[0], a + m * p.k + k) - a_zero) *
                                       (integer_at(p.b, call.src[3], b + k * p.n + n) - b_zero));
        }
        const auto value = static_cast<int32_t>(sum);
        const int64_t at = c + m * p.n + n;
        if (p.c == DType::kInt32) {
          call.out<int32_t>(0)[at] = value;
          continue;
        }
        const float scale = scale_at(p.scale, call.src[1], a_at(p.a_scales)) * scale_at(p.scale, call.src[4], b_at(p.b_scales));
        if (p.c == DType::kFloat32) {
          call.out<float>(0)[at] = static_cast<float>(value) * scale + (p.bias ? call.in<float>(8)[n] : 0.0f);
          continue;
        }
        const float y_scale = scale_at(p.scale, call.src[6], 0);
        call.out<uint8_t>(0)[at] = quantized(value, scale / y_scale, p.c_zero ? integer_at(p.c, call.src[7], 0) : 0, p.c);
      }
    }
  }
}

/// The sum of filter f of group `group` at a pixel of the result.
int32_t sum_at(const IntegerConvParams& p, const Call& call, int64_t n, int64_t f, const int64_t* pixel) {
  const int64_t channels = p.channels / p.groups, plane = p.in[0] * p.in[1] * p.in[2];
  const int64_t x = (n * p.channels + f / p.rows() * channels) * plane, w = f * p.depth();
  const int32_t x_zero = p.x_zero ? integer_at(p.x, call.src[2], 0) : 0,
                w_zero = p.w_zero ? integer_at(p.w, call.src[5], p.w_zeros ? f : 0) : 0;
  uint32_t sum = p.bias ? static_cast<uint32_t>(call.in<int32_t>(8)[f]) : 0;
  for (int64_t tap = 0; tap < p.taps(); ++tap) {
    const int64_t at[3] = {tap / p.kernel[2] / p.kernel[1], tap / p.kernel[2] % p.kernel[1], tap % p.kernel[2]};
    int64_t offset = 0;
    bool inside = true;
    for (int i = 0; i < 3; ++i) {
      const int64_t position = pixel[i] * p.stride[i] - p.pad[i] + at[i] * p.dilation[i];
      inside = inside && position >= 0 && position < p.in[i];
      offset = offset * p.in[i] + position;
    }
    for (int64_t c = 0; inside && c < channels; ++c) {
      sum += static_cast<uint32_t>((integer_at(p.x, call.src[0], x + c * plane + offset) - x_zero) *
                                   (integer_at(p.w, call.src[3], w + c * p.taps() + tap) - w_zero));
    }
  }
  return static_cast<int32_t>(sum);
}

void IntegerConvReference(const IntegerConvParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t n = part / p.filters, f = part % p.filters;
    for (int64_t i = 0; i < p.pixels(); ++i) {
      const int64_t pixel[3] = {i / p.out[2] / p.out[1], i / p.out[2] % p.out[1], i % p.out[2]}, at = part * p.pixels() + i;
      const int32_t sum = sum_at(p, call, n, f, pixel);
      if (p.y == DType::kInt32) {
        call.out<int32_t>(0)[at] = sum;
        continue;
      }
      const float scale = scale_at(p.scale, call.src[1], 0) * scale_at(p.scale, call.src[4], p.w_scales ? f : 0);
      if (p.y == DType::kFloat32) {
        call.out<float>(0)[at] = static_cast<float>(sum) * scale;
      } else {
        const float y_scale = scale_at(p.scale, call.src[6], 0);
        call.out<uint8_t>(0)[at] = quantized(sum, scale / y_scale, p.y_zero ? integer_at(p.y, call.src[7], 0) : 0, p.y);
      }
    }
  }
}

}  // namespace

Kernel<IntegerConvParams> IntegerConvReferencePointer() { return &IntegerConvReference; }
Kernel<IntegerGemmParams> IntegerGemmReferencePointer() { return &IntegerGemmReference; }

}  // namespace tenon::kernels
