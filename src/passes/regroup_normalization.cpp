#include "passes/normalized.h"
#include "passes/passes.h"

namespace tenon::passes {

/// d * (r * scale)                        ->  (d * r) * scale, where r is 1 / sqrt(mean(d^2) + epsilon)
/// (d * scale) / s                        ->  (d / s) * scale, where s is sqrt(mean(d^2) + epsilon)
/// x * (r * scale) + (b - m * (r * scale))  ->  ((x - m) * r) * scale + b, where d is x - m and m is x's mean
/// So that the rules for normalisation, which come next, see d normalised before the scale.
Result<bool> regroup_normalization(Graph& graph, NodeId id) {
  const Regrouped found = regrouped(graph, id);
  if (found.d == kNone) return false;
  using B = ops::Binary::Kind;
  Patch patch(graph, id);
  TENON_ASSIGN(const ValueId y, patch.add1(ops::Binary{found.divides ? B::kDiv : B::kMul}, {found.d, found.factor}));
  if (found.bias == kNone) return patch.apply(ops::Binary{B::kMul}, {y, found.scale});
  TENON_ASSIGN(const ValueId scaled, patch.add1(ops::Binary{B::kMul}, {y, found.scale}));
  return patch.apply(ops::Binary{B::kAdd}, {scaled, found.bias});
}

}  // namespace tenon::passes
