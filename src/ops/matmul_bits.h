// Quantised constants as packed weights of MatMul: they are decoded in the kernel and never exist as floats.
#pragma once

#include "ops/dequantize_bits.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

namespace tenon::ops {

/// The bytes, and the type that they stand for: float [k, n], packed.
struct BitsWeights {
  Tensor tensor;
  Type type;
};

/// What DequantizeBits of constants gives, transposed, as the second operand [k, n] of a MatMul. zeros: null where left out.
/// nullopt when no product takes it so: a single column, a limit of sizes.
Result<std::optional<BitsWeights>> pack_bits_weights(const DequantizeBits& op, const Tensor& codes, const Tensor& scales,
                                                     const Tensor* zeros, std::shared_ptr<Allocator> allocator = nullptr);

/// The same of DequantizeLinear of a constant matrix x [k, n], or [n, k] when `trans`. nullopt besides: x is not of 2-, 4- or 8-bit
/// integers, its scales are not per tensor, per column or in blocks of a power of two (16 on) along k, or are no floats.
Result<std::optional<BitsWeights>> pack_bits_weights(const DequantizeLinear& op, const Tensor& x, const Tensor& scales, const Tensor* zeros,
                                                     bool trans, std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops
