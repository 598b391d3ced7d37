#include <algorithm>

#include "passes/passes.h"

namespace tenon::passes {

namespace {

bool all_equal(const std::optional<std::vector<int64_t>>& values, int64_t wanted) {
  return values && std::all_of(values->begin(), values->end(), [wanted](int64_t v) { return v == wanted; });
}

/// The elements of input i as the plan will see them, when they are constants.
std::optional<std::vector<int64_t>> ints(const Graph& graph, const Node& node, size_t i) {
  if (i >= node.inputs.size()) return std::nullopt;
  const Tensor* t = constant(graph, node.inputs[i]);
  return t && is_integer(t->dtype()) ? std::optional(t->to_ints()) : std::nullopt;
}
bool left_out(const Node& node, size_t i) { return i >= node.inputs.size() || node.inputs[i] == kNone; }

/// Whether the node only passes its first input on, given that both have the same type.
bool passes_on(const Graph& graph, const Node& node) {
  const Op& op = node.op;
  const auto is = [&op]<class... T>() { return (std::holds_alternative<T>(op) || ...); };
  if (is.operator()<ops::Reshape, ops::Flatten, ops::Squeeze, ops::Unsqueeze, ops::Expand, ops::Tile, ops::Cast>()) return true;
  // A slice that takes as much as there is takes all of it, unless backwards.
  if (is.operator()<ops::Slice>()) return left_out(node, 4) || all_equal(ints(graph, node, 4), 1);
  // Adding here what is cut off there shifts.
  if (is.operator()<ops::Pad>()) return all_equal(ints(graph, node, 1), 0);
  if (is.operator()<ops::Concat, ops::Split>()) return node.inputs.size() == 1 && node.outputs.size() == 1;
  if (const auto* transpose = std::get_if<ops::Transpose>(&op)) {
    const auto perm = ops::full_perm(*transpose, graph.type(node.inputs[0]).rank());
    return perm.ok() && std::is_sorted(perm->begin(), perm->end());
  }
  return false;
}

}  // namespace

/// f(x) -> x where f, for this x, changes nothing: a Reshape, Expand, Tile, Slice or Cast to the type x has, a Pad by nothing, a
/// Transpose that keeps the order, a Concat or Split of one.
Result<bool> remove_no_op(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.inputs.empty() || node.inputs[0] == kNone || node.outputs.empty() || node.outputs[0] == kNone) return false;
  const Type &x = graph.type(node.inputs[0]), &y = graph.type(node.outputs[0]);
  if (!x.ranked() || !x.same_as(y) || !passes_on(graph, node)) return false;
  Patch patch(graph, id);
  patch.replace(node.outputs[0], node.inputs[0]);
  return patch.apply();
}

}  // namespace tenon::passes
