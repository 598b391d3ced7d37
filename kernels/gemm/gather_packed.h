// Rows and columns of a packed matrix, back in plain form.
#pragma once

#include "kernels/gemm/gemm.h"

namespace tenon::kernels {

/// Output 0 [indices, n] = rows, or [indices, k] = columns, of the packed matrix of input 0 that input 1 names: of float32, or of float16 or
/// bfloat16 in 16 bits. An index outside [-k, k), or [-n, n), is a fault.
struct GatherPackedParams {
  DType dtype = DType::kFloat32;
  GemmFormat format = GemmFormat::kNone;
  bool columns = false;
  bool wide = true;  ///< indices are int64, else int32
  int64_t k = 0, n = 0;
  int64_t indices = 0;
  static constexpr int64_t kPerPart = 8;
  int64_t parts() const { return (indices + kPerPart - 1) / kPerPart; }
};
extern const Table<GatherPackedParams> gather_packed;

}  // namespace tenon::kernels
