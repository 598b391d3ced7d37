#include "importers/onnx/builder.h"

#include <algorithm>

#include "importers/onnx/legacy.h"
#include "importers/onnx/node_context.h"
#include "importers/onnx/order.h"
#include "importers/onnx/types.h"
#include "importers/onnx/utf8.h"
#include "ops/regions.h"

namespace tenon::onnx {

namespace {

int64_t saturating_add(int64_t a, int64_t b) { return checked_add(a, b).value_or(INT64_MAX); }

/// Refuses a name that is written twice in one graph. An initializer may have the name of an input.
class WrittenNames {
 public:
  Status add(std::string_view name, const char* what) {
    if (written_.insert(name).second) return {};
    return load_error("value '", printable(name), "' is written twice: ", what, " has a name that is taken").at_tensor(printable(name));
  }
  bool has(std::string_view name) const { return written_.contains(name); }

 private:
  std::unordered_set<std::string_view> written_;
};

Status check_names(const onnxpb::GraphProto& graph) {
  WrittenNames inputs, names;
  for (const auto& v : graph.input()) {
    if (v.name().empty()) return load_error("a graph input has no name");
    TENON_TRY(inputs.add(v.name(), "a graph input"));
    TENON_TRY(names.add(v.name(), "a graph input"));
  }
  WrittenNames constants;
  const auto constant = [&](const std::string& name) -> Status {
    if (name.empty()) return load_error("an initializer has no name");
    TENON_TRY(constants.add(name, "an initializer"));
    return inputs.has(name) ? Status() : names.add(name, "an initializer");
  };
  for (const auto& t : graph.initializer()) TENON_TRY(constant(t.name()));
  for (const auto& t : graph.sparse_initializer()) TENON_TRY(constant(t.values().name()));
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& name : graph.node(i).output()) {
      if (name.empty()) continue;
      if (Status s = names.add(name, "a node output"); !s.ok()) {
        return std::move(s).at_node(printable(node_name(graph.node(i), i)), printable(graph.node(i).op_type()),
                                    printable(graph.node(i).domain()));
      }
    }
  }
  return {};
}

}  // namespace

Status Builder::count_node() {
  if (++nodes_ <= options_.limits.nodes) return {};
  return limit_error("the graph has more nodes than the limit of ", options_.limits.nodes, " nodes");
}

Status Builder::check_constant_size(const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs) {
  const Graph& graph = model_.graph;
  for (const ValueId id : inputs) {
    if (id != kNone && !graph.value(id).constant && !from_constants_.contains(id)) return {};
  }
  const auto grown = static_cast<int64_t>(std::min<uint64_t>(file_size_, uint64_t{1} << 60)) * 4;
  const int64_t limit = saturating_add(options_.limits.constant_bytes, grown);
  for (const ValueId id : outputs) {
    if (id == kNone) continue;
    from_constants_.insert(id);
    const Type& type = graph.type(id);
    if (!type.is_static()) continue;
    int64_t bytes = static_cast<int64_t>(size_of(type.dtype));
    bool zero = false;
    for (const Dim& d : type.shape) {
      zero = zero || d.value() == 0;
      bytes = checked_mul(bytes, d.value()).value_or(INT64_MAX);
    }
    if (!zero && bytes > limit) {
      return limit_error("constants make ", type.str(), ", ", bytes == INT64_MAX ? "over 2^63" : std::to_string(bytes),
                         " bytes, the limit is ", limit, " bytes");
    }
  }
  return {};
}

Result<Opsets> Builder::opsets_of(const google::protobuf::RepeatedPtrField<onnxpb::OperatorSetIdProto>& imports) const {
  Opsets out;
  for (const auto& o : imports) {
    const std::string domain(normal_domain(o.domain()));
    if (o.version() < 1)
      return load_error("opset_import of domain '", printable(o.domain()), "' has version ", o.version(), ", expected 1 or more");
    if (const auto [it, fresh] = out.emplace(domain, o.version()); !fresh && it->second != o.version()) {
      return load_error("opset_import names domain '", printable(o.domain()), "' twice, with versions ", it->second, " and ", o.version());
    }
  }
  return out;
}

