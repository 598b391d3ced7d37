#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

/// value = min(max(x, low), high) for constants, however it is written.
struct Clamp {
  ValueId x = kNone;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

Clamp clamp_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  Clamp clamp;
  if (const auto* unary = std::get_if<ops::Unary>(&node.op); unary != nullptr && unary->kind == ops::Unary::Kind::kRelu) {
    clamp.x = node.inputs[0];
    clamp.low = 0;
  } else if (const auto* binary = std::get_if<ops::Binary>(&node.op)) {
    const bool max = binary->kind == ops::Binary::Kind::kMax;
    if (!max && binary->kind != ops::Binary::Kind::kMin) return {};
    for (size_t side = 0; side < 2 && clamp.x == kNone; ++side) {
      const auto bound = scalar_constant(graph, node.inputs[1 - side]);
      if (!bound || *bound != *bound) continue;
      clamp.x = node.inputs[side];
      (max ? clamp.low : clamp.high) = *bound;
    }
  } else if (std::holds_alternative<ops::Clip>(node.op)) {
    for (size_t i = 1; i < 3; ++i) {
      if (!given(node, i)) continue;
      const auto bound = scalar_constant(graph, node.inputs[i]);
      if (!bound || *bound != *bound) return {};
      (i == 1 ? clamp.low : clamp.high) = *bound;
    }
    clamp.x = node.inputs[0];
  }
  // Bounds the wrong way round mean the upper one everywhere, which no other Clip says.
  if (clamp.x == kNone || !(clamp.low <= clamp.high) || graph.type(clamp.x).dtype != DType::kFloat32) return {};
  return same_type(graph, clamp.x, node.outputs[0]) ? clamp : Clamp{};
}

}  // namespace

/// Max(x, low), Min(x, high) by scalar constants              ->  Clip(x, low, high)
/// Clip(Clip(x, a, b), c, d), Relu and Max and Min among them ->  Clip(x, ...), where nothing else reads the inner one
/// float32 alone.
Result<bool> merge_clips(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone) return false;
  Clamp clamp = clamp_of(graph, id);
  if (clamp.x == kNone) return false;
  const NodeId before = producer(graph, clamp.x);
  const bool alone = before == kNone || !graph.single_use(clamp.x) || graph.node(before).region != node.region;
  const Clamp inner = alone ? Clamp{} : clamp_of(graph, before);
  if (inner.x != kNone) {
    clamp = {inner.x, std::clamp(inner.low, clamp.low, clamp.high), std::clamp(inner.high, clamp.low, clamp.high)};
  } else if (!std::holds_alternative<ops::Binary>(node.op)) {
    return false;
  }
  Patch patch(graph, id);
  std::vector<ValueId> inputs{clamp.x, kNone, kNone};
  if (std::isfinite(clamp.low)) inputs[1] = patch.constant(Tensor::of<float>({}, {static_cast<float>(clamp.low)}));
  if (std::isfinite(clamp.high)) inputs[2] = patch.constant(Tensor::of<float>({}, {static_cast<float>(clamp.high)}));
  return patch.apply(ops::Clip{}, std::move(inputs));
}

}  // namespace tenon::passes
