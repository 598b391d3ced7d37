#include "passes/passes.h"

namespace tenon::passes {

/// Conv(x, w, b) + r -> Conv(x, w, b, r), where r has the shape of the float32 product, which has no activation and no other reader.
Result<bool> fuse_conv_residual(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* add = std::get_if<ops::Binary>(&node.op);
  if (add == nullptr || add->kind != ops::Binary::Kind::kAdd) return false;
  // The later of two convolutions takes the other's result, so that neither result has to live long.
  const bool second_is_later = producer(graph, node.inputs[1]) > producer(graph, node.inputs[0]);
  for (size_t k = 0; k < 2; ++k) {
    const size_t side = second_is_later ? 1 - k : k;
    const ValueId value = node.inputs[side], residual = node.inputs[1 - side];
    const auto* conv = graph.producer_as<ops::Conv>(value);
    if (conv == nullptr || value == residual || !graph.single_use(value) || !conv->activation.none()) continue;
    const Node& source = graph.node(producer(graph, value));
    if (source.region != node.region || given(source, 3)) continue;
    const Type &a = graph.type(value), &b = graph.type(residual);
    if (a.dtype != DType::kFloat32 || !a.ranked() || !(a.shape == b.shape) || !(a.layout == b.layout)) continue;
    const ops::Conv op = *conv;
    std::vector<ValueId> inputs = source.inputs;
    inputs.resize(4, kNone);
    inputs[3] = residual;
    return become(graph, id, op, std::move(inputs));
  }
  return false;
}

}  // namespace tenon::passes
