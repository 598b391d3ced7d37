#include "passes/passes.h"

namespace tenon::passes {

/// x * Sigmoid(x) -> Swish(x), and x * HardSigmoid(x) -> HardSwish(x) where alpha is 1/6 and beta 1/2.
Result<bool> fuse_silu(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* mul = std::get_if<ops::Binary>(&node.op);
  if (mul == nullptr || mul->kind != ops::Binary::Kind::kMul) return false;
  for (size_t side = 0; side < 2; ++side) {
    const ValueId gate = node.inputs[side], x = node.inputs[1 - side];
    const auto* unary = graph.producer_as<ops::Unary>(gate);
    if (unary == nullptr || graph.node(producer(graph, gate)).inputs[0] != x) continue;
    using K = ops::Unary::Kind;
    ops::Unary op;
    if (unary->kind == K::kSigmoid) {
      op = ops::Unary{K::kSwish, 1.0f, 0.0f};
    } else if (unary->kind == K::kHardSigmoid && unary->alpha == 1.0f / 6 && unary->beta == 0.5f) {
      op = ops::Unary{K::kHardSwish};
    } else {
      continue;
    }
    Patch patch(graph, id);
    TENON_TRY(patch.become(op, {x}));
    return patch.apply();
  }
  return false;
}

}  // namespace tenon::passes