Status Builder::check_header() {
  if (!file_.has_graph()) {
    return load_error("the file has no graph field; is it an ONNX model?");
  }
  if (file_.ir_version() < 1) return load_error("ir_version ", file_.ir_version(), " is not valid, expected 1 or more");
  TENON_ASSIGN(opsets_, opsets_of(file_.opset_import()));
  if (opsets_.empty()) {
    if (file_.ir_version() >= 3) return load_error("the model has no opset_import, which IR version ", file_.ir_version(), " requires");
    opsets_.emplace("", 1);
  }
  model_.model_version = file_.model_version();
  model_.producer_version = file_.producer_version();
  Graph& graph = model_.graph;
  graph.ir_version = file_.ir_version();
  graph.name = file_.graph().name();
  graph.producer = file_.producer_name();
  graph.domain = file_.domain();
  graph.doc = file_.doc_string();
  for (const auto& o : file_.opset_import()) graph.opsets.emplace_back(normal_domain(o.domain()), o.version());
  for (const auto& entry : file_.metadata_props()) {
    if (!graph.metadata.emplace(entry.key(), entry.value()).second) {
      return load_error("metadata_props has key '", printable(entry.key()), "' twice");
    }
  }
  return {};
}

Status Builder::run() {
  TENON_TRY(check_header());
  TENON_ASSIGN(functions_, Functions::of(file_, options_.limits));
  return main_graph();
}

Status Builder::graph_inputs(const onnxpb::GraphProto& graph, Scope& scope) {
  std::unordered_map<std::string_view, const onnxpb::TensorProto*> constants;
  for (const auto& t : graph.initializer()) constants.emplace(t.name(), &t);
  for (const auto& t : graph.sparse_initializer()) constants.emplace(t.values().name(), nullptr);
  for (const auto& v : graph.input()) {
    auto type = declared_type(v.type(), options_.limits);
    if (!type.ok()) return std::move(type).status().at_tensor("graph input " + printable(v.name()));
    const auto constant = constants.find(v.name());
    if (constant != constants.end() && !options_.overridable_initializers) {
      scope.declared.emplace(v.name(), &v.type());
      continue;
    }
    TENON_ASSIGN(const ValueId id, model_.graph.add_input(scope.region, v.name(), *std::move(type)));
    scope.values.emplace(v.name(), id);
  }
  return {};
}

Status Builder::initializers(const onnxpb::GraphProto& graph, Scope& scope) {
  // All are begun before any is read, so that what is read is read in parallel.
  std::vector<std::pair<std::string_view, Tensor>> tensors;
  tensors.reserve(static_cast<size_t>(graph.initializer_size()));
  for (const auto& t : graph.initializer()) {
    TENON_TRY(watch_.check());
    TENON_ASSIGN(Tensor tensor, tensors_.begin(t, t.name()));
    tensors.emplace_back(t.name(), std::move(tensor));
  }
  TENON_TRY(tensors_.finish(options_.read_late ? TensorReader::Extent::kSmall : TensorReader::Extent::kAll));
  for (const auto& t : graph.sparse_initializer()) {
    TENON_TRY(watch_.check());
    TENON_ASSIGN(Tensor tensor, tensors_.expand(t, t.values().name()));
    tensors.emplace_back(t.values().name(), std::move(tensor));
  }
  for (auto& [name, tensor] : tensors) {
    if (const auto input = scope.values.find(name); input != scope.values.end()) {  // overridable
      const Type type = Type::of(tensor.dtype(), Shape::of(tensor.dims()));
      if (Status s = check_declared(model_.graph.value(input->second).type, type); !s.ok()) return std::move(s).at_tensor(printable(name));
      TENON_TRY(settle({&tensor.buffer(), 1}));
      model_.defaults.emplace_back(name, std::move(tensor));
      continue;
    }
    const ValueId id = model_.graph.add_constant(scope.region, scope.prefix + std::string(name), std::move(tensor));
    scope.values.emplace(name, id);
    TENON_TRY(check_declared_type(name, id, scope));
  }
  return {};
}

