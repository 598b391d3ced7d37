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

constexpr double kTanhScale = 0.7978845608;

/// t = c (x + 0.044715 x^3), also as c x + 0.044715 c x^3 and as c x (1 + 0.044715 x^2): x, else kNone.
ValueId tanh_argument(const Graph& graph, ValueId t, double c) {
  const Scaled outer = scaled(graph, t);
  const auto* sum = graph.producer_as<ops::Binary>(outer.x);
  if (sum && sum->kind == B::kAdd) {
    const auto& in = graph.node(producer(graph, outer.x)).inputs;
    for (int side = 0; side < 2; ++side) {
      Scaled linear = scaled(graph, in[side]);
      // Where the scale stands in front of the sum, a product with a constant is an x of its own.
      if (close(outer.scale, c)) linear = {in[side], 1};
      const Product cube = product_of(graph, in[1 - side], {linear.x});
      if (close(outer.scale * linear.scale, c) && close(outer.scale * cube.scale, 0.044715 * c) &&
          has_factors(cube, {linear.x, linear.x, linear.x}))
        return linear.x;
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
      if (close(square.scale, 0.044715) && has_factors(square, {x, x}) && close(whole.scale, c) && has_factors(whole, {x, part})) return x;
    }
  }
  return kNone;
}

/// gate = c + c * sign * wave.
struct Gate {
  ValueId wave = kNone;
  double c = 1, sign = 1;
};

/// Takes 1 + w, 1 - w and 1/2 + w/2.
Gate gate_of(const Graph& graph, ValueId value) {
  for (const double c : {1.0, 0.5}) {
    ValueId rest = plus_constant(graph, value, c);
    double sign = 1;
    const auto* difference = graph.producer_as<ops::Binary>(value);
    if (difference && difference->kind == B::kSub) {
      const auto& in = graph.node(producer(graph, value)).inputs;
      const auto first = scalar_constant(graph, in[0]);
      if (first && close(*first, c)) {
        rest = in[1];
        sign = -1;
      }
    }
    if (rest == kNone) continue;
    const Scaled wave = scaled(graph, rest);
    if (close(wave.scale, c)) return {wave.x, c, sign};
  }
  return {};
}

/// e = x / sqrt 2 with this sign, which may be a Neg before the constant or behind it: x, else kNone.
ValueId erf_argument(const Graph& graph, ValueId e, double sign) {
  Scaled inner{e};
  for (int i = 0; i < 3 && !close(inner.scale, sign * 0.70710678); ++i) {
    if (const ValueId negated = argument_of(graph, inner.x, U::kNeg); negated != kNone) {
      inner = {negated, -inner.scale};
    } else {
      const Scaled next = scaled(graph, inner.x);
      inner = {next.x, inner.scale * next.scale};
    }
  }
  return close(inner.scale, sign * 0.70710678) ? inner.x : kNone;
}

}  // namespace

/// x/2 * (1 + erf(x / sqrt 2)), x/2 * (1 - erf(-x / sqrt 2))                       ->  Gelu(x)
/// x/2 * (1 + tanh(t)), x * sigmoid(2 t) with t = sqrt(2/pi) * (x + 0.044715 * x^3)  ->  GeluTanh(x)
/// in any order of the factors, with x^3 as Pow or products, with the constants multiplied or divided by, before the sum or behind it.
Result<bool> fuse_gelu(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* root = std::get_if<ops::Binary>(&node.op);
  if (!root || (root->kind != B::kMul && root->kind != B::kDiv) || node.outputs[0] == kNone) return false;
  const ValueId y = node.outputs[0];
  std::vector<ValueId> found;
  leaves(graph, y, 3, found);
  for (const ValueId gate : found) {
    const Gate parts = gate_of(graph, gate);
    ValueId x = kNone;
    double scale = 0.5 / parts.c;
    U kind = U::kGeluTanh;
    if (const ValueId e = argument_of(graph, parts.wave, U::kErf); e != kNone) {
      x = erf_argument(graph, e, parts.sign);
      kind = U::kGelu;
    } else if (const ValueId t = argument_of(graph, parts.wave, U::kTanh); t != kNone && parts.sign > 0) {
      x = tanh_argument(graph, t, kTanhScale);
    } else if (const ValueId s = argument_of(graph, gate, U::kSigmoid); s != kNone) {
      x = tanh_argument(graph, s, 2 * kTanhScale);
      scale = 1;
    }
    if (x == kNone || !same_type(graph, x, y)) continue;
    const Product all = product_of(graph, y, {x, gate});
    if (!close(all.scale, scale) || !has_factors(all, {x, gate})) continue;
    return become(graph, id, ops::Unary{kind}, {x});
  }
  return false;
}

}  // namespace tenon::passes
