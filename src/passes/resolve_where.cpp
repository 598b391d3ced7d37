#include <algorithm>

#include "passes/passes.h"

namespace tenon::passes {

/// Where(c, x, y) -> x when the constant c is all true, y when it is all false, given that the broadcast leaves that input its type.
Result<bool> resolve_where(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!std::holds_alternative<ops::Where>(node.op) || node.outputs[0] == kNone) return false;
  const Tensor* condition = constant(graph, node.inputs[0]);
  if (condition == nullptr || condition->count() == 0) return false;
  const auto bits = condition->values<bool>();
  if (std::adjacent_find(bits.begin(), bits.end(), std::not_equal_to<>()) != bits.end()) return false;
  const ValueId taken = node.inputs[bits[0] ? 1 : 2];
  if (!graph.type(taken).ranked() || !graph.type(taken).same_as(graph.type(node.outputs[0]))) return false;
  Patch patch(graph, id);
  patch.replace(node.outputs[0], taken);
  return patch.apply();
}

}  // namespace tenon::passes