Status Builder::check_declared_type(std::string_view name, ValueId value, const Scope& scope) const {
  if (!options_.check_declared_types) return {};
  const auto found = scope.declared.find(name);
  if (found == scope.declared.end()) return {};
  auto declared = declared_type(*found->second, options_.limits);
  if (!declared.ok()) return std::move(declared).status().at_tensor(printable(name));
  const Type& inferred = model_.graph.value(value).type;
  // Exporters write the shapes of one pass through a body; only the element type holds for every pass.
  if (scope.subgraphs > 0) declared->shape = Shape::unranked();
  return check_declared(*declared, inferred).at_tensor(printable(name));
}

namespace {
/// Types the file declares for values that nodes make. Only what says an element type can be checked.
void declare(const google::protobuf::RepeatedPtrField<onnxpb::ValueInfoProto>& infos, Scope& scope) {
  for (const auto& v : infos) {
    if (declares_dtype(v.type())) scope.declared.emplace(v.name(), &v.type());
  }
}
}  // namespace

Status Builder::main_graph() {
  const onnxpb::GraphProto& graph = file_.graph();
  TENON_TRY(check_names(graph));
  Scope scope;
  declare(graph.output(), scope);
  declare(graph.value_info(), scope);
  TENON_TRY(graph_inputs(graph, scope));
  TENON_TRY(initializers(graph, scope));
  TENON_TRY(body(graph.node(), scope));
  for (const auto& v : graph.output()) {
    if (v.name().empty()) return load_error("a graph output has no name");
    const auto found = scope.values.find(v.name());
    if (found == scope.values.end() || found->second == kNone) {
      return load_error("graph output '", printable(v.name()), "' is produced by nothing").at_tensor(printable(v.name()));
    }
    if (v.type().ByteSizeLong() > 0 && !v.type().has_tensor_type() && !declares_dtype(v.type())) {
      return declared_type(v.type(), options_.limits).status().at_tensor("graph output " + printable(v.name()));
    }
    TENON_TRY(check_declared_type(v.name(), found->second, scope));
    TENON_TRY(model_.graph.add_output(0, found->second, v.name()));
  }
  for (const std::string& name : options_.extra_outputs) TENON_TRY(extra_output(name, scope));
  watch_.progress(1);
  return {};
}

namespace {

/// The node in region 0 that runs `region`, directly or through others.
const Node* runs(const Graph& graph, RegionId region) {
  while (graph.region(region).parent > 0) region = graph.region(region).parent;
  for (const NodeId id : graph.region(0).nodes) {
    const auto bodies = ops::regions_of(graph.node(id).op);
    if (std::find(bodies.begin(), bodies.end(), region) != bodies.end()) return &graph.node(id);
  }
  return nullptr;
}

}  // namespace

Status Builder::extra_output(const std::string& name, const Scope& scope) {
  Graph& graph = model_.graph;
  const auto refuse = [&](const auto&... why) {
    return Status(error(Code::kArgument, "cannot become an output: ", why...)).at_tensor(printable(name));
  };
  if (std::find(graph.output_names.begin(), graph.output_names.end(), name) != graph.output_names.end()) return refuse("it is one already");
  if (const auto found = scope.find(name); found && *found != kNone) return graph.add_output(0, *found, name);
  const Node* outer = nullptr;
  for (ValueId v = 0; v < graph.values(); ++v) {
    if (graph.value(v).name != name) continue;
    if (graph.value(v).region == 0) return graph.add_output(0, v, name);
    outer = runs(graph, graph.value(v).region);
  }
  if (!outer) return refuse("the model has no value of that name");
  return refuse("it is inside a body of node '", outer->name, "' (", outer->source_op, "), which may run not at all or many times");
}

