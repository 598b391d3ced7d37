#include "passes/conv_weights.h"
#include "passes/passes.h"

namespace tenon::passes {

/// Conv(x, w, b) * c, / c, + c or - c -> Conv(x, w', b'), where c is a constant with one value a filter and w and b are constants too.
Result<bool> fold_conv_scale(Graph& graph, NodeId id) {
  if (!std::holds_alternative<ops::Binary>(graph.node(id).op)) return false;
  for (size_t side = 0; side < 2; ++side) {
    const auto conv = match_conv(graph, id, graph.node(id).inputs[side]);
    const auto by = conv ? affine(graph, id, side, {1, {conv->filters}}) : std::nullopt;
    if (by) return scale_conv(graph, id, *conv, *by);
  }
  return false;
}

}  // namespace tenon::passes
