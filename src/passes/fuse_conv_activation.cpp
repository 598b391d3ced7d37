#include "passes/passes.h"

namespace tenon::passes {

/// f(Conv(...)) -> Conv(..., activation f), likewise ConvTranspose, for float32 results without other readers.
Result<bool> fuse_conv_activation(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* unary = std::get_if<ops::Unary>(&node.op);
  const bool clip = std::holds_alternative<ops::Clip>(node.op);
  if (unary == nullptr && !clip) return false;
  const ValueId value = node.inputs[0];
  const NodeId source = producer(graph, value);
  if (source == kNone || !graph.single_use(value) || graph.node(source).region != node.region) return false;
  if (graph.type(value).dtype != DType::kFloat32) return false;
  Op op = graph.node(source).op;
  auto* conv = std::get_if<ops::Conv>(&op);
  auto* transposed = std::get_if<ops::ConvTranspose>(&op);
  if (conv == nullptr && transposed == nullptr) return false;
  ops::Activation& activation = conv != nullptr ? conv->activation : transposed->activation;
  if (!activation.none()) return false;
  if (clip) {
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      const auto bound = scalar_constant(graph, node.inputs[i]);
      if (!bound || *bound != *bound) return false;
      (i == 1 ? activation.low : activation.high) = static_cast<float>(*bound);
    }
  } else if (unary->kind == ops::Unary::Kind::kRelu) {
    activation.low = 0;
  } else {
    if (kernels::unary_tile(unary->kind) == nullptr) return false;
    activation.has_unary = true;
    activation.unary = unary->kind;
    activation.alpha = unary->alpha;
    activation.beta = unary->beta;
  }
  return become(graph, id, std::move(op), graph.node(source).inputs);
}

}  // namespace tenon::passes
