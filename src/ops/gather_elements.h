#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// out[i] = data[i with coordinate `axis` replaced by indices[i]]; a negative index counts from the end.
struct GatherElements {
  int64_t axis = 0;

  bool operator==(const GatherElements&) const = default;
};

/// (data: any[...], indices: int32|int64[same rank]) -> (out: dtype of data, shape of indices).
Result<Types> infer(const GatherElements&, const Types& in);
Result<Step> bind(const GatherElements&, const BindContext&);

}  // namespace tenon::ops