Status Builder::body(const google::protobuf::RepeatedPtrField<onnxpb::NodeProto>& nodes, Scope& scope) {
  TENON_ASSIGN(const auto order, computing_order(nodes));
  int done = 0;
  for (const int i : order) {
    const onnxpb::NodeProto& n = nodes[i];
    if (Status s = node(n, i, scope); !s.ok()) {
      return std::move(s).at_node(scope.prefix + printable(node_name(n, i)), printable(n.op_type()), printable(n.domain()));
    }
    if (!scope.parent && !scope.call) watch_.progress(0.8 + 0.2 * ++done / nodes.size());
  }
  return {};
}

Status Builder::node(const onnxpb::NodeProto& node, int index, Scope& scope) {
  TENON_TRY(watch_.check());
  const std::string name = scope.prefix + node_name(node, index);
  if (node.op_type().empty()) return load_error("the node has no op_type");
  if (node.output_size() == 0) return load_error("the node has no outputs");
  std::vector<ValueId> inputs;
  for (const std::string& input : node.input()) {
    if (input.empty()) {
      inputs.push_back(kNone);
      continue;
    }
    const auto found = scope.find(input);
    if (!found) return load_error("input ", inputs.size(), " '", printable(input), "' is produced by nothing").at_tensor(printable(input));
    inputs.push_back(*found);
  }
  while (!inputs.empty() && inputs.back() == kNone) inputs.pop_back();
  TENON_ASSIGN(Attributes attributes, Attributes::of(node, scope));

  if (const onnxpb::FunctionProto* function = functions_.find(node)) return call(node, *function, name, inputs, attributes, scope);

  const std::string domain(normal_domain(node.domain()));
  const Opsets& opsets = scope.call ? scope.call->opsets : opsets_;
  const auto opset = opsets.find(domain);
  const char* shown = domain.empty() ? "ai.onnx" : domain.c_str();
  if (opset == opsets.end()) {
    return load_error("operator ", printable(node.op_type()), " is of domain '", printable(shown), "', which opset_import does not name");
  }
  return operator_node(node, name, std::move(inputs), std::move(attributes), domain, opset->second, scope);
}

