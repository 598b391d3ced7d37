#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The last dim of indices holds partial coordinates into data (after `batch_dims` leading dims that both have); each picks a slice.
struct GatherND {
  int64_t batch_dims = 0;

  bool operator==(const GatherND&) const = default;
};

/// (data: any[B, D, S], indices: int32|int64[B, n, rank of D]) -> (out: dtype of data [B, n, S]).
Result<Types> infer(const GatherND&, const Types& in);
Result<Step> bind(const GatherND&, const BindContext&);

}  // namespace tenon::ops
