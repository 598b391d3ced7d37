// Half-precision nodes computed in float32, shared by the passes that differ in where they begin.
#pragma once

#include "passes/pass.h"

namespace tenon::passes {

/// float16 and bfloat16 in float32: op(x) -> Cast(op(Cast(x))) for nodes of which `starts` says so, and what follows them without rounding
/// between: op(Cast(y)) -> Cast(op(y)), where the Cast is one of these. What is not half precision (a comparison) comes without a Cast.
Result<bool> widen_from(Graph& graph, bool (*starts)(const Graph& graph, const Node& node));

}  // namespace tenon::passes
