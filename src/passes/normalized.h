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
/// or Pow(., -0.5), and squares as Mul or Pow.
Normalized normalized(const Graph& graph, NodeId id);

/// A normalisation whose scale was multiplied in too early: (d * factor) * scale, or (d / factor) * scale, plus a bias unless that is kNone.
struct Regrouped {
  ValueId d = kNone, factor = kNone, scale = kNone, bias = kNone;
  bool divides = false;
};
Regrouped regrouped(const Graph& graph, NodeId id);

/// x of Cast(f(Cast(x), ones)) where both casts are between float32 and the half type of x, and nothing else reads f; else kNone.
ValueId narrowed(const Graph& graph, NodeId id);

/// Ones for the last `axes` dims of x: of those dims when they are known and few, else one element.
Tensor ones_for(const Graph& graph, ValueId x, int64_t axes);
/// A constant whose elements are all 1.
bool all_ones(const Graph& graph, ValueId value);
/// Its dims are static and reach no further than the last `axes` dims of x.
bool within_last_axes(const Graph& graph, ValueId value, ValueId x, int64_t axes);

}  // namespace tenon
