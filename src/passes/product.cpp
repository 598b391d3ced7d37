#include "passes/product.h"

#include <algorithm>

namespace tenon {

namespace {
constexpr size_t kMostFactors = 12;

const ops::Binary* binary(const Graph& graph, ValueId value) { return graph.producer_as<ops::Binary>(value); }
const std::vector<ValueId>& inputs_of(const Graph& graph, ValueId value) { return graph.node(producer(graph, value)).inputs; }
}  // namespace

Product product_of(const Graph& graph, ValueId value, const std::vector<ValueId>& atoms) {
  using B = ops::Binary::Kind;
  Product out;
  std::vector<ValueId> open{value};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (const auto c = scalar_constant(graph, v)) {
      out.scale *= *c;
      continue;
    }
    const bool atom = std::find(atoms.begin(), atoms.end(), v) != atoms.end() || out.factors.size() + open.size() > kMostFactors;
    const ops::Binary* op = atom ? nullptr : binary(graph, v);
    if (op && op->kind == B::kMul) {
      const auto& in = inputs_of(graph, v);
      open.push_back(in[1]);
      open.push_back(in[0]);
      continue;
    }
    if (op && op->kind == B::kDiv) {
      if (const auto c = scalar_constant(graph, inputs_of(graph, v)[1]); c && *c != 0) {
        out.scale /= *c;
        open.push_back(inputs_of(graph, v)[0]);
        continue;
      }
    }
    if (op && op->kind == B::kPow) {
      const auto e = scalar_constant(graph, inputs_of(graph, v)[1]);
      if (e && (*e == 2 || *e == 3 || *e == 4)) {
        for (int i = 0; i < static_cast<int>(*e); ++i) open.push_back(inputs_of(graph, v)[0]);
        continue;
      }
    }
    if (const ValueId x = atom ? kNone : argument_of(graph, v, ops::Unary::Kind::kNeg); x != kNone) {
      out.scale = -out.scale;
      open.push_back(x);
      continue;
    }
    out.factors.push_back(v);
  }
  return out;
}

bool has_factors(const Product& product, std::vector<ValueId> factors) {
  std::vector<ValueId> own = product.factors;
  std::sort(own.begin(), own.end());
  std::sort(factors.begin(), factors.end());
  return own == factors;
}

Scaled scaled(const Graph& graph, ValueId value) {
  using B = ops::Binary::Kind;
  const ops::Binary* op = binary(graph, value);
  if (op && (op->kind == B::kMul || op->kind == B::kDiv)) {
    const auto& in = inputs_of(graph, value);
    if (const auto c = scalar_constant(graph, in[1]); c && *c != 0) return {in[0], op->kind == B::kMul ? *c : 1 / *c};
    if (const auto c = scalar_constant(graph, in[0]); c && op->kind == B::kMul) return {in[1], *c};
  }
  return {value, 1};
}

ValueId plus_constant(const Graph& graph, ValueId value, double c) {
  const ops::Binary* op = binary(graph, value);
  if (!op || op->kind != ops::Binary::Kind::kAdd) return kNone;
  const auto& in = inputs_of(graph, value);
  for (int side = 0; side < 2; ++side) {
    const auto found = scalar_constant(graph, in[side]);
    if (found && close(*found, c)) return in[1 - side];
  }
  return kNone;
}

ValueId argument_of(const Graph& graph, ValueId value, ops::Unary::Kind kind) {
  const auto* op = graph.producer_as<ops::Unary>(value);
  return op && op->kind == kind ? inputs_of(graph, value)[0] : kNone;
}

bool same_type(const Graph& graph, ValueId a, ValueId b) {
  const Type &x = graph.type(a), &y = graph.type(b);
  return x.ranked() && y.ranked() && x.same_as(y);
}

}  // namespace tenon
