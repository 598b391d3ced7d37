// Sums of products by the definition: any number of operands, any dtype, any strides.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

inline constexpr int kEinsumOperands = 16;
inline constexpr int kEinsumLabels = 40;

/// out[o...] = sum over s... of the product of all inputs, each addressed by its strides (elements) of the labels. The first `out_rank`
/// labels are the output's dims in order. One part is `chunk` consecutive output elements.
struct EinsumParams {
  DType dtype = DType::kFloat32;
  int32_t operands = 0, out_rank = 0, rank = 0;
  int64_t dims[kEinsumLabels] = {};
  int64_t strides[kEinsumOperands][kEinsumLabels] = {};
  int64_t count = 0;  ///< output elements
  int64_t chunk = 1;
};
Kernel<EinsumParams> EinsumPointer();

}  // namespace tenon::kernels
