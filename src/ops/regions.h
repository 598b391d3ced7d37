// What graph, planner and inspection need to know of operators that run regions of the graph.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon::ops {

/// Ids of the bodies of a control-flow operator, in a fixed order; empty for every other operator.
std::vector<int> regions_of(const Op& op);

/// Which of its `count` outputs a body of `op` must give for those outputs of the node that `wanted` flags (one a node output).
std::vector<bool> wanted_of_body(const Op& op, const std::vector<bool>& wanted, size_t count);

/// Types of a body's inputs in its first turn, when those of the node are `in`.
Types body_inputs(const Op& op, const Types& in);

}  // namespace tenon::ops
