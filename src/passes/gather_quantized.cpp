#include "passes/passes.h"

namespace tenon::passes {

/// Gather(dequantised constant, indices) along axis 0 -> the rows gathered as they are, then dequantised: a table of embeddings stays in its
/// bytes. Where scales differ from row to row, they are gathered too, if they come in blocks.
Result<bool> gather_quantized(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* gather = std::get_if<ops::Gather>(&node.op);
  if (gather == nullptr) return false;
  const ValueId table = node.inputs[0], indices = node.inputs[1];
  const auto* found = graph.producer_as<ops::DequantizeLinear>(table);
  const Type &type = graph.type(table), &at = graph.type(indices);
  if (found == nullptr || !type.ranked() || !at.ranked() || (gather->axis != 0 && gather->axis != -type.rank())) return false;
  std::vector<ValueId> inputs = graph.node(producer(graph, table)).inputs;
  for (const ValueId v : inputs) {
    if (v != kNone && constant(graph, v) == nullptr) return false;
  }
  ops::DequantizeLinear op = *found;
  const int64_t axis = op.axis < 0 ? op.axis + type.rank() : op.axis;
  const bool whole = op.block_size == 0 && constant(graph, inputs[1])->count() == 1, blocks = op.block_size > 0;
  if (!whole && axis == 0) return false;
  if (!whole) op.axis = axis + at.rank() - 1;
  const ops::Gather rows = *gather;
  Patch patch(graph, id);
  TENON_ASSIGN(inputs[0], patch.add1(rows, {inputs[0], indices}));
  for (size_t i = 1; blocks && i < inputs.size(); ++i) {
    if (inputs[i] == kNone) continue;
    TENON_ASSIGN(inputs[i], patch.add1(rows, {inputs[i], indices}));
  }
  return patch.apply(op, std::move(inputs));
}

}  // namespace tenon::passes
