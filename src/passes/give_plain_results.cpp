#include "ops/qlinear_conv.h"
#include "passes/passes.h"

namespace tenon::passes {

/// Reorder(QLinearConv to quads) -> QLinearConv to a plain tensor, where nothing else reads the quads: the kernel parts the rows itself.
Result<bool> give_plain_results(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* reorder = std::get_if<ops::Reorder>(&node.op);
  if (reorder == nullptr || !reorder->to.plain()) return false;
  const ValueId y = node.inputs[0];
  const auto* conv = graph.producer_as<ops::QLinearConv>(y);
  if (conv == nullptr || !conv->quads || !graph.single_use(y) || graph.node(producer(graph, y)).region != node.region) return false;
  ops::QLinearConv op = *conv;
  op.quads = false;
  std::vector<ValueId> inputs = graph.node(producer(graph, y)).inputs;
  return become(graph, id, std::move(op), std::move(inputs));
}

}  // namespace tenon::passes
