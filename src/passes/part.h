// Parts of a tensor along its last axis, however an exporter cut them out.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// Elements [first, first + count) of the last axis of `source`.
struct Part {
  ValueId source = kNone;
  int64_t first = 0;
  int64_t count = 0;
};

/// What a Split or a Slice by constants gives; nullopt when `value` comes from neither, or sizes are not known.
std::optional<Part> part_of(const Graph& graph, ValueId value);

}  // namespace tenon
