#include "passes/passes.h"

namespace tenon::passes {

namespace {

bool only_renames_dims(const Op& op) {
  return std::holds_alternative<ops::Reshape>(op) || std::holds_alternative<ops::Flatten>(op) || std::holds_alternative<ops::Squeeze>(op) ||
         std::holds_alternative<ops::Unsqueeze>(op);
}

/// `shape` as the second input of a Reshape with allow_zero; nullopt when it has more than one dim that is not constant.
std::optional<std::vector<int64_t>> as_target(const Shape& shape) {
  if (!shape.ranked()) return std::nullopt;
  std::vector<int64_t> target;
  bool open = false, zero = false;
  for (const Dim& d : shape) {
    if (!d.is_const() && open) return std::nullopt;
    open |= !d.is_const();
    zero |= d.is(0);
    target.push_back(d.is_const() ? d.value() : -1);
  }
  return open && zero ? std::nullopt : std::optional(std::move(target));
}

/// Dims in the order the perm gives, those of 1 aside, are in their old order: nothing moves.
bool moves_nothing(const Graph& graph, const Node& node) {
  const auto* transpose = std::get_if<ops::Transpose>(&node.op);
  if (transpose == nullptr || !graph.type(node.inputs[0]).ranked()) return false;
  const Shape& shape = graph.type(node.inputs[0]).shape;
  const auto perm = ops::full_perm(*transpose, shape.rank());
  if (!perm.ok()) return false;
  int64_t last = -1;
  for (const int64_t p : *perm) {
    if (shape[p].is(1)) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

}  // namespace

/// g(f(x)) -> Reshape(x) where f and g are Reshape, Flatten, Squeeze or Unsqueeze, and at most one dim of the result is symbolic;
/// -> x when that is the shape x has.
/// A Transpose that only moves dims of 1 becomes a Reshape too.
Result<bool> merge_reshapes(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  ValueId from = kNone;
  if (only_renames_dims(node.op)) {
    const NodeId before = producer(graph, node.inputs[0]);
    if (before == kNone || !only_renames_dims(graph.node(before).op)) return false;
    from = graph.node(before).inputs[0];
  } else if (moves_nothing(graph, node)) {
    from = node.inputs[0];
  } else {
    return false;
  }
  if (!graph.type(from).layout.plain()) return false;
  if (graph.type(from).ranked() && graph.type(from).same_as(graph.type(node.outputs[0]))) {
    Patch patch(graph, id);
    patch.replace(node.outputs[0], from);
    return patch.apply();
  }
  auto target = as_target(graph.type(node.outputs[0]).shape);
  if (!target) return false;
  const int64_t rank = static_cast<int64_t>(target->size());
  Patch patch(graph, id);
  const ValueId shape = patch.constant(Tensor::of<int64_t>({rank}, *target));
  TENON_TRY(patch.become(ops::Reshape{.allow_zero = true}, {from, shape}));
  return patch.apply();
}

}  // namespace tenon::passes
