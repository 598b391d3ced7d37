#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// Whether the value is [N, C, 1, ...] beside x [N, C, ...], both channel-blocked.
bool scales_channels(const Type& scale, const Type& x) {
  if (!scale.ranked() || !x.ranked() || scale.rank() != x.rank() || !(scale.layout == x.layout) || scale.dtype != x.dtype) return false;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < 2 ? !(scale.shape[i] == x.shape[i]) : !scale.shape[i].is(1)) return false;
  }
  return true;
}

}  // namespace

/// Conv(x * s, w) -> Conv(x, w, s) where s is one number a channel and image and w packed for a direct 1x1 convolution without groups:
/// squeeze-and-excite (arXiv:1709.01507) before a projection. The numbers are multiplied into the weights, of which there are fewer than
/// of x, and x * s is never written.
Result<bool> fuse_conv_input_scale(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* conv = std::get_if<ops::Conv>(&node.op);
  if (conv == nullptr || given(node, 4)) return false;
  const ValueId product = node.inputs[0];
  const auto* times = graph.producer_as<ops::Binary>(product);
  if (times == nullptr || times->kind != ops::Binary::Kind::kMul || !graph.single_use(product)) return false;
  const Node& source = graph.node(producer(graph, product));
  if (source.region != node.region || !takes_input_scale(*conv, graph.type(node.inputs[1]))) return false;
  for (size_t side = 0; side < 2; ++side) {
    const ValueId x = source.inputs[side], scale = source.inputs[1 - side];
    if (x == scale || !scales_channels(graph.type(scale), graph.type(product)) || !(graph.type(x).shape == graph.type(product).shape))
      continue;
    const ops::Conv op = *conv;
    std::vector<ValueId> inputs = node.inputs;
    inputs.resize(5, kNone);
    inputs[0] = x;
    inputs[4] = scale;
    return become(graph, id, op, std::move(inputs));
  }
  return false;
}

}  // namespace tenon::passes