Status Builder::operator_node(const onnxpb::NodeProto& node, const std::string& name, std::vector<ValueId> inputs, Attributes attributes,
                              std::string_view domain, int64_t opset, Scope& scope) {
  const std::string shown = printable(domain.empty() ? "ai.onnx" : domain) + "." + printable(node.op_type());
  const auto located = [&](Status s) { return std::move(s).at_node(name, printable(node.op_type()), printable(domain), opset); };
  if (domain.empty() && opset < kOldestOpset) {
    if (Status s = adapt_legacy(node, model_.graph, scope.region, inputs, attributes); !s.ok()) return located(std::move(s));
    opset = kOldestOpset;
  }
  const Operator* op = find(domain, node.op_type());
  std::shared_ptr<const CustomOp> custom;
  Operator custom_row;
  if (!op) {
    for (const auto& c : options_.custom) {
      if (c->domain == domain && c->name == node.op_type()) custom = c;
    }
    if (custom) {
      custom_row = {custom->domain.c_str(), custom->name.c_str(), 1, custom->min_inputs, custom->max_inputs, custom->max_outputs, nullptr};
      op = &custom_row;
    }
  }
  if (!op) {
    const bool newer = domain.empty() && opset > kNewestOpset;
    return located(load_error(
        "operator ", shown, " is unknown",
        newer ? " (opset " + std::to_string(opset) + " is newer than the newest known, " + std::to_string(kNewestOpset) + ")" : ""));
  }
  if (opset < op->since) {
    return located(load_error("operator ", shown, " exists from opset ", op->since, " on, the model imports opset ", opset));
  }
  const int n = static_cast<int>(inputs.size());
  if (n < op->min_inputs || n > op->max_inputs) {
    std::string wanted = std::to_string(op->min_inputs);
    if (op->max_inputs == INT32_MAX) {
      wanted += " or more";
    } else if (op->max_inputs != op->min_inputs) {
      wanted += " to " + std::to_string(op->max_inputs);
    }
    return located(load_error("operator ", shown, " takes ", wanted, " inputs, got ", n));
  }
  if (node.output_size() > op->max_outputs) {
    return located(load_error("operator ", shown, " gives at most ", op->max_outputs, " outputs, the node names ", node.output_size()));
  }
  for (int i = 0; i < n && !op->any_structure; ++i) {
    if (inputs[static_cast<size_t>(i)] == kNone) continue;
    const Type& type = model_.graph.type(inputs[static_cast<size_t>(i)]);
    if (!type.is_tensor()) {
      return located(shape_error("input ", i, " '", printable(node.input(i)), "' is ", type.str(), ", expected a tensor")
                         .at_tensor(printable(node.input(i))));
    }
  }
  if (op == find("", "If")) {
    auto branch = known_branch(inputs, attributes);
    if (!branch.ok()) return located(std::move(branch).status());
    if (*branch) return inline_branch(node, **branch, name, scope);
  }
  FileNode context(*this, scope, {node, name, std::string(domain), opset, std::move(inputs), std::move(attributes)});
  if (Status s = custom ? context.become_custom(custom) : op->convert(context); !s.ok()) return located(std::move(s));
  if (Status s = context.finish(); !s.ok()) return located(std::move(s));
  for (const std::string& output : node.output()) {
    const auto found = output.empty() ? scope.values.end() : scope.values.find(output);
    if (found == scope.values.end()) continue;
    if (Status s = check_declared_type(output, found->second, scope); !s.ok()) return located(std::move(s));
  }
  return {};
}

Result<const BoundAttribute*> Builder::known_branch(const std::vector<ValueId>& inputs, Attributes& attributes) const {
  const Type& condition = model_.graph.type(inputs[0]);
  if (condition.dtype != DType::kBool || !condition.is_static() || !condition.shape.count().is(1)) return nullptr;
  std::optional<bool> taken;
  if (condition.constant) {
    taken = *condition.constant->as<bool>();
  } else if (condition.contents && (*condition.contents)[0].is_const()) {
    taken = (*condition.contents)[0].value() != 0;
  }
  if (!taken) return nullptr;
  TENON_ASSIGN(const BoundAttribute* then_branch, attributes.get("then_branch", AttributeType::kGraph));
  TENON_ASSIGN(const BoundAttribute* else_branch, attributes.get("else_branch", AttributeType::kGraph));
  if (!then_branch || !else_branch) return nullptr;  // the converter says which is missing
  const int a = then_branch->proto->g().output_size(), b = else_branch->proto->g().output_size();
  if (a != b) return shape_error("then_branch has ", a, " outputs, else_branch has ", b);
  if (const std::string* unknown = attributes.unread())
    return load_error("attribute '", printable(*unknown), "' is unknown to this operator");
  return *taken ? then_branch : else_branch;
}

