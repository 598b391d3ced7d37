#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// x divided by its norm along one axis, p 1 or 2. Where the norm is 0 the result is 0.
struct LpNormalization {
  int64_t axis = -1;
  int64_t p = 2;

  bool operator==(const LpNormalization&) const = default;
};

/// (x: float) -> (y: same type).
Result<Types> infer(const LpNormalization&, const Types& in);
Result<Step> bind(const LpNormalization&, const BindContext&);

}  // namespace tenon::ops
