#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// RMSNormalization over the axes from `axis` on: x / sqrt(mean(x^2) + epsilon) * scale, computed in float32 (float64 for float64).
struct RMSNormalization {
  int64_t axis = -1;
  float epsilon = 1e-5f;

  bool operator==(const RMSNormalization&) const = default;
};

/// (x: float, scale: float, broadcasts to x) -> (y: scale's dtype, x's shape).
Result<Types> infer(const RMSNormalization&, const Types& in);
Result<Step> bind(const RMSNormalization&, const BindContext&);

}  // namespace tenon::ops