Status Builder::inline_branch(const onnxpb::NodeProto& node, const BoundAttribute& branch, const std::string& name, Scope& scope) {
  const onnxpb::GraphProto& graph = branch.proto->g();
  Scope inner;
  inner.parent = branch.scope;
  inner.call = branch.scope->call;
  inner.region = scope.region;
  inner.prefix = name + "/";
  inner.subgraphs = scope.subgraphs + 1;
  if (inner.subgraphs > options_.limits.subgraph_depth) {
    return limit_error("subgraphs nest deeper than the depth limit of ", options_.limits.subgraph_depth);
  }
  if (graph.input_size() > 0) return load_error("a branch has ", graph.input_size(), " inputs, expected none");
  if (node.output_size() > graph.output_size())
    return shape_error("has ", node.output_size(), " outputs, but its branches have ", graph.output_size());
  TENON_TRY(check_names(graph));
  declare(graph.output(), inner);
  declare(graph.value_info(), inner);
  TENON_TRY(initializers(graph, inner));
  TENON_TRY(body(graph.node(), inner));
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const auto found = inner.find(graph.output(i).name());
    if (!found || *found == kNone) {
      return load_error("output '", printable(graph.output(i).name()), "' of a branch is produced by nothing")
          .at_tensor(printable(graph.output(i).name()));
    }
    TENON_TRY(check_declared_type(graph.output(i).name(), *found, inner));
    adopt(*found, inner, scope, node.output(i));
    TENON_TRY(check_declared_type(node.output(i), *found, scope));
  }
  return {};
}

void Builder::adopt(ValueId id, const Scope& inner, Scope& scope, const std::string& name) {
  // The outer name is the one its reader knows; a value from outside passed through keeps its own.
  if (model_.graph.value(id).producer != kNone && model_.graph.value(id).name.starts_with(inner.prefix)) {
    model_.graph.rename(id, scope.prefix + name);
  }
  scope.values.emplace(name, id);
}

Status Builder::call(const onnxpb::NodeProto& node, const onnxpb::FunctionProto& function, const std::string& name,
                     const std::vector<ValueId>& inputs, const Attributes& attributes, Scope& scope) {
  const std::string shown = "function '" + printable(function.name()) + "'";
  if (static_cast<int>(inputs.size()) > function.input_size()) {
    return load_error(shown, " takes at most ", function.input_size(), " inputs, got ", inputs.size());
  }
  if (node.output_size() > function.output_size()) {
    return load_error(shown, " gives ", function.output_size(), " outputs, the node names ", node.output_size());
  }
  Call call;
  call.function = &function;
  call.depth = scope.call ? scope.call->depth + 1 : 1;
  if (call.depth > options_.limits.function_depth) {
    return limit_error("calls nest deeper than the function depth limit of ", options_.limits.function_depth, " at ", shown);
  }
  TENON_ASSIGN(call.opsets, opsets_of(function.opset_import()));
  for (const auto& entry : attributes.all()) {
    if (!call.declares(entry.name)) return load_error("attribute '", printable(entry.name), "' is unknown to ", shown);
    call.attributes.emplace(entry.name, entry.attribute);
  }
  Scope body_scope;
  body_scope.call = &call;
  body_scope.region = scope.region;
  body_scope.subgraphs = scope.subgraphs;
  body_scope.prefix = name + "/";
  for (const onnxpb::AttributeProto& a : function.attribute_proto()) {
    if (call.attributes.contains(a.name())) continue;
    TENON_ASSIGN(const AttributeType type, checked_type(a));
    call.attributes.emplace(a.name(), BoundAttribute{&a, type, &body_scope});
  }
  WrittenNames names;
  for (int i = 0; i < function.input_size(); ++i) {
    TENON_TRY(names.add(function.input(i), "an input of a function"));
    body_scope.values.emplace(function.input(i), i < static_cast<int>(inputs.size()) ? inputs[static_cast<size_t>(i)] : kNone);
  }
  for (const auto& n : function.node()) {
    for (const std::string& output : n.output()) {
      if (!output.empty()) TENON_TRY(names.add(output, "a node output in a function"));
    }
  }
  TENON_TRY(body(function.node(), body_scope));
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const auto found = body_scope.values.find(function.output(i));
    if (found == body_scope.values.end() || found->second == kNone) {
      return load_error("output ", i, " '", printable(function.output(i)), "' of ", shown, " is produced by nothing")
          .at_tensor(printable(function.output(i)));
    }
    adopt(found->second, body_scope, scope, node.output(i));
    TENON_TRY(check_declared_type(node.output(i), found->second, scope));
  }
  return {};
}

