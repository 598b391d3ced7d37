#include "passes/part.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// Heads [first, first + heads) of `source`, a matrix a batch whose rows are heads of `size` elements side by side.
struct Heads {
  ValueId source = kNone;
  int64_t first = 0, heads = 0, size = 0, all = 0;
};

/// An operand by row: Reshape [batch, rows, heads, size] of a part of the last axis of [batch, rows, ...].
std::optional<Heads> cut_before_reshape(const Graph& graph, ValueId operand) {
  if (graph.producer_as<ops::Reshape>(operand) == nullptr) return std::nullopt;
  const ValueId flat = graph.node(producer(graph, operand)).inputs[0];
  const auto part = part_of(graph, flat);
  if (!part) return std::nullopt;
  const Type &x = graph.type(part->source), &y = graph.type(operand);
  if (x.rank() != 3 || !y.ranked() || y.rank() != 4 || !(x.shape[0] == y.shape[0]) || !(x.shape[1] == y.shape[1])) return std::nullopt;
  const Dim &heads = y.shape[2], &size = y.shape[3];
  if (!heads.is_const() || !size.is_const() || size.value() <= 0 || heads.value() * size.value() != part->count) return std::nullopt;
  const int64_t width = x.shape[2].value();
  if (part->first % size.value() != 0 || width % size.value() != 0) return std::nullopt;
  return Heads{part->source, part->first / size.value(), heads.value(), size.value(), width / size.value()};
}

/// One of three in Reshape [batch, rows, 3, heads, size] of [batch, rows, ...]: by row as they lie there, by head behind
/// Transpose(2, 0, 3, 1, 4).
std::optional<Heads> cut_after_reshape(const Graph& graph, ValueId operand, bool by_row) {
  const auto taken = element_of(graph, operand, by_row ? 2 : 0);
  if (!taken) return std::nullopt;
  ValueId wide = taken->source;
  if (!by_row) {
    const auto* transpose = graph.producer_as<ops::Transpose>(wide);
    if (transpose == nullptr || transpose->perm != std::vector<int64_t>{2, 0, 3, 1, 4}) return std::nullopt;
    wide = graph.node(producer(graph, wide)).inputs[0];
  }
  if (graph.producer_as<ops::Reshape>(wide) == nullptr || !graph.type(wide).ranked() || graph.type(wide).rank() != 5) return std::nullopt;
  const ValueId source = graph.node(producer(graph, wide)).inputs[0];
  const Type &x = graph.type(source), &w = graph.type(wide);
  if (!x.ranked() || x.rank() != 3 || !(x.shape[0] == w.shape[0]) || !(x.shape[1] == w.shape[1])) return std::nullopt;
  for (size_t i = 2; i < 5; ++i)
    if (!w.shape[i].is_const() || w.shape[i].value() <= 0) return std::nullopt;
  const int64_t heads = w.shape[3].value();
  return Heads{source, taken->first * heads, heads, w.shape[4].value(), w.shape[2].value() * heads};
}

}  // namespace

/// Attention of parts of one product, cut by Split or Slice and then reshaped into heads, or reshaped, maybe transposed, and then taken one
/// by one -> Attention of windows of the product's heads.
Result<bool> absorb_attention_split(Graph& graph, NodeId id) {
  const auto* found = std::get_if<ops::Attention>(&graph.node(id).op);
  if (found == nullptr) return false;
  ops::Attention op = *found;
  std::vector<ValueId> inputs = graph.node(id).inputs;
  struct Operand {
    bool& by_row;
    ops::Attention::Window& window;
  } operands[] = {{op.q_by_row, op.q_heads}, {op.k_by_row, op.k_heads}, {op.v_by_row, op.v_heads}};
  Patch patch(graph, id);
  bool changed = false;
  for (size_t i = 0; i < 3; ++i) {
    auto& [by_row, window] = operands[i];
    if (window.heads != 0 || (i == 1 && op.k_transposed)) continue;
    auto heads = by_row ? cut_before_reshape(graph, inputs[i]) : std::nullopt;
    if (!heads) heads = cut_after_reshape(graph, inputs[i], by_row);
    if (!heads) continue;
    const ValueId shape = patch.constant(Tensor::of<int64_t>({4}, {0, 0, heads->all, heads->size}));
    TENON_ASSIGN(inputs[i], patch.add1(ops::Reshape{}, {heads->source, shape}));
    by_row = true;
    window = {heads->first, heads->heads};
    changed = true;
  }
  if (!changed) return false;
  return patch.apply(op, std::move(inputs));
}

}  // namespace tenon::passes
