#include "passes/passes.h"

namespace tenon::passes {

/// Identity(x) -> x.
Result<bool> remove_identity(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!std::holds_alternative<ops::Identity>(node.op) || node.outputs[0] == kNone) return false;
  Patch patch(graph, id);
  patch.replace(node.outputs[0], node.inputs[0]);
  return patch.apply();
}

}  // namespace tenon::passes
