#include "graph/graph.h"

#include <algorithm>

#include "base/weight_cache.h"
#include "ops/regions.h"

namespace tenon {

Graph::Graph() { regions_.emplace_back(); }

std::string Graph::unique_name(std::string wanted) {
  if (wanted.empty()) wanted = "v" + std::to_string(values_.size());
  auto [it, fresh] = names_.try_emplace(wanted, 0);
  if (fresh) return wanted;
  for (;;) {
    std::string candidate = wanted + "." + std::to_string(++it->second);
    if (names_.try_emplace(candidate, 0).second) return candidate;
  }
}

void Graph::use(NodeId node, ValueId value) {
  if (value != kNone) values_[value].users.push_back(node);
}

void Graph::unuse(NodeId node, ValueId value) {
  if (value == kNone) return;
  auto& users = values_[value].users;
  const auto it = std::find(users.begin(), users.end(), node);
  if (it != users.end()) users.erase(it);
}

Result<ValueId> Graph::add_input(RegionId region, std::string name, Type type) {
  Value v;
  v.name = unique_name(std::move(name));
  v.type = std::move(type);
  v.region = region;
  values_.push_back(std::move(v));
  regions_[region].inputs.push_back(values() - 1);
  return values() - 1;
}

ValueId Graph::add_constant(RegionId region, std::string name, Tensor tensor) {
  Type type = Type::of(tensor.dtype(), Shape::of(tensor.dims()));
  return add_constant(region, std::move(name), std::move(tensor), std::move(type));
}

ValueId Graph::add_constant(RegionId region, std::string name, Tensor tensor, Type type) {
  Value v;
  v.name = unique_name(std::move(name));
  v.region = region;
  v.constant = std::make_shared<const Tensor>(std::move(tensor));
  v.type = std::move(type);
  v.type.constant = v.constant.get();
  values_.push_back(std::move(v));
  return values() - 1;
}

RegionId Graph::add_region(RegionId parent, std::string name) {
  Region r;
  r.parent = parent;
  r.name = std::move(name);
  regions_.push_back(std::move(r));
  return regions() - 1;
}

Types Graph::types_of(const std::vector<ValueId>& ids) const {
  Types out;
  out.reserve(ids.size());
  for (const ValueId id : ids) out.push_back(id == kNone ? Type::none() : values_[id].type);
  return out;
}

Status Graph::node_error(const Status& status, std::string_view name, std::string_view op, std::string_view domain, int64_t opset,
                         const std::vector<ValueId>& inputs) const {
  Status s = status;
  if (ErrorInfo* info = s.mutable_info(); info && info->node.empty() && info->op.empty()) {
    std::string list;
    for (const ValueId id : inputs) {
      if (!list.empty()) list += ", ";
      list += id == kNone ? "(none)" : "'" + values_[id].name + "' " + values_[id].type.str();
    }
    if (!list.empty()) info->text += " (inputs: " + list + ")";
    if (info->tensor.empty() && inputs.size() == 1 && inputs[0] != kNone) info->tensor = values_[inputs[0]].name;
  }
  return std::move(s).at_node(name, op, domain, opset).at_source(source);
}

Result<NodeId> Graph::make_detached(RegionId region, Op op, std::vector<ValueId> inputs, NodeSpec spec, int outputs) {
  const std::string_view shown_op = spec.source_op.empty() ? op_name(op) : std::string_view(spec.source_op);
  auto inferred = infer(op, types_of(inputs));
  if (!inferred.ok()) {
    return node_error(inferred.status(), spec.name, shown_op, spec.source_domain, spec.source_opset, inputs);
  }
  Node n;
  n.name = std::move(spec.name);
  n.source_op = shown_op;
  n.source_domain = std::move(spec.source_domain);
  n.source_opset = spec.source_opset;
  n.op = std::move(op);
  n.inputs = std::move(inputs);
  n.region = region;
  n.dead = true;
  const NodeId id = nodes();
  const size_t wanted = outputs < 0 ? std::max(inferred->size(), spec.output_names.size()) : static_cast<size_t>(outputs);
  if (wanted > inferred->size()) {
    return node_error(shape_error("gives ", inferred->size(), " outputs, but ", wanted, " are wanted"), n.name, n.source_op,
                      n.source_domain, n.source_opset, n.inputs);
  }
  for (size_t i = 0; i < wanted; ++i) {
    const bool named = i < spec.output_names.size();
    if (named && spec.output_names[i].empty()) {
      n.outputs.push_back(kNone);
      continue;
    }
    Value v;
    v.name = unique_name(named ? spec.output_names[i] : n.name.empty() ? "" : n.name + ".out" + (i ? std::to_string(i) : ""));
    v.type = std::move((*inferred)[i]);
    v.producer = id;
    v.output = static_cast<int>(i);
    v.region = region;
    values_.push_back(std::move(v));
    n.outputs.push_back(values() - 1);
  }
  nodes_.push_back(std::move(n));
  return id;
}

Result<std::vector<ValueId>> Graph::add_node(RegionId region, Op op, std::vector<ValueId> inputs, NodeSpec spec) {
  TENON_ASSIGN(const NodeId id, make_detached(region, std::move(op), std::move(inputs), std::move(spec), -1));
  nodes_[id].dead = false;
  for (const ValueId v : nodes_[id].inputs) use(id, v);
  regions_[region].nodes.push_back(id);
  return nodes_[id].outputs;
}

Status Graph::add_output(RegionId region, ValueId value, std::string name) {
  regions_[region].outputs.push_back(value);
  ++values_[value].output_uses;
  if (region == 0) output_names.push_back(name.empty() ? values_[value].name : std::move(name));
  return {};
}

int Graph::live_nodes() const {
  int n = 0;
  for (const Node& node : nodes_) n += !node.dead;
  return n;
}

void Graph::set_inputs(NodeId id, std::vector<ValueId> inputs) {
  for (const ValueId v : nodes_[id].inputs) unuse(id, v);
  nodes_[id].inputs = std::move(inputs);
  for (const ValueId v : nodes_[id].inputs) use(id, v);
}

void Graph::set_constant(ValueId id, std::shared_ptr<const Tensor> tensor) {
  Value& v = values_[id];
  if (v.producer != kNone) {
    auto& outputs = nodes_[v.producer].outputs;
    std::replace(outputs.begin(), outputs.end(), id, kNone);
  }
  v.producer = kNone;
  v.constant = std::move(tensor);
  v.type = Type::of(v.constant->dtype(), Shape::of(v.constant->dims()));
  v.type.constant = v.constant.get();
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  std::vector<NodeId> users;
  users.swap(values_[from].users);
  for (const NodeId user : users) {
    values_[to].users.push_back(user);
    // `users` lists a node once per reading input; each turn moves one of them.
    const auto it = std::find(nodes_[user].inputs.begin(), nodes_[user].inputs.end(), from);
    if (it != nodes_[user].inputs.end()) *it = to;
  }
  if (values_[from].output_uses > 0) {
    for (Region& r : regions_) std::replace(r.outputs.begin(), r.outputs.end(), from, to);
    values_[to].output_uses += values_[from].output_uses;
    values_[from].output_uses = 0;
  }
}

void Graph::insert(NodeId id, NodeId before) {
  Node& n = nodes_[id];
  n.dead = false;
  n.region = nodes_[before].region;
  for (const ValueId v : n.outputs)
    if (v != kNone) values_[v].region = n.region;
  for (const ValueId v : n.inputs) use(id, v);
  auto& list = regions_[n.region].nodes;
  list.insert(std::find(list.begin(), list.end(), before), id);
}

void Graph::remove(NodeId id) {
  Node& n = nodes_[id];
  if (n.dead) return;
  n.dead = true;
  for (const ValueId v : n.inputs) unuse(id, v);
  auto& list = regions_[n.region].nodes;
  if (const auto it = std::find(list.begin(), list.end(), id); it != list.end()) list.erase(it);
}

int Graph::remove_dead() {
  int removed = 0;
  // A node is alive when one of its outputs is read. Regions of dead control flow die with it.
  std::vector<NodeId> work;
  for (NodeId id = 0; id < nodes(); ++id)
    if (!nodes_[id].dead) work.push_back(id);
  while (!work.empty()) {
    const NodeId id = work.back();
    work.pop_back();
    Node& n = nodes_[id];
    if (n.dead) continue;
    const bool read = std::any_of(n.outputs.begin(), n.outputs.end(),
                                  [&](ValueId v) { return v != kNone && (!values_[v].users.empty() || values_[v].output_uses > 0); });
    if (read) continue;
    n.dead = true;
    ++removed;
    for (const ValueId v : n.inputs) {
      unuse(id, v);
      if (v != kNone && values_[v].producer != kNone) work.push_back(values_[v].producer);
    }
    for (const RegionId r : ops::regions_of(n.op)) {
      for (const ValueId v : regions_[r].outputs) --values_[v].output_uses;
      regions_[r].outputs.clear();
      for (const NodeId inner : regions_[r].nodes) work.push_back(inner);
    }
  }
  if (removed > 0) {
    for (Region& r : regions_) std::erase_if(r.nodes, [&](NodeId id) { return nodes_[id].dead; });
  }
  // Outputs that nobody reads are not wanted: kernels then leave them out.
  for (Node& n : nodes_) {
    if (n.dead) continue;
    for (ValueId& v : n.outputs) {
      if (v == kNone || !values_[v].users.empty() || values_[v].output_uses > 0) continue;
      values_[v].producer = kNone;
      v = kNone;
    }
  }
  for (ValueId v = 0; v < values(); ++v) release_if_unread(v);
  return removed;
}

void Graph::release_if_unread(ValueId id) {
  Value& v = values_[id];
  if (v.constant && v.users.empty() && v.output_uses == 0) {
    v.type.constant = nullptr;
    v.constant.reset();
  }
}

void Graph::set_type(ValueId id, Type type) {
  type.constant = values_[id].constant.get();
  values_[id].type = std::move(type);
}

Status Graph::reinfer(NodeId id) {
  const Node& n = nodes_[id];
  auto inferred = infer(n.op, types_of(n.inputs));
  if (!inferred.ok()) return node_error(inferred.status(), n.name, n.source_op, n.source_domain, n.source_opset, n.inputs);
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    if (n.outputs[i] == kNone) continue;
    if (i >= inferred->size()) return error(Code::kInternal, "inference gave ", inferred->size(), " outputs");
    set_type(n.outputs[i], std::move((*inferred)[i]));
  }
  return {};
}

