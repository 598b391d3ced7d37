#include "graph/patch.h"

namespace tenon {

namespace {

/// The node whose name and origin a new node takes: one of the anchor's producers when the new node is of its kind and the anchor is not
/// (a Relu fused into a Conv leaves a Conv), otherwise the anchor.
const Node& namesake(const Graph& graph, const Node& anchor, const Op& op) {
  if (anchor.op.index() == op.index()) return anchor;
  for (const ValueId v : anchor.inputs) {
    if (v == kNone || graph.value(v).producer == kNone) continue;
    const Node& producer = graph.node(graph.value(v).producer);
    if (producer.op.index() == op.index()) return producer;
  }
  return anchor;
}

/// What people call the operator: "Gelu" rather than the family "Unary".
std::string_view common_name(const Op& op) {
  if (const auto* unary = std::get_if<ops::Unary>(&op)) return ops::name_of(unary->kind);
  if (const auto* binary = std::get_if<ops::Binary>(&op)) return ops::name_of(binary->kind);
  if (const auto* reduce = std::get_if<ops::Reduce>(&op)) return ops::name_of(reduce->kind);
  return op_name(op);
}

}  // namespace

Result<std::vector<ValueId>> Patch::add(Op op, std::vector<ValueId> inputs, int outputs) {
  const Node& from = namesake(graph_, graph_.node(anchor_), op);
  Graph::NodeSpec spec;
  spec.name = from.name;
  // A node of another kind (a Reorder before a Conv, a Gelu for a chain that ended in Mul) says what it is.
  spec.source_op = from.op.index() == op.index() ? from.source_op : std::string(common_name(op));
  spec.source_domain = from.source_domain;
  spec.source_opset = from.source_opset;
  auto id = graph_.make_detached(graph_.node(anchor_).region, std::move(op), std::move(inputs), std::move(spec), outputs);
  if (!id.ok()) {
    failed_ = id.status();
    return std::move(id).status();
  }
  added_.push_back(*id);
  return graph_.node(*id).outputs;
}

Result<ValueId> Patch::add1(Op op, std::vector<ValueId> inputs) {
  TENON_ASSIGN(const auto out, add(std::move(op), std::move(inputs), 1));
  return out[0];
}

ValueId Patch::constant(Tensor tensor) { return graph_.add_constant(graph_.node(anchor_).region, "", std::move(tensor)); }
ValueId Patch::constant(Tensor tensor, Type type) {
  return graph_.add_constant(graph_.node(anchor_).region, "", std::move(tensor), std::move(type));
}

Status Patch::become(Op op, std::vector<ValueId> inputs) {
  TENON_ASSIGN(const ValueId out, add1(std::move(op), std::move(inputs)));
  replace(graph_.node(anchor_).outputs[0], out);
  return {};
}

Result<bool> Patch::apply() {
  TENON_TRY(failed_);
  for (const auto& [from, to] : replacements_) {
    const Type &a = graph_.type(from), &b = graph_.type(to);
    bool agree = a.dtype == b.dtype && a.layout == b.layout && a.structure == b.structure;
    if (agree && a.ranked() && b.ranked()) {
      agree = a.rank() == b.rank();
      for (int i = 0; agree && i < a.rank(); ++i) agree = !a.shape[i].is_const() || !b.shape[i].is_const() || a.shape[i] == b.shape[i];
    }
    if (!agree) {
      return error(Code::kInternal, "rewrite at node '", graph_.node(anchor_).name, "' would turn ", a.str(), " into ", b.str());
    }
  }
  for (const NodeId id : added_) graph_.insert(id, anchor_);
  std::vector<NodeId> maybe_dead{anchor_};
  for (const auto& [from, to] : replacements_) {
    // What was known about the old value's shape stays known.
    if (const Type& a = graph_.type(from), &b = graph_.type(to); a.is_static() && !b.is_static() && !graph_.value(to).constant) {
      Type refined = b;
      refined.shape = a.shape;
      graph_.set_type(to, std::move(refined));
    }
    graph_.replace_uses(from, to);
    if (graph_.value(from).producer != kNone) maybe_dead.push_back(graph_.value(from).producer);
  }
  while (!maybe_dead.empty()) {
    const NodeId id = maybe_dead.back();
    maybe_dead.pop_back();
    const Node& n = graph_.node(id);
    if (n.dead) continue;
    bool read = false;
    for (const ValueId v : n.outputs) read |= v != kNone && (!graph_.value(v).users.empty() || graph_.value(v).output_uses > 0);
    if (read) continue;
    for (const ValueId v : n.inputs)
      if (v != kNone && graph_.value(v).producer != kNone) maybe_dead.push_back(graph_.value(v).producer);
    graph_.remove(id);
    // Weights that were replaced go at once, so that a load does not hold both forms of all of them.
    for (const ValueId v : n.inputs)
      if (v != kNone) graph_.release_if_unread(v);
  }
  return true;
}

Result<bool> Patch::apply(Op op, std::vector<ValueId> inputs) {
  TENON_TRY(become(std::move(op), std::move(inputs)));
  return apply();
}

Result<bool> become(Graph& graph, NodeId id, Op op, std::vector<ValueId> inputs) {
  return Patch(graph, id).apply(std::move(op), std::move(inputs));
}

}  // namespace tenon
