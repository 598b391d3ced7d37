#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// min(max(x, low), high), opset 13 meaning: the bounds are optional scalar inputs (the importer makes constants of the attributes
/// of opsets below 11). NaN elements stay NaN. When low > high, the result is high.
struct Clip {
  bool operator==(const Clip&) const = default;
};

/// (x: numeric, low?: scalar, high?: scalar) -> (y: same type). Any layout.
Result<Types> infer(const Clip&, const Types& in);
Result<Step> bind(const Clip&, const BindContext&);

}  // namespace tenon::ops