void Graph::find_kept(std::vector<Unkept>& unkept) {
  std::unordered_map<const Buffer*, std::shared_ptr<Buffer>> found;  // values may share a buffer
  for (Value& v : values_) {
    if (!v.constant || !v.constant->buffer() || !v.constant->buffer()->late()) continue;
    const std::shared_ptr<Buffer>& buffer = v.constant->buffer();
    const Origin origin = buffer->contents()->origin();
    if (!origin.cache) continue;
    const auto [known, is_new] = found.try_emplace(buffer.get());
    if (is_new) {
      const std::string key = origin.identity + " as it is, bytes: " + std::to_string(buffer->size());
      known->second = origin.cache->find(key, buffer->size(), false);
      if (!known->second) unkept.push_back({origin.cache, key, buffer});
    }
    if (!known->second) continue;
    v.constant = std::make_shared<const Tensor>(Tensor::view(v.constant->dtype(), v.constant->dims(), known->second, v.constant->offset()));
    v.type.constant = v.constant.get();
  }
}

Status Graph::settle() {
  std::vector<Unkept> unkept;
  find_kept(unkept);
  std::vector<std::shared_ptr<Buffer>> buffers;
  for (const Value& v : values_) {
    if (!v.constant) continue;
    if (v.constant->buffer()) buffers.push_back(v.constant->buffer());
    for (const Tensor& item : v.constant->items()) {
      if (item.buffer()) buffers.push_back(item.buffer());
    }
  }
  if (faults) TENON_TRY(faults->first());
  TENON_TRY(tenon::settle(buffers));
  for (auto& [cache, key, buffer] : unkept) cache->keep(key, std::move(buffer));
  return {};
}

Status Graph::reinfer_all() { return reinfer_region(0); }

Status Graph::reinfer_region(RegionId region) {
  const std::vector<NodeId> list = regions_[region].nodes;
  for (const NodeId id : list) {
    for (const RegionId inner : ops::regions_of(nodes_[id].op)) TENON_TRY(reinfer_region(inner));
    TENON_TRY(reinfer(id));
  }
  return {};
}

}  // namespace tenon
