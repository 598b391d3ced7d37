#include "passes/passes.h"

namespace tenon::passes {

/// f(MatMul(...)) -> MatMul(..., activation f), for float32, float16 and bfloat16 products without other readers; through a Reshape in
/// between as well.
Result<bool> fuse_matmul_activation(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* unary = std::get_if<ops::Unary>(&node.op);
  const bool clip = std::holds_alternative<ops::Clip>(node.op);
  if (unary == nullptr && !clip) return false;
  ValueId product = node.inputs[0], shape = kNone;
  if (graph.producer_as<ops::Reshape>(product) != nullptr && graph.single_use(product)) {
    const Node& reshape = graph.node(producer(graph, product));
    shape = reshape.inputs[1];
    product = reshape.inputs[0];
  }
  const auto* found = graph.producer_as<ops::MatMul>(product);
  if (found == nullptr || !graph.single_use(product) || !found->activation.none()) return false;
  const Node& source = graph.node(producer(graph, product));
  const DType dtype = graph.type(product).dtype;
  if (source.region != node.region || (dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBFloat16)) return false;

  ops::MatMul op = *found;
  if (clip) {
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      const auto bound = scalar_constant(graph, node.inputs[i]);
      if (!bound || *bound != *bound) return false;
      (i == 1 ? op.activation.low : op.activation.high) = static_cast<float>(*bound);
    }
  } else if (unary->kind == ops::Unary::Kind::kRelu) {
    op.activation.low = 0;
  } else {
    if (kernels::unary_tile(unary->kind) == nullptr) return false;
    op.activation.has_unary = true;
    op.activation.unary = unary->kind;
    op.activation.alpha = unary->alpha;
    op.activation.beta = unary->beta;
  }
  if (shape == kNone) return become(graph, id, op, source.inputs);
  const ops::Reshape reshape = *graph.producer_as<ops::Reshape>(node.inputs[0]);
  Patch patch(graph, id);
  TENON_ASSIGN(const ValueId activated, patch.add1(op, source.inputs));
  return patch.apply(reshape, {activated, shape});
}

}  // namespace tenon::passes
