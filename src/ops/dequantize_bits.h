#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The weights of com.microsoft.MatMulNBits as floats, (code - zero point) * scale: n rows of k codes of 2, 4 or 8 bits, each block_size
/// (a power of two from 16 on) of a row with one scale and one zero point.
struct DequantizeBits {
  int64_t n = 0, k = 0;
  int64_t bits = 4;
  int64_t block_size = 0;

  int64_t blocks() const { return (k - 1) / block_size + 1; }
  bool operator==(const DequantizeBits&) const = default;
};

/// (codes: uint8[n, blocks, block_size * bits / 8], the first code of a byte lowest; scales: float32, float16 or bfloat16, n * blocks;
/// zero points?: n * blocks of the scales' dtype, or uint8, n * ceil(blocks * bits / 8), packed as codes are: none means 2^(bits - 1);
/// groups?: int32[k], the block whose scale each k has) -> (y: the scales' dtype [n, k]).
Result<Types> infer(const DequantizeBits&, const Types& in);
Result<Step> bind(const DequantizeBits&, const BindContext&);

}  // namespace tenon::ops
