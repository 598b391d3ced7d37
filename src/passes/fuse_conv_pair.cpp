#include "ops/conv_pair.h"
#include "passes/passes.h"

namespace tenon::passes {

/// Conv(Conv(x, w, b), w2, b2) -> ConvPair(x, w, b, w2, b2) where the first is 1x1 and the second depthwise, both are packed, and the image
/// between them has no other reader and is large (arXiv:1801.04381 calls such blocks inverted residuals).
Result<bool> fuse_conv_pair(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* depthwise = std::get_if<ops::Conv>(&node.op);
  if (depthwise == nullptr || given(node, 3) || given(node, 4)) return false;
  const ValueId image = node.inputs[0];
  const auto* expand = graph.producer_as<ops::Conv>(image);
  if (expand == nullptr || !graph.single_use(image)) return false;
  const Node& source = graph.node(producer(graph, image));
  if (source.region != node.region || given(source, 3) || given(source, 4)) return false;
  const ops::ConvPair op{*expand, *depthwise};
  if (!pair_pays(op, graph.type(source.inputs[0]), graph.type(source.inputs[1]), graph.type(node.inputs[1]))) return false;
  const auto bias = [](const Node& n) { return given(n, 2) ? n.inputs[2] : kNone; };
  std::vector<ValueId> inputs{source.inputs[0], source.inputs[1], bias(source), node.inputs[1], bias(node)};
  return become(graph, id, op, std::move(inputs));
}

}  // namespace tenon::passes
