#include "passes/part.h"

namespace tenon {

namespace {

/// The one element of a constant of integers.
std::optional<int64_t> one_int(const Graph& graph, const Node& node, size_t input) {
  if (input >= node.inputs.size()) return std::nullopt;
  const Tensor* t = constant(graph, node.inputs[input]);
  return t && is_integer(t->dtype()) && t->count() == 1 ? std::optional(t->to_ints()[0]) : std::nullopt;
}

bool is_last(int64_t axis, int rank) { return axis == -1 || axis == rank - 1; }

}  // namespace

std::optional<Part> part_of(const Graph& graph, ValueId value) {
  const NodeId id = graph.value(value).producer;
  if (id == kNone) return std::nullopt;
  const Node& node = graph.node(id);
  const auto* split = std::get_if<ops::Split>(&node.op);
  if (split == nullptr && !std::holds_alternative<ops::Slice>(node.op)) return std::nullopt;
  const ValueId source = node.inputs[0];
  const Type& type = graph.type(source);
  if (!type.ranked() || type.rank() == 0 || !type.layout.plain()) return std::nullopt;
  const Dim& size = type.shape.dims().back();
  if (!size.is_const()) return std::nullopt;
  if (split != nullptr) {
    if (!is_last(split->axis, type.rank())) return std::nullopt;
    Part part{source, 0, 0};
    for (int i = 0; i <= graph.value(value).output; ++i) {
      const ValueId piece = node.outputs[static_cast<size_t>(i)];
      if (piece == kNone || !graph.type(piece).ranked() || !graph.type(piece).shape.dims().back().is_const()) return std::nullopt;
      part.first += part.count;
      part.count = graph.type(piece).shape.dims().back().value();
    }
    return part;
  }
  const auto start = one_int(graph, node, 1), end = one_int(graph, node, 2), axis = one_int(graph, node, 3), step = one_int(graph, node, 4);
  const bool stepped = given(node, 4);
  if (!start || !end || !axis || !is_last(*axis, type.rank()) || (stepped && (!step || *step != 1))) return std::nullopt;
  const ops::SliceExtent extent = ops::slice_extent(*start, *end, 1, size.value());
  return Part{source, extent.first, extent.count};
}

}  // namespace tenon
