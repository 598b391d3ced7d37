#include "passes/widen.h"

#include <unordered_map>

#include "ops/evaluate.h"

namespace tenon::passes {

namespace {

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

/// Whether a half-precision node that reads a widened value had better be widened too: what costs no more in float32 or is fused into what
/// is before it.
bool follows(const Op& op) {
  if (const auto* norm = std::get_if<ops::BatchNormalization>(&op)) return !norm->training;
  return std::holds_alternative<ops::Binary>(op) || std::holds_alternative<ops::Clip>(op) || std::holds_alternative<ops::Concat>(op) ||
         std::holds_alternative<ops::GlobalPool>(op) || std::holds_alternative<ops::GroupNormalization>(op) ||
         std::holds_alternative<ops::Pool>(op) || std::holds_alternative<ops::Reduce>(op) || std::holds_alternative<ops::Resize>(op) ||
         std::holds_alternative<ops::Unary>(op);
}

/// Half-precision values of one region in float32: what was rounded to them, or they cast up.
struct Wide {
  std::unordered_map<ValueId, ValueId> exact, cast;
};

Result<bool> widen(Graph& graph, NodeId id, Wide& wide, bool (*starts)(const Graph&, const Node&)) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone) return false;
  for (size_t i = 1; i < node.outputs.size(); ++i) {  // what nobody reads is left out
    if (is_read(graph, node, i)) return false;
  }
  bool reads_half = false, reads_wide = false;
  for (const ValueId v : node.inputs) {
    reads_half |= v != kNone && is_half(graph.type(v).dtype);
    reads_wide |= wide.exact.count(v) != 0;
  }
  const ValueId result = node.outputs[0];
  const DType half = graph.type(result).dtype;
  if (!reads_half || !((reads_wide && is_half(half) && follows(node.op)) || starts(graph, node))) return false;
  const Op op = node.op;
  std::vector<ValueId> inputs = node.inputs;
  Patch patch(graph, id);
  for (ValueId& v : inputs) {
    if (v == kNone || !is_half(graph.type(v).dtype)) continue;
    if (const auto known = wide.exact.find(v); known != wide.exact.end()) {
      v = known->second;
    } else if (const auto earlier = wide.cast.find(v); earlier != wide.cast.end()) {
      v = earlier->second;
    } else if (const Tensor* value = constant(graph, v)) {
      TENON_ASSIGN(auto out, evaluate(ops::Cast{.to = DType::kFloat32}, {value}));
      v = patch.constant(std::move(out[0]));
    } else {
      TENON_ASSIGN(const ValueId up, patch.add1(ops::Cast{.to = DType::kFloat32}, {v}));
      wide.cast.emplace(v, up);
      v = up;
    }
  }
  TENON_ASSIGN(const ValueId exact, patch.add1(op, std::move(inputs)));
  if (!is_half(half)) {
    patch.replace(result, exact);
    TENON_TRY(patch.apply());
    return true;
  }
  TENON_ASSIGN(const ValueId rounded, patch.add1(ops::Cast{.to = half}, {exact}));
  patch.replace(result, rounded);
  TENON_TRY(patch.apply());
  wide.exact.emplace(rounded, exact);
  return true;
}

}  // namespace

Result<bool> widen_from(Graph& graph, bool (*starts)(const Graph&, const Node&)) {
  bool changed = false;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    Wide wide;
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      if (graph.node(id).dead) continue;
      TENON_ASSIGN(const bool hit, widen(graph, id, wide, starts));
      changed |= hit;
    }
  }
  return changed;
}

}  // namespace tenon::passes
