// Parts of a tensor along an axis, however an exporter cut them out.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// Elements [first, first + count) of an axis of `source`.
struct Part {
  ValueId source = kNone;
  int64_t first = 0;
  int64_t count = 0;
};

/// What a Split or a Slice by constants gives along the axis, which counts from the end where it is negative; nullopt when `value` comes
/// from neither, or sizes are not known.
std::optional<Part> part_of(const Graph& graph, ValueId value, int axis = -1);

/// Every second element of the last dim, from `first` on, which is 0 or 1: a Slice by steps of 2, or an element of the last dim of x cut
/// into [..., n / 2, 2].
std::optional<Part> every_second(const Graph& graph, ValueId value);

/// One element of the axis, which is gone from `value`: a Gather by a constant scalar, or a Split or Slice of which the axis is squeezed
/// out.
std::optional<Part> element_of(const Graph& graph, ValueId value, int axis);

}  // namespace tenon
