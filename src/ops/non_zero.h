#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The coordinates of the elements that are not zero, in row-major order.
struct NonZero {
  bool operator==(const NonZero&) const = default;
};

/// (x: any[...]) -> (y: int64[rank of x, number of such elements]).
Result<Types> infer(const NonZero&, const Types& in);
Result<Step> bind(const NonZero&, const BindContext&);

}  // namespace tenon::ops
