#include "passes/passes.h"

namespace tenon::passes {

/// Transpose(Attention(...), 0 2 1 3) -> Attention that writes [batch, rows, heads, size], when nothing else reads it, likewise 1 0 2 where
/// there is no batch; Reshapes in between that undo each other go, a Cast stays behind it.
Result<bool> absorb_attention_transpose(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* transpose = std::get_if<ops::Transpose>(&node.op);
  if (transpose == nullptr || (transpose->perm != std::vector<int64_t>{0, 2, 1, 3} && transpose->perm != std::vector<int64_t>{1, 0, 2}))
    return false;
  ValueId value = node.inputs[0];
  // Heads put together with the batch and cut again.
  for (int i = 0; i < 2 && graph.producer_as<ops::Reshape>(value) != nullptr && graph.single_use(value); ++i)
    value = graph.node(producer(graph, value)).inputs[0];
  if (value != node.inputs[0] && !graph.type(value).same_as(graph.type(node.inputs[0]))) return false;
  const auto* cast = graph.producer_as<ops::Cast>(value);
  if (cast != nullptr && graph.single_use(value)) value = graph.node(producer(graph, value)).inputs[0];
  const auto* found = graph.producer_as<ops::Attention>(value);
  if (found == nullptr || !graph.single_use(value)) return false;
  const Node& source = graph.node(producer(graph, value));
  if (source.region != node.region) return false;
  ops::Attention op = *found;
  op.y_by_row = !op.y_by_row;
  if (cast == nullptr) return become(graph, id, op, source.inputs);
  const ops::Cast last = *cast;
  Patch patch(graph, id);
  TENON_ASSIGN(const ValueId y, patch.add1(op, source.inputs));
  return patch.apply(last, {y});
}

}  // namespace tenon::passes
