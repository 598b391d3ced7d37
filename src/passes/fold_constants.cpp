#include <algorithm>

#include "ops/evaluate.h"
#include "ops/regions.h"
#include "passes/fold.h"
#include "passes/passes.h"

namespace tenon {

namespace {

// A folded tensor may not be much larger than what it is computed from: a file of a few bytes must not become gigabytes of constants.
constexpr size_t kMaxFolded = size_t{64} << 20;
constexpr size_t kMaxGrowth = size_t{1} << 20;

/// A value whose elements shape arithmetic has found becomes a constant.
Result<bool> fold_contents(Graph& graph, const Node& node) {
  bool changed = false;
  const std::vector<ValueId> outputs = node.outputs;
  for (const ValueId v : outputs) {
    if (v == kNone || graph.value(v).constant) continue;
    const Value& value = graph.value(v);
    if (value.users.empty() && value.output_uses == 0) continue;
    const Type& type = value.type;
    if (!type.contents || !type.is_static()) continue;
    std::vector<int64_t> ints;
    for (const Dim& d : *type.contents) {
      if (!d.is_const()) break;
      ints.push_back(d.value());
    }
    if (ints.size() != type.contents->size()) continue;
    TENON_ASSIGN(Tensor tensor, Tensor::allocate(type.dtype, type.shape.to_ints()));
    if (tensor.count() != static_cast<int64_t>(ints.size())) continue;
    const bool known = dispatch<int64_t, int32_t, bool>(type.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (size_t i = 0; i < ints.size(); ++i) tensor.as<T>()[i] = static_cast<T>(ints[i]);
    });
    if (!known) continue;
    graph.set_constant(v, std::make_shared<const Tensor>(std::move(tensor)));
    changed = true;
  }
  return changed;
}

}  // namespace

Result<bool> fold(Graph& graph, NodeId id) {
  if (!ops::regions_of(graph.node(id).op).empty()) return false;
  {
    // Types downstream of an earlier fold may be sharper now.
    TENON_TRY(graph.reinfer(id));
    TENON_ASSIGN(const bool changed, fold_contents(graph, graph.node(id)));
    if (changed) return true;
  }
  const Node& node = graph.node(id);
  std::vector<const Tensor*> inputs;
  size_t input_bytes = 0;
  for (const ValueId v : node.inputs) {
    if (v != kNone && !constant(graph, v)) return false;
    inputs.push_back(v == kNone ? nullptr : constant(graph, v));
    if (inputs.back()) input_bytes += inputs.back()->bytes();
  }
  int outputs = 0;
  size_t output_bytes = 0;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNone) continue;
    if (!graph.type(v).layout.plain() || !graph.type(v).is_tensor()) return false;
    outputs = static_cast<int>(i) + 1;
    if (graph.type(v).is_static()) {
      const auto count = element_count(graph.type(v).shape.to_ints());
      if (!count.ok()) return false;
      const auto bytes = checked_mul(*count, static_cast<int64_t>(size_of(graph.type(v).dtype)));
      if (!bytes) return false;
      output_bytes += static_cast<size_t>(*bytes);
    }
  }
  if (outputs == 0 || output_bytes > kMaxFolded || output_bytes > 4 * input_bytes + kMaxGrowth) return false;
  auto results = evaluate(node.op, inputs, outputs);
  // What cannot be computed fails when (and if) it runs, with the node's name.
  if (!results.ok()) return false;
  const std::vector<ValueId> values = node.outputs;
  for (int i = 0; i < outputs; ++i) {
    if (values[i] != kNone) graph.set_constant(values[i], std::make_shared<const Tensor>(std::move((*results)[i])));
  }
  return true;
}

namespace passes {

/// A node whose inputs are all constants is computed now; so is an integer value whose contents are known although its inputs are not.
/// Results much larger than their inputs stay computed at run time. Quantised constants stay what they are: products take them so.
Result<bool> fold_constants(Graph& graph, NodeId id) {
  const Op& op = graph.node(id).op;
  if (std::holds_alternative<ops::DequantizeLinear>(op) || std::holds_alternative<ops::DequantizeBits>(op)) return false;
  return fold(graph, id);
}

}  // namespace passes

}  // namespace tenon
