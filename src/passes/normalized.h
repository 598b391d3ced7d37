// Recognising normalisation spelled out in elementary operators.
#pragma once

#include <vector>

#include "passes/pass.h"

namespace tenon {

/// d / sqrt(mean(d^2) + epsilon) over the last `axes` axes; with `centred`, d is x - mean(x) over the same axes.
struct Normalized {
  ValueId x = kNone;
  int64_t axes = 0;
  double epsilon = 0;
  bool centred = false;
};

/// What node `id` computes, x kNone when it is no such thing. Takes a division by Sqrt or Pow(., 0.5), a product with Reciprocal, 1/.,
/// or Pow(., -0.5), squares as Mul or Pow, and for the variance of x the mean of its squares less the square of its mean.
Normalized normalized(const Graph& graph, NodeId id);

/// A normalisation whose scale was multiplied in too early: (d * factor) * scale, or (d / factor) * scale, plus a bias unless that is kNone.
struct Regrouped {
  ValueId d = kNone, factor = kNone, scale = kNone, bias = kNone;
  bool divides = false;
};
Regrouped regrouped(const Graph& graph, NodeId id);

/// The number of axes from `axis`, which may be negative, to the last of `rank`.
inline int64_t axes_from(int64_t axis, int rank) { return axis < 0 ? -axis : rank - axis; }

/// x of Cast(f(Cast(x), ones)) where both casts are between float32 and the half type of x, and nothing else reads f; else kNone.
ValueId narrowed(const Graph& graph, NodeId id);

/// Ones for the last `axes` dims of x: of those dims when they are known and few, else one element.
Tensor ones_for(const Graph& graph, ValueId x, int64_t axes);
/// A constant whose elements are all 1.
bool all_ones(const Graph& graph, ValueId value);
/// Its dims are static and reach no further than the last `axes` dims of x.
bool within_last_axes(const Graph& graph, ValueId value, ValueId x, int64_t axes);

/// Cast(Norm(Cast(x), ones)) -> Norm(x, ones) of a half x, which is computed in float32 as well.
template <class Norm>
Result<bool> narrow_normalization(Graph& graph, NodeId id) {
  const ValueId x = narrowed(graph, id);
  const auto* found = x != kNone ? graph.producer_as<Norm>(graph.node(id).inputs[0]) : nullptr;
  if (found == nullptr) return false;
  const Norm norm = *found;
  Patch patch(graph, id);
  const ValueId scale = patch.constant(ones_for(graph, x, axes_from(norm.axis, graph.type(x).rank())));
  return patch.apply(norm, {x, scale});
}

}  // namespace tenon
