// Looking into a model.
#include <algorithm>
#include <unordered_map>

#include "capi/handles.h"
#include "ops/regions.h"

namespace tenon::capi {

ValueText describe(std::string name, const Type& type) {
  ValueText v;
  v.name = std::move(name);
  v.dtype = type.dtype;
  if (type.structure.sequence) v.flags |= TENON_VALUE_SEQUENCE;
  if (type.structure.optional) v.flags |= TENON_VALUE_NULLABLE;
  if (type.ranked()) {
    v.rank = type.rank();
    for (const Dim& d : type.shape) {
      v.dims.push_back(d.is_const() ? d.value() : -1);
      v.dim_texts.push_back(d.is_const() ? "" : d.str());
    }
    for (const std::string& s : v.dim_texts) v.dim_names.push_back(c_string(s));
  }
  return v;
}

tenon_value_info info_of(const ValueText& v) {
  return {0, c_string(v.name), static_cast<tenon_dtype>(v.dtype), v.rank, v.dims.data(), v.dim_names.data(), v.flags};
}

Result<size_t> find_value(const std::vector<ValueText>& values, std::string_view name, const char* what) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == name) return i;
  }
  std::string known;
  for (const ValueText& v : values) known += (known.empty() ? "'" : ", '") + v.name + "'";
  return Status(error(Code::kArgument, "the model has no ", what, " named '", name, "'; it has ", known.empty() ? "none" : known))
      .at_tensor(name);
}

namespace {

/// Nodes in the order of execution, and how many bodies each is inside: a body's come after the node that runs it.
void collect(const Graph& graph, std::vector<std::pair<NodeId, int32_t>>& order) {
  struct Walk {
    RegionId region;
    size_t next;  // node
    int32_t depth;
  };
  std::vector<Walk> stack{{0, 0, 0}};
  while (!stack.empty()) {
    auto& [region, next, depth] = stack.back();
    const auto& nodes = graph.region(region).nodes;
    if (next == nodes.size()) {
      stack.pop_back();
      continue;
    }
    const NodeId id = nodes[next++];
    if (graph.node(id).dead) continue;
    order.emplace_back(id, depth);
    const int32_t inside = depth + 1;
    const auto bodies = ops::regions_of(graph.node(id).op);
    for (auto body = bodies.rbegin(); body != bodies.rend(); ++body) stack.push_back({*body, 0, inside});
  }
}

/// Builds the table of nodes once. The caller holds the mutex.
std::vector<std::unique_ptr<NodeText>>& table(const ModelState& state) {
  if (!state.nodes.empty()) return state.nodes;
  const Graph& graph = state.model->graph();
  std::vector<std::pair<NodeId, int32_t>> order;
  collect(graph, order);
  const auto name_of_value = [&](ValueId v) { return v == kNone ? std::string() : graph.value(v).name; };
  for (const auto& [id, depth] : order) {
    const Node& node = graph.node(id);
    auto text = std::make_unique<NodeText>();
    text->id = id;
    text->name = node.name;
    text->op = node.source_op.empty() ? std::string(op_name(node.op)) : node.source_op;
    text->domain = node.source_domain;
    text->opset = node.source_opset;
    text->depth = depth;
    for (const ValueId v : node.inputs) text->input_names.push_back(name_of_value(v));
    for (const ValueId v : node.outputs) {
      text->output_names.push_back(name_of_value(v));
      if (v != kNone) text->shape += (text->shape.empty() ? "" : ", ") + graph.type(v).str();
    }
    for (const std::string& s : text->input_names) text->inputs.push_back(c_string(s));
    for (const std::string& s : text->output_names) text->outputs.push_back(c_string(s));
    state.nodes.push_back(std::move(text));
  }
  return state.nodes;
}

std::unordered_map<NodeId, NodeText*> table_by_id(const ModelState& state) {
  std::unordered_map<NodeId, NodeText*> by_id;
  for (const auto& n : table(state)) by_id[n->id] = n.get();
  return by_id;
}

/// Notes the kernels of the plans that were made so far; of several the one used last. The caller holds the mutex.
void note_plans(const ModelState& state) {
  const auto by_id = table_by_id(state);
  const auto plans = state.model->plans();
  for (auto plan = plans.rbegin(); plan != plans.rend(); ++plan) {
    for (const PlanStep& s : (*plan)->steps) {
      if (const auto found = by_id.find(s.node); found != by_id.end()) found->second->kernel = s.step.kernel;
    }
  }
}

/// Replaces a text; what was given out stays valid.
void renew(const ModelState& state, std::string& text, std::string next) {
  if (text == next) return;
  state.retired.push_back(std::move(text));
  text = std::move(next);
}

/// Notes what explain found. The caller holds the mutex.
void note_choices(const ModelState& state, std::vector<Choice> choices) {
  const auto by_id = table_by_id(state);
  state.explained = true;
  for (Choice& c : choices) {
    const auto found = by_id.find(c.node);
    if (found == by_id.end()) continue;
    NodeText& n = *found->second;
    n.kernel = c.kernel;
    std::string lines;
    for (const std::string& r : c.refusals) lines += (lines.empty() ? "" : "\n") + r;
    renew(state, n.refusals, std::move(lines));
    renew(state, n.note, std::move(c.note));
  }
}

Status value_at(const std::vector<ValueText>& values, size_t index, tenon_value_info* info, const char* function) {
  if (index >= values.size()) return error(Code::kArgument, function, ": index ", index, " of ", values.size());
  return fill(info, info_of(values[index]), function);
}

}  // namespace

}  // namespace tenon::capi

