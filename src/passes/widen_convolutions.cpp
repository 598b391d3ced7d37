#include <unordered_map>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

/// Whether a half-precision node that reads a widened value had better be widened too: what stands between convolutions, costs no more in
/// float32 or is fused into them.
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

Result<bool> widen(Graph& graph, NodeId id, Wide& wide) {
  const Node& node = graph.node(id);
  if (node.outputs.size() != 1 || node.outputs[0] == kNone) return false;
  const ValueId result = node.outputs[0];
  const DType half = graph.type(result).dtype;
  if (!is_half(half)) return false;
  const bool convolution = std::holds_alternative<ops::Conv>(node.op) || std::holds_alternative<ops::ConvTranspose>(node.op);
  if (convolution) {
    if (constant(graph, node.inputs[1]) == nullptr) return false;
  } else {
    bool reads = false;
    for (const ValueId v : node.inputs) reads |= wide.exact.count(v) != 0;
    if (!reads || !follows(node.op)) return false;
  }
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
  TENON_ASSIGN(const ValueId rounded, patch.add1(ops::Cast{.to = half}, {exact}));
  patch.replace(result, rounded);
  TENON_TRY(patch.apply());
  wide.exact.emplace(rounded, exact);
  return true;
}

}  // namespace

/// Conv(x, constant w) -> Cast(Conv(Cast(x), w)) for float16 and bfloat16: computed in float32, for which there are fast kernels, and so is
/// what follows it, without rounding between: op(Cast(y)) -> Cast(op(y)), where the Cast is one of this pass.
Result<bool> widen_convolutions(Graph& graph) {
  bool changed = false;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    Wide wide;
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      if (graph.node(id).dead) continue;
      TENON_ASSIGN(const bool hit, widen(graph, id, wide));
      changed |= hit;
    }
  }
  return changed;
}

}  // namespace tenon::passes
