#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// y = saturate(round(x / scale) + zero point), round half to even: opset 28 meaning without floats of 6 bits. One element of scale: for
/// the whole tensor; rank 1: one for every position of `axis`; with a block_size: x's rank, where each element along `axis` serves so many
/// of x.
struct QuantizeLinear {
  DType to = DType::kUint8;
  DType precision = DType::kUndefined;  ///< of the division: float32, float16 or bfloat16; not given: that of the scale
  int64_t axis = 1;
  int64_t block_size = 0;
  bool saturate = true;  ///< for the 8-bit floats: clamp to the largest finite value instead of infinity or NaN

  bool operator==(const QuantizeLinear&) const = default;
};

/// (x: float32, float16, bfloat16 or int32, scale: these or float8e8m0, zero point?: `to`, scale's shape) -> (y: `to`, x's shape).
Result<Types> infer(const QuantizeLinear&, const Types& in);
Result<Step> bind(const QuantizeLinear&, const BindContext&);

/// y = (x - zero point) * scale, computed in float32 and rounded once; scales as above.
struct DequantizeLinear {
  DType to = DType::kFloat32;
  int64_t axis = 1;
  int64_t block_size = 0;

  bool operator==(const DequantizeLinear&) const = default;
};

/// (x: 2- to 16-bit integer, int32, 8- or 4-bit float, scale: float32, float16, bfloat16 or float8e8m0, zero point?: x's dtype, scale's
/// shape) -> (y: `to`, float32, float16 or bfloat16, x's shape).
Result<Types> infer(const DequantizeLinear&, const Types& in);
Result<Step> bind(const DequantizeLinear&, const BindContext&);

}  // namespace tenon::ops
