// Declarations of every rule, made from the rows of passes.inc.
#pragma once

#include "passes/pass.h"

namespace tenon::passes {

#define PASS(name) Result<bool> name(Graph& graph, NodeId id);
#define GRAPH_PASS(name) Result<bool> name(Graph& graph);
#include "passes/passes.inc"
#undef PASS
#undef GRAPH_PASS

}  // namespace tenon::passes
