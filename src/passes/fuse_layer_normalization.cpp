#include "passes/normalized.h"
#include "passes/passes.h"

namespace tenon::passes {

/// (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)  ->  LayerNormalization(x, ones)
/// LayerNormalization(x, ones) * scale                    ->  LayerNormalization(x, scale)
/// LayerNormalization(x, scale) + bias                    ->  LayerNormalization(x, scale, bias)
/// Cast(LayerNormalization(Cast(x), ones))                ->  LayerNormalization(x, ones) of a half x, which is computed in float32 as well
/// The steps together take every spelling. Scale and bias reach no further than the normalised axes; the value in between
/// has no other reader.
Result<bool> fuse_layer_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (std::holds_alternative<ops::Cast>(node.op)) return narrow_normalization<ops::LayerNormalization>(graph, id);
  const auto* op = std::get_if<ops::Binary>(&node.op);
  if (!op || node.outputs[0] == kNone) return false;
  if (const Normalized n = normalized(graph, id); n.x != kNone && n.centred) {
    Patch patch(graph, id);
    const ValueId scale = patch.constant(ones_for(graph, n.x, n.axes));
    return patch.apply(ops::LayerNormalization{-n.axes, static_cast<float>(n.epsilon)}, {n.x, scale});
  }
  if (op->kind != ops::Binary::Kind::kMul && op->kind != ops::Binary::Kind::kAdd) return false;
  for (int side = 0; side < 2; ++side) {
    const ValueId y = node.inputs[side], other = node.inputs[1 - side];
    const auto* norm = graph.producer_as<ops::LayerNormalization>(y);
    if (!norm || !graph.single_use(y) || !graph.type(y).ranked()) continue;
    const Node& source = graph.node(producer(graph, y));
    if (source.outputs[0] != y || source.region != node.region || given(source, 2)) continue;
    const ValueId x = source.inputs[0];
    const int64_t axes = axes_from(norm->axis, graph.type(x).rank());
    if (!within_last_axes(graph, other, x, axes) || graph.type(other).dtype != graph.type(x).dtype) continue;
    if (op->kind == ops::Binary::Kind::kMul && !all_ones(graph, source.inputs[1])) continue;
    std::vector<ValueId> inputs{x, source.inputs[1], other};
    if (op->kind == ops::Binary::Kind::kMul) inputs = {x, other};
    return become(graph, id, *norm, inputs);
  }
  return false;
}

}  // namespace tenon::passes
