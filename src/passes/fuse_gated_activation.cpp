#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

using U = ops::Unary::Kind;
using B = ops::Binary::Kind;

/// What a product of x and this gate is, and the scalar that the product must have beside them.
struct Gated {
  ops::Unary op;
  ValueId x = kNone;
  double scale = 1;
};

Gated gated(const Graph& graph, ValueId gate) {
  if (const ValueId s = argument_of(graph, gate, U::kSigmoid); s != kNone) {
    const Scaled inner = scaled(graph, s);
    return {ops::Unary{U::kSwish, static_cast<float>(inner.scale)}, inner.x};
  }
  if (const auto* hard = graph.producer_as<ops::Unary>(gate); hard && hard->kind == U::kHardSigmoid) {
    if (close(hard->alpha, 1.0 / 6) && close(hard->beta, 0.5))
      return {ops::Unary{U::kHardSwish}, argument_of(graph, gate, U::kHardSigmoid)};
    return {};
  }
  if (graph.producer_as<ops::Clip>(gate)) {
    const auto& in = graph.node(producer(graph, gate)).inputs;
    const auto low = in.size() > 1 ? scalar_constant(graph, in[1]) : std::nullopt,
               high = in.size() > 2 ? scalar_constant(graph, in[2]) : std::nullopt;
    if (!low || !high || *low != 0 || *high != 6) return {};
    return {ops::Unary{U::kHardSwish}, plus_constant(graph, in[0], 3), 1.0 / 6};
  }
  if (const ValueId t = argument_of(graph, gate, U::kTanh); t != kNone) {
    return {ops::Unary{U::kMish}, argument_of(graph, t, U::kSoftplus)};
  }
  return {};
}

}  // namespace

/// x * sigmoid(a * x)             ->  Swish(x), alpha a
/// x * clip(x + 3, 0, 6) / 6      ->  HardSwish(x), also x * HardSigmoid(x) with alpha 1/6 and beta 1/2
/// x * tanh(softplus(x))          ->  Mish(x)
Result<bool> fuse_gated_activation(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* root = std::get_if<ops::Binary>(&node.op);
  if (!root || (root->kind != B::kMul && root->kind != B::kDiv) || node.outputs[0] == kNone) return false;
  const ValueId y = node.outputs[0];
  // The gate is an input of the root, or of a Mul just above it.
  std::vector<ValueId> candidates = node.inputs;
  for (const ValueId in : node.inputs) {
    const auto* above = graph.producer_as<ops::Binary>(in);
    if (above && (above->kind == B::kMul || above->kind == B::kDiv)) {
      for (const ValueId v : graph.node(producer(graph, in)).inputs) candidates.push_back(v);
    }
  }
  for (const ValueId gate : candidates) {
    Gated g = gated(graph, gate);
    if (g.x == kNone) {
      // clip(...) / 6 may stand together.
      const Scaled part = scaled(graph, gate);
      if (part.x == gate) continue;
      g = gated(graph, part.x);
      if (g.x == kNone || !same_type(graph, g.x, y)) continue;
    }
    if (!same_type(graph, g.x, y)) continue;
    // Seen whole: the gate (or the gate inside a scaled one) and x, and nothing else but the scalar.
    const ValueId core = gated(graph, gate).x == kNone ? scaled(graph, gate).x : gate;
    const Product all = product_of(graph, y, {g.x, core});
    if (!close(all.scale, g.scale) || !has_factors(all, {g.x, core})) continue;
    return become(graph, id, g.op, {g.x});
  }
  return false;
}

}  // namespace tenon::passes
