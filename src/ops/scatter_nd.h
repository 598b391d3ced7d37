#pragma once

#include "ops/scatter_elements.h"

namespace tenon::ops {

/// out = data; the slice of out at each tuple of coordinates in the last dim of indices op= the matching slice of updates, in order.
struct ScatterND {
  Reduction reduction = Reduction::kNone;

  bool operator==(const ScatterND&) const = default;
};

/// (data: any[D, S], indices: int32|int64[n, rank of D], updates: dtype of data [n, S]) -> (out: type of data).
Result<Types> infer(const ScatterND&, const Types& in);
Result<Step> bind(const ScatterND&, const BindContext&);

}  // namespace tenon::ops
