#include "passes/fold.h"
#include "passes/passes.h"

namespace tenon::passes {

/// What fold_constants does, and constants that are quantised too: those that no product has taken by now.
Result<bool> fold_dequantized(Graph& graph, NodeId id) { return fold(graph, id); }

}  // namespace tenon::passes
