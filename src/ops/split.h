#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Pieces of a tensor along an axis: of the sizes input 1 gives, or of equal size without it. Opset 18 meaning.
struct Split {
  int64_t axis = 0;
  int64_t outputs = 1;  ///< how many pieces
  bool uneven = true;   ///< without sizes: the last piece may be smaller (opset 18), instead of an error

  bool operator==(const Split&) const = default;
};

/// (x, split?: int64[outputs]) -> (y0, y1, ...: x's dtype).
Result<Types> infer(const Split&, const Types& in);
Result<Step> bind(const Split&, const BindContext&);

}  // namespace tenon::ops
