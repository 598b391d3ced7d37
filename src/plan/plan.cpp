#include "plan/plan.h"

#include <algorithm>

namespace tenon {

namespace {
constexpr int64_t kMostBytes = int64_t{1} << 46;
}  // namespace

const Plan::Place* Plan::find(ValueId v) const {
  const auto it = std::lower_bound(places.begin(), places.end(), v, [](const Place& p, ValueId id) { return p.value < id; });
  return it != places.end() && it->value == v ? &*it : nullptr;
}

bool Plan::takes(const Wanted& outputs, std::span<const Tensor> inputs) const {
  if (input_types.size() != inputs.size()) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!input_types[i].is_tensor()) continue;
    const Shape& shape = input_types[i].shape;
    const Dims& dims = inputs[i].dims();
    if (input_types[i].dtype != inputs[i].dtype() || !shape.ranked()) return false;
    if (!std::equal(dims.begin(), dims.end(), shape.begin(), shape.end(), [](int64_t dim, const Dim& d) { return d.is(dim); }))
      return false;
  }
  return demand->wanted == outputs;
}

std::vector<Type> signature(const Graph& graph, const Demand& demand, std::span<const Tensor> inputs) {
  const std::vector<ValueId>& own = graph.region(demand.region).inputs;
  std::vector<Type> types;
  types.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Type& known = graph.type(i < own.size() ? own[i] : demand.captures[i - own.size()]);
    types.push_back(known.is_tensor() ? Type::of(inputs[i]) : known);
  }
  return types;
}

Result<size_t> bytes_of(const Type& type) {
  int64_t product = static_cast<int64_t>(size_of(type.dtype));
  bool fits = true;
  for (int i = 0; i < type.shape.rank(); ++i) {
    int64_t d = type.shape[static_cast<size_t>(i)].value();
    if (i == 1 && type.layout.kind == Layout::Kind::kChannelBlocked) d += (type.layout.block - d % type.layout.block) % type.layout.block;
    fits = fits && d >= 0 && !__builtin_mul_overflow(product, d, &product);
  }
  if (fits && product <= kMostBytes) return static_cast<size_t>(product);

  // A dim of 0 among large ones, or an error to be told.
  Dims dims = type.shape.to_ints();
  if (type.layout.kind == Layout::Kind::kChannelBlocked && dims.size() >= 2) {
    dims[1] = (dims[1] + type.layout.block - 1) / type.layout.block * type.layout.block;
  }
  TENON_ASSIGN(const int64_t count, element_count(dims));
  const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(type.dtype)));
  if (!bytes || *bytes > kMostBytes) return limit_error("size in bytes of ", type.str(), " is beyond every memory limit");
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
