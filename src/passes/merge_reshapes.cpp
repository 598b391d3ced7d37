#include "passes/passes.h"

namespace tenon::passes {

namespace {

bool only_renames_dims(const Op& op) {
  return std::holds_alternative<ops::Reshape>(op) || std::holds_alternative<ops::Flatten>(op) || std::holds_alternative<ops::Squeeze>(op) ||
         std::holds_alternative<ops::Unsqueeze>(op);
}

/// A Reshape of `from` to `shape` by constants: dims of the same place are copied, one other may be what remains. nullopt when there are
/// more.
struct Target {
  ops::Reshape op;
  std::vector<int64_t> dims;
};
std::optional<Target> as_target(const Shape& from, const Shape& shape) {
  if (!shape.ranked()) return std::nullopt;
  Target target;
  bool open = false, copies = false;
  for (size_t i = 0; i < shape.dims().size(); ++i) {
    const Dim& d = shape[i];
    const bool copied = !d.is_const() && from.ranked() && static_cast<int>(i) < from.rank() && from[i] == d;
    if (!d.is_const() && !copied && open) return std::nullopt;
    open |= !d.is_const() && !copied;
    copies |= copied;
    target.op.allow_zero |= d.is(0);
    target.dims.push_back(d.is_const() ? d.value() : copied ? 0 : -1);
  }
  return target.op.allow_zero && (open || copies) ? std::nullopt : std::optional(std::move(target));
}

/// Whether Reshape with these constants gives the very type that the node with computed ones gives, so that nothing goes unchecked.
bool says_the_same(const Graph& graph, const Node& node, const Target& target) {
  const Tensor dims = Tensor::of<int64_t>({static_cast<int64_t>(target.dims.size())}, target.dims);
  Type shape = Type::of(dims);
  shape.constant = &dims;
  const auto types = infer(target.op, {graph.type(node.inputs[0]), shape});
  return types.ok() && (*types)[0].same_as(graph.type(node.outputs[0]));
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

/// g(f(x)) -> Reshape(x) where f and g are Reshape, Flatten, Squeeze or Unsqueeze, and at most one dim of the result is neither constant
/// nor x's dim of the same place; -> x when that is the shape x has. Reshape(x, computed shape) -> Reshape(x, constants) in the same case.
/// A Transpose that only moves dims of 1 becomes a Reshape too.
Result<bool> merge_reshapes(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  ValueId from = kNone;
  bool computed = false;
  if (only_renames_dims(node.op)) {
    from = node.inputs[0];
    const NodeId before = producer(graph, from);
    if (before != kNone && only_renames_dims(graph.node(before).op)) {
      from = graph.node(before).inputs[0];
    } else if (std::holds_alternative<ops::Reshape>(node.op) && constant(graph, node.inputs[1]) == nullptr) {
      computed = true;
    } else {
      return false;
    }
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
  const auto target = as_target(graph.type(from).shape, graph.type(node.outputs[0]).shape);
  if (!target || (computed && !says_the_same(graph, node, *target))) return false;
  Patch patch(graph, id);
  const ValueId shape = patch.constant(Tensor::of<int64_t>({static_cast<int64_t>(target->dims.size())}, target->dims));
  return patch.apply(target->op, {from, shape});
}

}  // namespace tenon::passes
