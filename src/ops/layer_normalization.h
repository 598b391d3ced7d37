#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// LayerNormalization over the axes from `axis` on, computed in float32 (stash_type 1) or, for float64, in float64.
struct LayerNormalization {
  int64_t axis = -1;
  float epsilon = 1e-5f;
  DType stash = DType::kFloat32;  ///< dtype of the optional outputs: float32 or bfloat16

  bool operator==(const LayerNormalization&) const = default;
};

/// (x: float, scale: broadcasts to the normalised axes, bias?: like scale) -> (y: x's type, mean?, inverse standard deviation?: `stash`,
/// the normalised axes kept as 1).
Result<Types> infer(const LayerNormalization&, const Types& in);
Result<Step> bind(const LayerNormalization&, const BindContext&);

}  // namespace tenon::ops
