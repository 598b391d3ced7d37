#include "passes/passes.h"

namespace tenon::passes {

/// Identity(x) -> x, Dropout(x) without a mask -> x, Cast(x) to the dtype that x has -> x.
Result<bool> remove_identity(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool identity = std::holds_alternative<ops::Identity>(node.op);
  const bool same_cast = std::holds_alternative<ops::Cast>(node.op) && node.outputs[0] != kNone &&
                         graph.type(node.inputs[0]).dtype == graph.type(node.outputs[0]).dtype;
  if (!identity && !same_cast) return false;
  if (node.outputs[0] == kNone) return false;
  Patch patch(graph, id);
  patch.replace(node.outputs[0], node.inputs[0]);
  return patch.apply();
}

}  // namespace tenon::passes
