// The one way a pass changes a graph: new nodes and replacements are collected, checked, and applied together or not at all.
#pragma once

#include <utility>
#include <vector>

#include "graph/graph.h"

namespace tenon {

class Patch {
 public:
  /// Everything happens at `anchor`: new nodes go ahead of it, in its region, and take over its name and origin in messages (or those of a
  /// producer of its inputs when the new node is of that one's kind). Inputs of new nodes must be computed before the anchor (or by this
  /// patch).
  Patch(Graph& graph, NodeId anchor) : graph_(graph), anchor_(anchor) {}
  Patch(const Patch&) = delete;
  Patch& operator=(const Patch&) = delete;

  /// A new node with `outputs` outputs. An inference error surfaces here and makes apply() fail.
  Result<std::vector<ValueId>> add(Op op, std::vector<ValueId> inputs, int outputs = 1);
  Result<ValueId> add1(Op op, std::vector<ValueId> inputs);
  ValueId constant(Tensor tensor);
  ValueId constant(Tensor tensor, Type type);

  /// All readers of `old_value` read `new_value` instead. Types must agree: same dtype, layout and structure, shapes
  /// not contradicting.
  void replace(ValueId old_value, ValueId new_value) { replacements_.emplace_back(old_value, new_value); }

  /// Replaces the (single) output of the anchor by a new node: the common case.
  Status become(Op op, std::vector<ValueId> inputs);

  /// Applies all. True when done; an error (and an unchanged graph) when a replacement's type disagrees or add() had failed. Nodes that
  /// nothing reads afterwards, the anchor included, are removed.
  Result<bool> apply();
  /// become(), then apply().
  Result<bool> apply(Op op, std::vector<ValueId> inputs);

 private:
  Graph& graph_;
  NodeId anchor_;
  std::vector<NodeId> added_;
  std::vector<std::pair<ValueId, ValueId>> replacements_;
  Status failed_;
};

/// A patch that makes node `id` this one and does nothing else.
Result<bool> become(Graph& graph, NodeId id, Op op, std::vector<ValueId> inputs);

}  // namespace tenon