Result<Tensor> Builder::tensor(const BoundAttribute& attribute, std::string_view name) {
  const auto found = attribute_tensors_.find(attribute.proto);
  if (found != attribute_tensors_.end()) return found->second;
  const auto read = [&]() -> Result<Tensor> {
    const std::string shown = "attribute " + std::string(name);
    if (attribute.type == AttributeType::kSparseTensor) return tensors_.expand(attribute.proto->sparse_tensor(), shown);
    return tensors_.read(attribute.proto->t(), attribute.proto->t().name().empty() ? shown : attribute.proto->t().name());
  };
  TENON_ASSIGN(Tensor tensor, read());
  attribute_tensors_.emplace(attribute.proto, tensor);
  return tensor;
}

Result<RegionId> Builder::subgraph(const BoundAttribute& attribute, std::string_view name, const Scope& scope, RegionId parent,
                                   const Types& inputs) {
  const onnxpb::GraphProto& graph = attribute.proto->g();
  Scope inner;
  inner.parent = attribute.scope;
  inner.call = attribute.scope->call;
  inner.prefix = attribute.scope->prefix;
  inner.subgraphs = scope.subgraphs + 1;
  if (inner.subgraphs > options_.limits.subgraph_depth) {
    return limit_error("subgraphs nest deeper than the depth limit of ", options_.limits.subgraph_depth);
  }
  TENON_TRY(check_names(graph));
  inner.region = model_.graph.add_region(parent, graph.name().empty() ? std::string(name) : graph.name());
  declare(graph.output(), inner);
  declare(graph.value_info(), inner);
  for (int i = 0; i < graph.input_size(); ++i) {
    const auto& v = graph.input(i);
    Type type;
    if (v.has_type() && v.type().has_tensor_type() && v.type().tensor_type().elem_type() == 0) {
      type = Type::none();  // exporters may leave types of body inputs out
    } else if (v.has_type()) {
      auto declared = declared_type(v.type(), options_.limits);
      if (!declared.ok()) return std::move(declared).status().at_tensor(printable(v.name()));
      type = *std::move(declared);
    }
    if (static_cast<size_t>(i) < inputs.size() && inputs[static_cast<size_t>(i)].present()) {
      const Type& given = inputs[static_cast<size_t>(i)];
      if (type.present() && type.dtype != given.dtype) {
        return shape_error("subgraph '", name, "' input '", printable(v.name()), "' is declared ", name_of(type.dtype), ", it is given ",
                           name_of(given.dtype))
            .at_tensor(printable(v.name()));
      }
      if (type.present() && type.structure != given.structure) {
        return shape_error("subgraph '", name, "' input '", printable(v.name()), "' is declared ", type.str(), ", it is given ",
                           given.str())
            .at_tensor(printable(v.name()));
      }
      type = given;
    }
    if (!type.present())
      return load_error("subgraph '", name, "' input '", printable(v.name()), "' has no type").at_tensor(printable(v.name()));
    TENON_ASSIGN(const ValueId id, model_.graph.add_input(inner.region, inner.prefix + v.name(), std::move(type)));
    inner.values.emplace(v.name(), id);
  }
  for (const auto& t : graph.initializer()) {
    if (inner.values.contains(t.name())) {
      return load_error("subgraph '", name, "' has an input and an initializer '", printable(t.name()), "'").at_tensor(printable(t.name()));
    }
  }
  TENON_TRY(initializers(graph, inner));
  TENON_TRY(body(graph.node(), inner));
  for (const auto& v : graph.output()) {
    const auto found = inner.find(v.name());
    if (!found || *found == kNone) {
      return load_error("output '", printable(v.name()), "' of subgraph '", name, "' is produced by nothing")
          .at_tensor(printable(v.name()));
    }
    TENON_TRY(check_declared_type(v.name(), *found, inner));
    TENON_TRY(model_.graph.add_output(inner.region, *found, v.name()));
  }
  return inner.region;
}

}  // namespace tenon::onnx
