#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Rows, or columns, of weights that are packed for MatMul, picked by index; negative indices count from the end. A table of embeddings
/// that is also a matrix of weights need not be in memory twice.
struct GatherPacked {
  bool columns = false;

  bool operator==(const GatherPacked&) const = default;
};

/// Whether weights of `dtype` are packed without being widened on this CPU.
bool can_gather_packed(DType dtype);

/// (b: float32[K, N] as pack_matmul_weights makes it, or float16 or bfloat16 packed in 16 bits, indices: int32 or int64) -> (output: the type
/// of b, dims of the indices, then N, or K when columns are picked).
Result<Types> infer(const GatherPacked&, const Types& in);
Result<Step> bind(const GatherPacked&, const BindContext&);

}  // namespace tenon::ops
