#include <map>
#include <tuple>

#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// RNN, GRU, LSTM: constant W and R.
Result<bool> pack_recurrent(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto op = std::get<ops::Recurrent>(node.op);
  std::vector<ValueId> inputs = node.inputs;
  Patch patch(graph, id);
  bool changed = false;
  for (int i = 1; i <= 2; ++i) {
    const Tensor* weights = constant(graph, inputs[static_cast<size_t>(i)]);
    if (weights == nullptr) continue;
    TENON_ASSIGN(auto result, ops::pack_recurrent_weights(op, i, *weights));
    if (!result) continue;
    Type type = Type::of(result->tensor.dtype(), Shape::of(result->tensor.dims()));
    type.layout = result->layout;
    inputs[static_cast<size_t>(i)] = patch.constant(std::move(result->tensor), std::move(type));
    changed = true;
  }
  if (!changed) return false;
  const std::vector<ValueId> outputs = node.outputs;
  TENON_ASSIGN(const std::vector<ValueId> replaced, patch.add(op, std::move(inputs), static_cast<int>(outputs.size())));
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] != kNone) patch.replace(outputs[i], replaced[i]);
  }
  return patch.apply();
}

/// Lets Gathers along axis 0 of `weights` take rows out of their packed form, when nothing but these reads the plain one.
Result<bool> gather_from_packed(Graph& graph, ValueId weights, ValueId packed, bool transposed) {
  const Value& value = graph.value(weights);
  if (value.users.empty() || value.output_uses > 0 || value.type.rank() != 2) return false;
  if (!ops::can_gather_packed(value.type.dtype)) return false;
  const std::vector<NodeId> users = value.users;
  for (const NodeId id : users) {
    const Node& node = graph.node(id);
    const auto* gather = std::get_if<ops::Gather>(&node.op);
    if (!gather || (gather->axis != 0 && gather->axis != -2) || node.inputs[1] == weights || node.region != graph.value(packed).region)
      return false;
  }
  for (const NodeId id : users) {
    Patch patch(graph, id);
    TENON_TRY(patch.become(ops::GatherPacked{.columns = transposed}, {packed, graph.node(id).inputs[1]}));
    TENON_TRY(patch.apply());
  }
  return true;
}

/// Filters are packed differently for 8-bit results.
bool is_byte(DType dtype) { return dtype == DType::kInt8 || dtype == DType::kUint8; }

}  // namespace

/// MatMul(a, constant b) -> MatMul(a, packed b), and the weights of integer products and recurrent layers likewise: weights are packed
/// once, for the instruction set in use, and the plain tensor goes when nothing else reads it. Nodes that share a constant share its
/// packing, Gathers of embeddings that are weights too included.
Result<bool> pack_weights(Graph& graph) {
  std::map<std::tuple<ValueId, bool, int64_t, RegionId>, ValueId> packed;
  bool changed = false;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      const Node& node = graph.node(id);
      if (node.dead) continue;
      if (std::holds_alternative<ops::Recurrent>(node.op)) {
        TENON_ASSIGN(const bool packs, pack_recurrent(graph, id));
        changed |= packs;
        continue;
      }
      Op op = node.op;
      auto* product = std::get_if<ops::MatMul>(&op);
      const auto* conv = std::get_if<ops::QLinearConv>(&op);
      const bool integers = conv != nullptr || std::holds_alternative<ops::QLinearMatMul>(op);
      if (product == nullptr && !integers) continue;
      std::vector<ValueId> inputs = node.inputs;
      ValueId& weights = inputs[integers ? ops::kB : 1];
      const Tensor* b = constant(graph, weights);
      if (b == nullptr) continue;
      Patch patch(graph, id);
      const bool trans_b = !integers && product->trans_b;
      const auto key = std::make_tuple(weights, trans_b, conv != nullptr ? 2 * conv->group + (is_byte(conv->to) ? 1 : 0) : 0, r);
      auto known = packed.find(key);
      if (known == packed.end()) {
        std::optional<ops::PackedWeights> result;
        TENON_ASSIGN(result, conv != nullptr ? ops::pack_integer_filters(*conv, *b)
                             : integers      ? ops::pack_integer_weights(*b)
                                             : ops::pack_matmul_weights(*b, trans_b));
        if (!result) continue;
        Type type = Type::of(result->tensor.dtype(), Shape::of(result->tensor.dims()));
        type.layout = result->layout;
        known = packed.emplace(key, patch.constant(std::move(result->tensor), std::move(type))).first;
      }
      weights = known->second;
      if (product != nullptr) product->trans_b = false;
      TENON_TRY(patch.become(std::move(op), std::move(inputs)));
      TENON_TRY(patch.apply());
      changed = true;
    }
  }
  for (const auto& [key, value] : packed) {
    TENON_ASSIGN(const bool shares, gather_from_packed(graph, std::get<0>(key), value, std::get<1>(key)));
    changed |= shares;
  }
  return changed;
}

}  // namespace tenon::passes
