#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Cast to another dtype, opset 28 meaning. Casts from float to integer truncate; out-of-range values are unspecified but harmless.
struct Cast {
  DType to = DType::kFloat32;
  bool saturate = true;  ///< for the 8-bit floats: clamp to the largest finite value instead of infinity or NaN
  Float8E8M0::Round round = Float8E8M0::Round::kUp;

  bool operator==(const Cast&) const = default;
};

/// (x) -> (y: `to`, same shape). Casting strings that are not numbers is a run error. Any layout.
Result<Types> infer(const Cast&, const Types& in);
Result<Step> bind(const Cast&, const BindContext&);

}  // namespace tenon::ops
