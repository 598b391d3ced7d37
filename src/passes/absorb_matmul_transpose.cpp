#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// The input of a Transpose that swaps the last two dims and leaves the others, or kNone.
ValueId swapped(const Graph& graph, ValueId value) {
  const auto* transpose = graph.producer_as<ops::Transpose>(value);
  if (transpose == nullptr || !graph.type(value).ranked()) return kNone;
  const auto perm = ops::full_perm(*transpose, graph.type(value).rank());
  if (!perm.ok() || perm->size() < 2) return kNone;
  const size_t rank = perm->size();
  for (size_t i = 0; i < rank; ++i) {
    const size_t expected = i + 2 < rank ? i : 2 * rank - 3 - i;
    if ((*perm)[i] != static_cast<int64_t>(expected)) return kNone;
  }
  return graph.node(graph.value(value).producer).inputs[0];
}

}  // namespace

/// MatMul(Transpose(a), b) -> MatMul(a, b, trans_a) and the same for b, where the transpose swaps the last two dims.
Result<bool> absorb_matmul_transpose(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* found = std::get_if<ops::MatMul>(&node.op);
  if (found == nullptr) return false;
  ops::MatMul op = *found;
  std::vector<ValueId> inputs = node.inputs;
  const ValueId a = swapped(graph, inputs[0]), b = swapped(graph, inputs[1]);
  if (a == kNone && b == kNone) return false;
  if (a != kNone) {
    inputs[0] = a;
    op.trans_a = !op.trans_a;
  }
  if (b != kNone) {
    inputs[1] = b;
    op.trans_b = !op.trans_b;
  }
  return become(graph, id, op, std::move(inputs));
}

}  // namespace tenon::passes
