// Sums of quantised tensors.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

/// y = saturate(round(a * scale of a / scale of y + b * scale of b / scale of y) + zero point of y), where a and b are less their zero
/// points; float32, round half to even. Inputs, as those of ONNX's QLinearMatMul: 0 a, 1 its scale, 2 its zero point, 3 b, 4 and 5 the same
/// of b, 6 and 7 scale and zero point of y. Output 0: y.
struct QuantizedAddParams {
  DType a = DType::kUint8, b = DType::kUint8, y = DType::kUint8;  ///< kInt8 or kUint8
  DType scale = DType::kFloat32;                                  ///< of all scales: float32, float16 or bfloat16
  bool a_zero = false, b_zero = false, y_zero = false;            ///< there are zero points
  bool quads = false;  ///< tensors lie as quads (kernels/integer/conv.h), where those of int8 have 128 added
  int64_t count = 0, chunk = 1;
  int64_t parts() const { return (count + chunk - 1) / chunk; }
};

#define KERNEL(Name, when, why) Kernel<QuantizedAddParams> Name##Pointer();
#include "kernels/integer/add.inc"
#undef KERNEL
extern const Table<QuantizedAddParams> quantized_add;

}  // namespace tenon::kernels
