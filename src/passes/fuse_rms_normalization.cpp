#include "passes/normalized.h"
#include "passes/passes.h"

namespace tenon::passes {

/// x / sqrt(mean(x^2) + epsilon)       ->  RMSNormalization(x, ones)
/// RMSNormalization(x, ones) * scale   ->  RMSNormalization(x, scale)
/// Cast(RMSNormalization(Cast(x), ones))  ->  RMSNormalization(x, ones) of a half x, which is computed in float32 as well
/// The scale reaches no further than the normalised axes; the value in between has no other reader.
Result<bool> fuse_rms_normalization(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (std::holds_alternative<ops::Cast>(node.op)) return narrow_normalization<ops::RMSNormalization>(graph, id);
  const auto* op = std::get_if<ops::Binary>(&node.op);
  if (!op || node.outputs[0] == kNone) return false;
  if (const Normalized n = normalized(graph, id); n.x != kNone && !n.centred) {
    Patch patch(graph, id);
    const ValueId scale = patch.constant(ones_for(graph, n.x, n.axes));
    return patch.apply(ops::RMSNormalization{-n.axes, static_cast<float>(n.epsilon)}, {n.x, scale});
  }
  if (op->kind != ops::Binary::Kind::kMul) return false;
  for (int side = 0; side < 2; ++side) {
    const ValueId y = node.inputs[side], scale = node.inputs[1 - side];
    const auto* norm = graph.producer_as<ops::RMSNormalization>(y);
    if (!norm || !graph.single_use(y)) continue;
    const Node& source = graph.node(producer(graph, y));
    const ValueId x = source.inputs[0];
    if (source.region != node.region || !graph.type(x).ranked() || !all_ones(graph, source.inputs[1])) continue;
    const int64_t axes = axes_from(norm->axis, graph.type(x).rank());
    if (!within_last_axes(graph, scale, x, axes) || graph.type(scale).dtype != graph.type(y).dtype) continue;
    return become(graph, id, *norm, {x, scale});
  }
  return false;
}

}  // namespace tenon::passes
