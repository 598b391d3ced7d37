#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// start, start + delta, ... up to but without limit.
struct Range {
  bool operator==(const Range&) const = default;
};

/// (start, limit, delta: scalars of the same integer or float dtype) -> (output: that dtype, rank 1).
Result<Types> infer(const Range&, const Types& in);
Result<Step> bind(const Range&, const BindContext&);

}  // namespace tenon::ops
