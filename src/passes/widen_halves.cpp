#include "passes/passes.h"
#include "passes/widen.h"

namespace tenon::passes {

namespace {

template <class... Ops>
bool is_one_of(const Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

}  // namespace

/// Nodes of float16 and bfloat16 for which only float32 has fast kernels, op(x) -> Cast(op(Cast(x))), and what follows them. After the
/// fusions, which have kernels that take halves as they are.
Result<bool> widen_halves(Graph& graph) {
  return widen_from(graph, [](const Graph&, const Node& node) {
    if (const auto* binary = std::get_if<ops::Binary>(&node.op)) return kernels::is_comparison(binary->kind);
    if (const auto* norm = std::get_if<ops::BatchNormalization>(&node.op)) return !norm->training;
    return is_one_of<ops::ArgReduce, ops::Clip, ops::GlobalPool, ops::GroupNormalization, ops::Pool, ops::Reduce, ops::Resize,
                     ops::Softmax>(node.op);
  });
}

}  // namespace tenon::passes
