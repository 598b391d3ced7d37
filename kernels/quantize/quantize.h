// QuantizeLinear and DequantizeLinear: numbers to and from integers (or tiny floats) with a scale and a zero point.
#pragma once

#include <algorithm>

#include "kernels/table.h"

namespace tenon::kernels {

/// Inputs: 0 x, 1 scales, 2 zero points (of the narrow dtype, as many as scales; absent: 0). Output 0: y, in x's order.
/// The tensor is [outer, axis, inner]; scale and zero point of element (o, a, i) are number
/// o * scale_outer + a / block * scale_axis + i * scale_inner.
struct QuantizeParams {
  DType wide = DType::kFloat32;  ///< of x when quantizing (float32, float16, bfloat16, int32), of y when dequantizing
  DType narrow = DType::kUint8;  ///< the other one: 2- to 16-bit integers, 8- and 4-bit floats; int32 too when dequantizing
  DType scale = DType::kFloat32;
  DType precision = DType::kFloat32;  ///< x and its scale are rounded to this, and so is their quotient; kFloat64: they are not
  bool zero_point = false;
  bool saturate = true;  ///< for the 8-bit floats
  int64_t outer = 1, axis = 1, inner = 1, block = 1;
  int64_t scale_outer = 0, scale_axis = 0;
  int64_t scale_inner = 0;  ///< 0 or 1
  int64_t chunk = 1;        ///< groups a part

  /// A group: up to `block` positions of the axis that share their scales.
  int64_t groups_of_axis() const { return (axis + block - 1) / block; }
  int64_t groups() const { return outer * groups_of_axis(); }
};

/// Calls f(first element, elements, first scale) for runs of elements that have one scale each (scale_inner is 0), or one after the other.
template <class F>
void for_each_run(const QuantizeParams& p, Range range, F&& f) {
  const int64_t per_axis = p.groups_of_axis(), end = std::min(p.groups(), range.end * p.chunk);
  for (int64_t group = range.begin * p.chunk; group < end; ++group) {
    const int64_t o = group / per_axis, g = group % per_axis, first = g * p.block, rows = std::min(p.block, p.axis - first);
    const int64_t at = (o * p.axis + first) * p.inner, scale = o * p.scale_outer + g * p.scale_axis;
    if (p.scale_inner == 0) {
      f(at, rows * p.inner, scale);
    } else {
      for (int64_t r = 0; r < rows; ++r) f(at + r * p.inner, p.inner, scale);
    }
  }
}

/// y = saturate(round(x / scale) + zero point), round half to even; NaN gives the lowest value. Tiny floats are rounded once, from the
/// quotient plus the zero point.
/// y = (x - zero point) * scale, in float32, rounded to the wide dtype.
#define KERNEL(Name, when, why) Kernel<QuantizeParams> Name##Pointer();
#include "kernels/quantize/dequantize.inc"
#include "kernels/quantize/quantize.inc"
#undef KERNEL
extern const Table<QuantizeParams> quantize;
extern const Table<QuantizeParams> dequantize;

}  // namespace tenon::kernels