using namespace tenon;
using namespace tenon::capi;

tenon_status tenon_model_get_info(const tenon_model* model, tenon_model_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(info);
    const ModelState& s = *model->state;
    size_t nodes = 0;
    {
      const std::lock_guard lock(s.mutex);
      nodes = table(s).size();
    }
    return fill(info,
                tenon_model_info{0, c_string(s.name), c_string(s.producer), c_string(s.source), s.inputs.size(), s.outputs.size(),
                                 s.metadata.size(), nodes, all_passes().size(), s.parameter_count, s.parameter_bytes, s.load_ns,
                                 c_string(s.cache_file), s.cache_bytes, c_string(s.cache_note)},
                "tenon_model_get_info");
  });
}

size_t tenon_model_input_count(const tenon_model* model) { return model ? model->state->inputs.size() : 0; }
size_t tenon_model_output_count(const tenon_model* model) { return model ? model->state->outputs.size() : 0; }

tenon_status tenon_model_input(const tenon_model* model, size_t index, tenon_value_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(info);
    return value_at(model->state->inputs, index, info, "tenon_model_input");
  });
}

tenon_status tenon_model_output(const tenon_model* model, size_t index, tenon_value_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(info);
    return value_at(model->state->outputs, index, info, "tenon_model_output");
  });
}

tenon_status tenon_model_find_input(const tenon_model* model, tenon_string name, size_t* index, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(index);
    TENON_ASSIGN(*index, find_value(model->state->inputs, view(name), "input"));
    return {};
  });
}

tenon_status tenon_model_find_output(const tenon_model* model, tenon_string name, size_t* index, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(index);
    TENON_ASSIGN(*index, find_value(model->state->outputs, view(name), "output"));
    return {};
  });
}

tenon_status tenon_model_metadata(const tenon_model* model, size_t index, tenon_string* key, tenon_string* value, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(key);
    TENON_REQUIRE(value);
    const auto& all = model->state->metadata;
    if (index >= all.size()) return tenon::error(Code::kArgument, "tenon_model_metadata: index ", index, " of ", all.size());
    *key = c_string(all[index].first);
    *value = c_string(all[index].second);
    return {};
  });
}

tenon_status tenon_model_node(const tenon_model* model, size_t index, tenon_node_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(info);
    const ModelState& s = *model->state;
    const std::lock_guard lock(s.mutex);
    const auto& all = table(s);
    if (index >= all.size()) return tenon::error(Code::kArgument, "tenon_model_node: index ", index, " of ", all.size());
    // The first node asked for brings the kernels of the plans there are.
    if (index == 0 && !s.explained) note_plans(s);
    const NodeText& n = *all[index];
    return fill(
        info,
        tenon_node_info{0, c_string(n.name), c_string(n.op), c_string(n.domain), n.opset, tenon_str(n.kernel), c_string(n.refusals),
                        c_string(n.shape), n.inputs.data(), n.inputs.size(), n.outputs.data(), n.outputs.size(), n.depth, c_string(n.note)},
        "tenon_model_node");
  });
}

tenon_status tenon_model_explain(const tenon_model* model, const tenon_dim_binding* dims, size_t dim_count, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    if (dim_count > 0) TENON_REQUIRE(dims);
    std::unordered_map<std::string, int64_t> sizes;
    for (size_t i = 0; i < dim_count; ++i) {
      if (dims[i].value < 0) return tenon::error(Code::kArgument, "tenon_model_explain: dim '", view(dims[i].name), "' is ", dims[i].value);
      sizes[std::string(view(dims[i].name))] = dims[i].value;
    }
    const ModelState& s = *model->state;
    TENON_ASSIGN(auto choices, s.model->explain(sizes));
    const std::lock_guard lock(s.mutex);
    note_choices(s, std::move(choices));
    return {};
  });
}

tenon_status tenon_model_pass(const tenon_model* model, size_t index, tenon_pass_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(info);
    const auto all = all_passes();
    if (index >= all.size()) return tenon::error(Code::kArgument, "tenon_model_pass: index ", index, " of ", all.size());
    tenon_pass_info found{0, tenon_str(all[index].name), 0, 0};
    for (const auto& row : model->state->model->pass_report().rows) {
      if (row.name != all[index].name) continue;
      found.nanoseconds += static_cast<int64_t>(row.milliseconds * 1e6);
      found.rewrites += row.rewrites;
    }
    return fill(info, found, "tenon_model_pass");
  });
}

tenon_status tenon_model_graph(const tenon_model* model, tenon_graph_format format, tenon_string* text, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(text);
    switch (format) {
      case TENON_GRAPH_TEXT: return give_text(dump(model->state->model->graph()), text);
      case TENON_GRAPH_DOT: return give_text(to_dot(model->state->model->graph()), text);
    }
    return tenon::error(Code::kArgument, "tenon_model_graph: unknown format ", static_cast<int>(format));
  });
}

tenon_status tenon_model_get_stats(const tenon_model* model, tenon_stats* stats, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(stats);
    const auto s = model->state->model->stats();
    return fill(stats,
                tenon_stats{0, s.weight_bytes, s.run_bytes, s.run_bytes_peak, s.plans, s.sessions_idle,
                            model->state->runs.load(std::memory_order_relaxed)},
                "tenon_model_get_stats");
  });
}

tenon_status tenon_model_trim(const tenon_model* model, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    model->state->model->trim();
    return {};
  });
}
