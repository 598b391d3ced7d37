#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// A new axis of size `depth` holds values[1] where its coordinate is the index, values[0] elsewhere. Negative indices count from the
/// end; indices outside [-depth, depth) select nothing.
struct OneHot {
  int64_t axis = -1;  ///< of the output

  bool operator==(const OneHot&) const = default;
};

/// (indices: number[...], depth: number of one element, values: any[2]) -> (out: dtype of values, one more dim).
Result<Types> infer(const OneHot&, const Types& in);
Result<Step> bind(const OneHot&, const BindContext&);

}  // namespace tenon::ops
