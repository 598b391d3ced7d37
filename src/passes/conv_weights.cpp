#include "passes/conv_weights.h"

namespace tenon::passes {

std::optional<ConvMatch> match_conv(const Graph& graph, NodeId reader, ValueId value) {
  const NodeId id = producer(graph, value);
  if (id == kNone || !graph.single_use(value) || graph.node(id).region != graph.node(reader).region) return std::nullopt;
  const Node& node = graph.node(id);
  const auto* conv = std::get_if<ops::Conv>(&node.op);
  const auto* transposed = std::get_if<ops::ConvTranspose>(&node.op);
  if (conv == nullptr && transposed == nullptr) return std::nullopt;
  if (!(conv != nullptr ? conv->activation : transposed->activation).none()) return std::nullopt;
  if (given(node, 3)) return std::nullopt;
  const Tensor* weights = constant(graph, node.inputs[1]);
  if (weights == nullptr || weights->dtype() != DType::kFloat32 || weights->rank() < 3) return std::nullopt;
  if (given(node, 2) && constant(graph, node.inputs[2]) == nullptr) return std::nullopt;
  const int64_t filters = conv != nullptr ? weights->dims()[0] : weights->dims()[1] * transposed->group;
  return ConvMatch{id, transposed != nullptr, filters};
}

Result<bool> scale_conv(Graph& graph, NodeId id, const ConvMatch& conv, const Affine& by) {
  const std::vector<ValueId> inputs = graph.node(conv.node).inputs;
  const Op op = graph.node(conv.node).op;
  const Tensor& weights = *constant(graph, inputs[1]);
  const Dims& dims = weights.dims();
  // [M, C/group, taps], or [C, M/group, taps] when transposed.
  std::vector<double> factors = by.scale;
  if (conv.transposed) {
    const int64_t group = std::get<ops::ConvTranspose>(op).group;
    factors.clear();
    for (int64_t i = 0; i < dims[0]; ++i) {
      for (int64_t j = 0; j < dims[1]; ++j) factors.push_back(by.scale[static_cast<size_t>(i / (dims[0] / group) * dims[1] + j)]);
    }
  }
  const size_t run = static_cast<size_t>(weights.count()) / factors.size();
  TENON_ASSIGN(Tensor scaled, scaled_weights(graph, weights, std::move(factors), run));
  const Tensor* old_bias = inputs.size() > 2 ? constant(graph, inputs[2]) : nullptr;
  std::vector<float> bias(static_cast<size_t>(conv.filters));
  for (size_t f = 0; f < bias.size(); ++f) {
    const double b = old_bias != nullptr ? old_bias->as<float>()[f] : 0.0;
    bias[f] = static_cast<float>(b * by.scale[f] + by.shift[f]);
  }
  Patch patch(graph, id);
  const ValueId new_weights = patch.constant(std::move(scaled));
  const ValueId new_bias = patch.constant(Tensor::of<float>({conv.filters}, bias));
  return patch.apply(op, {inputs[0], new_weights, new_bias});
}

}  // namespace tenon::passes
