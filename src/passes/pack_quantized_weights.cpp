#include <map>
#include <tuple>

#include "ops/matmul_bits.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// A dequantised constant matrix, perhaps transposed.
struct Weights {
  ValueId value = kNone;  ///< what dequantises gives
  bool transposed = false;
};
Weights weights_of(const Graph& graph, ValueId operand, bool trans_b) {
  Weights w{operand, trans_b};
  if (const auto* transpose = graph.producer_as<ops::Transpose>(operand);
      transpose != nullptr && graph.type(operand).ranked() && graph.type(operand).rank() == 2 &&
      (transpose->perm.empty() || transpose->perm == std::vector<int64_t>{1, 0})) {
    w = {graph.node(producer(graph, operand)).inputs[0], !trans_b};
  }
  return w;
}

Result<std::optional<ops::BitsWeights>> pack(const Graph& graph, const Weights& w) {
  const NodeId id = producer(graph, w.value);
  if (id == kNone) return std::optional<ops::BitsWeights>();
  const Node& node = graph.node(id);
  const auto input = [&](size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNone; };
  const Tensor *codes = constant(graph, input(0)), *scales = constant(graph, input(1)), *zeros = constant(graph, input(2));
  if (codes == nullptr || scales == nullptr || (input(2) != kNone && zeros == nullptr)) return std::optional<ops::BitsWeights>();
  if (const auto* bits = std::get_if<ops::DequantizeBits>(&node.op); bits != nullptr && w.transposed && input(3) == kNone) {
    return ops::pack_bits_weights(*bits, *codes, *scales, zeros);
  }
  if (const auto* linear = std::get_if<ops::DequantizeLinear>(&node.op); linear != nullptr) {
    return ops::pack_bits_weights(*linear, *codes, *scales, zeros, w.transposed);
  }
  return std::optional<ops::BitsWeights>();
}

}  // namespace

/// MatMul(a, dequantised constant b) -> MatMul(a, b packed in its 2, 4 or 8 bits), through a Transpose of b as well. Products that share b
/// share its packing.
Result<bool> pack_quantized_weights(Graph& graph) {
  std::map<std::tuple<ValueId, bool, RegionId>, ValueId> packed;
  bool changed = false;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      const Node& node = graph.node(id);
      const auto* found = node.dead ? nullptr : std::get_if<ops::MatMul>(&node.op);
      if (found == nullptr) continue;
      const Weights w = weights_of(graph, node.inputs[1], found->trans_b);
      ops::MatMul op = *found;
      std::vector<ValueId> inputs = node.inputs;
      Patch patch(graph, id);
      const auto key = std::make_tuple(w.value, w.transposed, r);
      auto known = packed.find(key);
      if (known == packed.end()) {
        TENON_ASSIGN(auto result, pack(graph, w));
        if (!result) continue;
        known = packed.emplace(key, patch.constant(std::move(result->tensor), std::move(result->type))).first;
      }
      inputs[1] = known->second;
      op.trans_b = false;
      TENON_TRY(patch.become(op, std::move(inputs)));
      TENON_TRY(patch.apply());
      changed = true;
    }
  }
  return changed;
}

}  // namespace tenon::passes
