#pragma once

#include "kernels/indexing/indexing.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

using Reduction = kernels::Reduction;

/// out = data; out[i with coordinate `axis` replaced by indices[i]] op= updates[i], in row-major order of i.
struct ScatterElements {
  int64_t axis = 0;
  Reduction reduction = Reduction::kNone;

  bool operator==(const ScatterElements&) const = default;
};

/// (data: any[...], indices: int32|int64[same rank], updates: dtype of data, shape of indices) -> (out: type of data). Reductions want
/// numbers or bool; max and min do not order complex.
Result<Types> infer(const ScatterElements&, const Types& in);
Result<Step> bind(const ScatterElements&, const BindContext&);

/// Shared with ScatterND.
Status expect_reducible(const Types& in, Reduction reduction);

}  // namespace tenon::ops
