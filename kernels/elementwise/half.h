// float16 and bfloat16 to and from float32, many at a time. Rounding is to nearest even.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels {

using Widen = void (*)(const void* src, float* dst, int64_t n);
using Narrow = void (*)(const float* src, void* dst, int64_t n);

/// For kFloat16 and kBFloat16 only.
Widen widen_half(DType dtype);
Narrow narrow_half(DType dtype);

}  // namespace tenon::kernels
