#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

using U = ops::Unary::Kind;
using B = ops::Binary::Kind;

/// The leaves of the tree of Muls (and Divs by constants) under `value`, three levels deep: where 1 + erf(...) may be.
void leaves(const Graph& graph, ValueId value, int depth, std::vector<ValueId>& out) {
  const auto* op = graph.producer_as<ops::Binary>(value);
  if (op && depth > 0 && (op->kind == B::kMul || op->kind == B::kDiv)) {
    for (const ValueId in : graph.node(producer(graph, value)).inputs) leaves(graph, in, depth - 1, out);
  } else {
    out.push_back(value);
  }
}

/// t = sqrt(2/pi) (x + 0.044715 x^3), also as sqrt(2/pi) x (1 + 0.044715 x^2): x, else kNone.
ValueId tanh_argument(const Graph& graph, ValueId t) {
  const Scaled outer = scaled(graph, t);
  if (close(outer.scale, 0.7978845608)) {
    // A sum: one side x, the other 0.044715 x x x.
    const auto* sum = graph.producer_as<ops::Binary>(outer.x);
    if (sum && sum->kind == B::kAdd) {
      const auto& in = graph.node(producer(graph, outer.x)).inputs;
      for (int side = 0; side < 2; ++side) {
        const ValueId x = in[side];
        const Product cube = product_of(graph, in[1 - side], {x});
        if (close(cube.scale, 0.044715) && has_factors(cube, {x, x, x})) return x;
      }
    }
  }
  // A product: x times 1 + 0.044715 x x.
  std::vector<ValueId> parts;
  leaves(graph, t, 3, parts);
  for (const ValueId part : parts) {
    const ValueId rest = plus_constant(graph, part, 1);
    if (rest == kNone) continue;
    for (const ValueId x : parts) {
      if (x == part || constant(graph, x)) continue;
      const Product square = product_of(graph, rest, {x}), whole = product_of(graph, t, {x, part});
      if (close(square.scale, 0.044715) && has_factors(square, {x, x}) && close(whole.scale, 0.7978845608) && has_factors(whole, {x, part}))
        return x;
    }
  }
  return kNone;
}

}  // namespace

/// x/2 * (1 + erf(x / sqrt 2))                              ->  Gelu(x)
/// x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3)))      ->  GeluTanh(x)
/// in any order of the factors, with x^3 as Pow or products, with the constants multiplied or divided by.
Result<bool> fuse_gelu(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* root = std::get_if<ops::Binary>(&node.op);
  if (!root || (root->kind != B::kMul && root->kind != B::kDiv) || node.outputs[0] == kNone) return false;
  const ValueId y = node.outputs[0];
  std::vector<ValueId> found;
  leaves(graph, y, 3, found);
  for (const ValueId gate : found) {
    const ValueId wave = plus_constant(graph, gate, 1);
    if (wave == kNone) continue;
    ValueId x = kNone;
    U kind = U::kGelu;
    if (const ValueId e = argument_of(graph, wave, U::kErf); e != kNone) {
      const Scaled inner = scaled(graph, e);
      if (close(inner.scale, 0.70710678)) x = inner.x;
    } else if (const ValueId t = argument_of(graph, wave, U::kTanh); t != kNone) {
      x = tanh_argument(graph, t);
      kind = U::kGeluTanh;
    }
    if (x == kNone || !same_type(graph, x, y)) continue;
    const Product all = product_of(graph, y, {x, gate});
    if (!close(all.scale, 0.5) || !has_factors(all, {x, gate})) continue;
    Patch patch(graph, id);
    TENON_TRY(patch.become(ops::Unary{kind}, {x}));
    return patch.apply();
  }
  return false;
}

}  // namespace tenon::passes
