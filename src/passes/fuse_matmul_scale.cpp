#include <cmath>

#include "passes/passes.h"

namespace tenon::passes {

/// MatMul(a, b) * s and MatMul(a, b) / s -> MatMul(a, b, alpha s), where s is a constant float scalar and the product has no other reader.
Result<bool> fuse_matmul_scale(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* binary = std::get_if<ops::Binary>(&node.op);
  if (binary == nullptr) return false;
  const bool mul = binary->kind == ops::Binary::Kind::kMul, div = binary->kind == ops::Binary::Kind::kDiv;
  if (!mul && !div) return false;
  for (size_t side = 0; side < (mul ? 2u : 1u); ++side) {
    const ValueId product = node.inputs[side], factor = node.inputs[1 - side];
    const auto* found = graph.producer_as<ops::MatMul>(product);
    const auto scale = scalar_constant(graph, factor);
    if (found == nullptr || !scale || !graph.single_use(product) || !found->activation.none()) continue;
    const Node& source = graph.node(producer(graph, product));
    const DType dtype = graph.type(product).dtype;
    const bool plain_product =
        source.inputs.size() < 3 || (source.inputs[2] == kNone && (source.inputs.size() < 4 || source.inputs[3] == kNone));
    if (source.region != node.region || !plain_product ||
        (dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBFloat16))
      continue;
    // A factor of higher rank would add dims of 1 to the result.
    if (!graph.type(product).ranked() || !graph.type(factor).ranked() || graph.type(factor).rank() > graph.type(product).rank()) continue;
    const double alpha = div ? static_cast<double>(found->alpha) / *scale : static_cast<double>(found->alpha) * *scale;
    if (!std::isnormal(static_cast<float>(alpha))) continue;
    ops::MatMul op = *found;
    op.alpha = static_cast<float>(alpha);
    return become(graph, id, op, source.inputs);
  }
  return false;
}

}  // namespace tenon::passes
