// Weights as com.microsoft.MatMulNBits holds them, as floats.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

/// Inputs: 0 codes (uint8[n, blocks, block * bits / 8], the first code of a byte lowest), 1 scales [n, blocks], 2 zero points (none: the
/// middle, 2^(bits - 1)), either floats [n, blocks] or uint8 [n, ceil(blocks * bits / 8)] packed as the codes, 3 int32 [k], with
/// `groups`: the block whose scale and zero point each k has. Output 0: [n, k]. A group outside [0, blocks) is a fault.
struct DequantizeBitsParams {
  DType dtype = DType::kFloat32;  ///< of scales and the output: float32, float16 or bfloat16
  DType zero = DType::kUndefined;
  int bits = 4;
  int64_t n = 0, k = 0, block = 0;
  bool groups = false;
  int64_t chunk = 1;  ///< rows a part

  int64_t blocks() const { return (k - 1) / block + 1; }
};
extern const Table<DequantizeBitsParams> dequantize_bits;

}  // namespace tenon::kernels
