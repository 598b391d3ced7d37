#include "passes/part.h"

namespace tenon {

namespace {

/// The one element of a constant of integers.
std::optional<int64_t> one_int(const Graph& graph, const Node& node, size_t input) {
  if (input >= node.inputs.size()) return std::nullopt;
  const Tensor* t = constant(graph, node.inputs[input]);
  return t && is_integer(t->dtype()) && t->count() == 1 ? std::optional(t->to_ints()[0]) : std::nullopt;
}

bool same_axis(int64_t a, int64_t b, int rank) { return (a < 0 ? a + rank : a) == (b < 0 ? b + rank : b); }

}  // namespace

std::optional<Part> part_of(const Graph& graph, ValueId value, int axis) {
  const NodeId id = graph.value(value).producer;
  if (id == kNone) return std::nullopt;
  const Node& node = graph.node(id);
  const auto* split = std::get_if<ops::Split>(&node.op);
  if (split == nullptr && !std::holds_alternative<ops::Slice>(node.op)) return std::nullopt;
  const ValueId source = node.inputs[0];
  const Type& type = graph.type(source);
  if (!type.ranked() || type.rank() == 0 || axis >= type.rank() || axis < -type.rank() || !type.layout.plain()) return std::nullopt;
  const auto at = static_cast<size_t>(axis < 0 ? axis + type.rank() : axis);
  const Dim& size = type.shape.dims()[at];
  if (!size.is_const()) return std::nullopt;
  if (split != nullptr) {
    if (!same_axis(split->axis, axis, type.rank())) return std::nullopt;
    Part part{source, 0, 0};
    for (int i = 0; i <= graph.value(value).output; ++i) {
      const ValueId piece = node.outputs[static_cast<size_t>(i)];
      if (piece == kNone || !graph.type(piece).ranked() || !graph.type(piece).shape.dims()[at].is_const()) return std::nullopt;
      part.first += part.count;
      part.count = graph.type(piece).shape.dims()[at].value();
    }
    return part;
  }
  const auto start = one_int(graph, node, 1), end = one_int(graph, node, 2), along = one_int(graph, node, 3),
             step = one_int(graph, node, 4);
  const bool stepped = given(node, 4);
  if (!start || !end || !along || !same_axis(*along, axis, type.rank()) || (stepped && (!step || *step != 1))) return std::nullopt;
  const ops::SliceExtent extent = ops::slice_extent(*start, *end, 1, size.value());
  return Part{source, extent.first, extent.count};
}

std::optional<Part> every_second(const Graph& graph, ValueId value) {
  const NodeId id = producer(graph, value);
  if (id == kNone || !graph.type(value).ranked() || graph.type(value).rank() == 0) return std::nullopt;
  const int rank = graph.type(value).rank();
  const auto of_last_dim = [&graph](ValueId source) -> std::optional<int64_t> {
    const Type& type = graph.type(source);
    if (!type.ranked() || type.rank() == 0 || !type.layout.plain() || !type.shape.dims().back().is_const()) return std::nullopt;
    return type.shape.dims().back().value();
  };
  if (std::holds_alternative<ops::Slice>(graph.node(id).op)) {
    const Node& node = graph.node(id);
    const auto start = one_int(graph, node, 1), end = one_int(graph, node, 2), along = one_int(graph, node, 3),
               step = one_int(graph, node, 4), size = of_last_dim(node.inputs[0]);
    if (!start || !end || !along || !step || *step != 2 || !size || !same_axis(*along, -1, rank)) return std::nullopt;
    const ops::SliceExtent extent = ops::slice_extent(*start, *end, 2, *size);
    return Part{node.inputs[0], extent.first, extent.count};
  }
  const auto element = element_of(graph, value, rank);
  if (!element || graph.producer_as<ops::Reshape>(element->source) == nullptr) return std::nullopt;
  const ValueId source = graph.node(producer(graph, element->source)).inputs[0];
  const auto size = of_last_dim(source);
  if (!size || *size % 2 != 0) return std::nullopt;
  DimList dims = graph.type(source).shape.dims();
  dims.back() = Dim(*size / 2);
  dims.emplace_back(2);
  return graph.type(element->source).shape == Shape(std::move(dims)) ? std::optional(Part{source, element->first, *size / 2})
                                                                     : std::nullopt;
}

std::optional<Part> element_of(const Graph& graph, ValueId value, int axis) {
  const NodeId id = producer(graph, value);
  if (id == kNone || !graph.type(value).ranked()) return std::nullopt;
  const Node& node = graph.node(id);
  if (const auto* gather = std::get_if<ops::Gather>(&node.op)) {
    const auto index = one_int(graph, node, 1);
    const Type& type = graph.type(node.inputs[0]);
    if (!index || graph.type(node.inputs[1]).rank() != 0 || !type.ranked() || !same_axis(gather->axis, axis, type.rank()))
      return std::nullopt;
    const Dim& size = type.shape.dims()[static_cast<size_t>(axis)];
    if (!size.is_const()) return std::nullopt;
    return Part{node.inputs[0], *index < 0 ? *index + size.value() : *index, 1};
  }
  if (!std::holds_alternative<ops::Squeeze>(node.op) && !std::holds_alternative<ops::Reshape>(node.op)) return std::nullopt;
  const auto part = part_of(graph, node.inputs[0], axis);
  if (!part || part->count != 1) return std::nullopt;
  DimList rest = graph.type(node.inputs[0]).shape.dims();
  rest.erase(rest.begin() + axis);
  return graph.type(value).shape == Shape(std::move(rest)) ? part : std::nullopt;
}

}  // namespace tenon
