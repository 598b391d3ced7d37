#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// numpy's x[start:end:step] along some axes, opset 13 meaning: starts, ends, axes and steps are inputs (the importer makes constants
/// of the attributes of opset 1).
struct Slice {
  bool operator==(const Slice&) const = default;
};

/// (data, starts: int[n], ends: int[n], axes?: int[n], steps?: int[n]) -> (output: data's dtype).
Result<Types> infer(const Slice&, const Types& in);
Result<Step> bind(const Slice&, const BindContext&);

/// What a slice takes of an axis of n elements: `count` of them from `first` on, `step` apart. Any int64 will do for the bounds.
struct SliceExtent {
  int64_t first = 0;
  int64_t count = 0;
};
SliceExtent slice_extent(int64_t start, int64_t end, int64_t step, int64_t n);

}  // namespace tenon::ops
