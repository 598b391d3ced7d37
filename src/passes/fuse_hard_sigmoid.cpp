#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

using B = ops::Binary::Kind;

/// value = Clip(u, 0, high): u and high.
struct Clipped {
  ValueId u = kNone;
  double high = 0;
};
Clipped clipped_from_zero(const Graph& graph, ValueId value) {
  if (graph.producer_as<ops::Clip>(value) == nullptr) return {};
  const Node& node = graph.node(producer(graph, value));
  const auto low = given(node, 1) ? scalar_constant(graph, node.inputs[1]) : std::nullopt,
             high = given(node, 2) ? scalar_constant(graph, node.inputs[2]) : std::nullopt;
  const double bound = high.value_or(0);
  return low && *low == 0 && bound > 0 ? Clipped{node.inputs[0], bound} : Clipped{};
}

}  // namespace

/// Clip(a * x + b, 0, h) / h  ->  HardSigmoid(x), alpha a / h, beta b / h; the division is left out where h is 1. Not where a product with
/// x comes first: the rule for gated activations takes that whole.
Result<bool> fuse_hard_sigmoid(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone) return false;
  const ValueId y = node.outputs[0];
  const Scaled outer = scaled(graph, y);
  const Clipped clip = clipped_from_zero(graph, outer.x);
  if (clip.u == kNone || !close(outer.scale * clip.high, 1)) return false;
  const auto* sum = graph.producer_as<ops::Binary>(clip.u);
  if (sum == nullptr || sum->kind != B::kAdd) return false;
  const auto& terms = graph.node(producer(graph, clip.u)).inputs;
  for (size_t side = 0; side < 2; ++side) {
    const auto beta = scalar_constant(graph, terms[1 - side]);
    const Scaled inner = scaled(graph, terms[side]);
    if (!beta || !same_type(graph, inner.x, y)) continue;
    const auto by_high = [&](double v) { return static_cast<float>(v / clip.high); };
    return become(graph, id, ops::Unary{ops::Unary::Kind::kHardSigmoid, by_high(inner.scale), by_high(*beta)}, {inner.x});
  }
  return false;
}

}  // namespace tenon::passes
