#include "plan/plan.h"

#include <algorithm>

namespace tenon {

const Plan::Place* Plan::find(ValueId v) const {
  const auto it = std::lower_bound(places.begin(), places.end(), v, [](const Place& p, ValueId id) { return p.value < id; });
  return it != places.end() && it->value == v ? &*it : nullptr;
}

bool Plan::takes(const Wanted& outputs, std::span<const Tensor> inputs) const {
  if (wanted != outputs || input_types.size() != inputs.size()) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!input_types[i].is_tensor()) continue;
    const Shape& shape = input_types[i].shape;
    const Dims& dims = inputs[i].dims();
    if (input_types[i].dtype != inputs[i].dtype() || static_cast<size_t>(shape.rank()) != dims.size()) return false;
    for (size_t d = 0; d < dims.size(); ++d)
      if (shape[d].value() != dims[d]) return false;
  }
  return true;
}

std::vector<Type> signature(const Graph& graph, RegionId region, const Wanted& wanted, std::span<const Tensor> inputs) {
  std::vector<ValueId> values = graph.region(region).inputs;
  const std::vector<ValueId> captures = demand_of(graph, region, wanted).captures;
  values.insert(values.end(), captures.begin(), captures.end());
  std::vector<Type> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Type& known = graph.type(values[i]);
    types.push_back(known.is_tensor() ? Type::of(inputs[i]) : known);
  }
  return types;
}

Result<size_t> bytes_of(const Type& type) {
  Dims dims = type.shape.to_ints();
  if (type.layout.kind == Layout::Kind::kChannelBlocked && dims.size() >= 2) {
    dims[1] = (dims[1] + type.layout.block - 1) / type.layout.block * type.layout.block;
  }
  TENON_ASSIGN(const int64_t count, element_count(dims));
  const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(type.dtype)));
  if (!bytes || *bytes > (int64_t{1} << 46)) return limit_error("size in bytes of ", type.str(), " is beyond every memory limit");
  return static_cast<size_t>(*bytes);
}

Status at(const Graph& graph, NodeId id, Status status, const std::vector<Type>& inputs) {
  const Node& node = graph.node(id);
  if (ErrorInfo* info = status.mutable_info(); info && info->node.empty() && info->op.empty()) {
    std::string list;
    for (size_t i = 0; i < node.inputs.size() && i < inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      list += (list.empty() ? "'" : ", '") + graph.value(node.inputs[i]).name + "' " + inputs[i].str();
    }
    if (!list.empty()) info->text += " (inputs: " + list + ")";
    if (info->tensor.empty() && !node.outputs.empty() && node.outputs[0] != kNone && info->code == Code::kLimit) {
      info->tensor = graph.value(node.outputs[0]).name;
    }
  }
  return std::move(status).at_node(node.name, node.source_op, node.source_domain, node.source_opset).at_source(graph.source);
}

}  // namespace tenon
