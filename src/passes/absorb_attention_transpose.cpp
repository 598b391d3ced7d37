#include "passes/passes.h"

namespace tenon::passes {

/// Transpose(Attention(...), 0 2 1 3) -> Attention that writes [batch, rows, heads, size], when nothing else reads it.
Result<bool> absorb_attention_transpose(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* transpose = std::get_if<ops::Transpose>(&node.op);
  if (transpose == nullptr || transpose->perm != std::vector<int64_t>{0, 2, 1, 3}) return false;
  const auto* found = graph.producer_as<ops::Attention>(node.inputs[0]);
  if (found == nullptr || !graph.single_use(node.inputs[0])) return false;
  const Node& source = graph.node(graph.value(node.inputs[0]).producer);
  if (source.region != node.region) return false;
  ops::Attention op = *found;
  op.y_by_row = !op.y_by_row;
  Patch patch(graph, id);
  TENON_TRY(patch.become(op, source.inputs));
  return patch.apply();
}

}  // namespace tenon::passes
