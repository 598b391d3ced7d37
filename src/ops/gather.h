#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Slices of an axis picked by index; negative indices count from the end. Opset 13 meaning.
struct Gather {
  int64_t axis = 0;

  bool operator==(const Gather&) const = default;
};

/// (data, indices: int32 or int64) -> (output: data's dtype; the axis replaced by the dims of the indices).
Result<Types> infer(const Gather&, const Types& in);
Result<Step> bind(const Gather&, const BindContext&);

}  // namespace tenon::ops
