#include "importers/onnx/node_context.h"

#include "importers/onnx/utf8.h"
#include "ops/regions.h"

namespace tenon::onnx {

FileNode::FileNode(Builder& builder, Scope& scope, Spec spec)
    : builder_(builder),
      scope_(scope),
      spec_(std::move(spec)),
      region_(scope.region),
      types_(builder.graph().types_of(spec_.inputs)),
      first_value_(builder.graph().values()) {}

const Type& FileNode::type(int i) const {
  static const Type none = Type::none();
  return i >= 0 && i < inputs() ? types_[static_cast<size_t>(i)] : none;
}

template <class T, class Take>
Result<T> FileNode::attribute(std::string_view name, AttributeType type, std::optional<T> otherwise, Take take) {
  TENON_ASSIGN(const BoundAttribute* a, spec_.attributes.get(name, type));
  if (a) return T(take(*a->proto));
  if (otherwise) return *std::move(otherwise);
  return load_error("attribute '", name, "' is missing, expected ", attribute_type_name(type));
}

Result<int64_t> FileNode::int_attribute(std::string_view name, std::optional<int64_t> otherwise) {
  return attribute(name, AttributeType::kInt, otherwise, [](const auto& a) { return a.i(); });
}
Result<float> FileNode::float_attribute(std::string_view name, std::optional<float> otherwise) {
  return attribute(name, AttributeType::kFloat, otherwise, [](const auto& a) { return a.f(); });
}
Result<std::string> FileNode::string_attribute(std::string_view name, std::optional<std::string> otherwise) {
  return attribute(name, AttributeType::kString, std::move(otherwise), [](const auto& a) { return a.s(); });
}
Result<std::vector<int64_t>> FileNode::ints_attribute(std::string_view name, std::optional<std::vector<int64_t>> otherwise) {
  return attribute(name, AttributeType::kInts, std::move(otherwise),
                   [](const auto& a) { return std::vector<int64_t>(a.ints().begin(), a.ints().end()); });
}
Result<std::vector<float>> FileNode::floats_attribute(std::string_view name, std::optional<std::vector<float>> otherwise) {
  return attribute(name, AttributeType::kFloats, std::move(otherwise),
                   [](const auto& a) { return std::vector<float>(a.floats().begin(), a.floats().end()); });
}
Result<std::vector<std::string>> FileNode::strings_attribute(std::string_view name, std::optional<std::vector<std::string>> otherwise) {
  return attribute(name, AttributeType::kStrings, std::move(otherwise),
                   [](const auto& a) { return std::vector<std::string>(a.strings().begin(), a.strings().end()); });
}

Result<Tensor> FileNode::tensor_attribute(std::string_view name) {
  const BoundAttribute* a = spec_.attributes.get_any(name);
  if (!a) return load_error("attribute '", name, "' is missing, expected TENSOR");
  if (a->type != AttributeType::kTensor && a->type != AttributeType::kSparseTensor) {
    return load_error("attribute '", name, "' is ", attribute_type_name(a->type), ", expected TENSOR");
  }
  return builder_.tensor(*a, name);
}

Result<RegionId> FileNode::graph_attribute(std::string_view name, const Types& inputs) {
  TENON_ASSIGN(const BoundAttribute* a, spec_.attributes.get(name, AttributeType::kGraph));
  if (!a) return load_error("attribute '", name, "' is missing, expected GRAPH");
  return builder_.subgraph(*a, name, scope_, region_, inputs);
}

Result<std::vector<ValueId>> FileNode::add_named(Op op, const std::vector<ValueId>& inputs, std::vector<std::string> names) {
  TENON_TRY(builder_.count_node());
  Graph::NodeSpec spec;
  spec.name = spec_.name;
  spec.source_op = spec_.proto.op_type();
  spec.source_domain = spec_.domain;
  spec.source_opset = spec_.opset;
  spec.output_names = std::move(names);
  const bool regions = !ops::regions_of(op).empty();  // bodies read values that are not among the inputs
  TENON_ASSIGN(auto outputs, builder_.graph().add_node(region_, std::move(op), inputs, std::move(spec)));
  if (!regions) TENON_TRY(builder_.check_constant_size(inputs, outputs));
  return outputs;
}

Result<std::vector<ValueId>> FileNode::add(Op op, const std::vector<ValueId>& inputs, int outputs) {
  TENON_ASSIGN(auto values, add_named(std::move(op), inputs, {}));
  if (static_cast<int>(values.size()) < outputs) {
    return error(Code::kInternal, "the operator gives ", values.size(), " outputs, the converter wants ", outputs);
  }
  values.resize(static_cast<size_t>(outputs));
  return values;
}

ValueId FileNode::constant(Tensor tensor) { return builder_.graph().add_constant(region_, spec_.name + ".constant", std::move(tensor)); }

Result<std::vector<ValueId>> FileNode::begin_region(std::string_view name, const Types& inputs) {
  Graph& graph = builder_.graph();
  region_ = graph.add_region(region_, std::string(name));
  std::vector<ValueId> values;
  for (const Type& type : inputs) {
    TENON_ASSIGN(const ValueId id, graph.add_input(region_, spec_.name + "." + std::string(name) + ".in", type));
    values.push_back(id);
  }
  return values;
}

Result<RegionId> FileNode::end_region(const std::vector<ValueId>& outputs) {
  Graph& graph = builder_.graph();
  for (const ValueId v : outputs) TENON_TRY(graph.add_output(region_, v));
  const RegionId ended = region_;
  region_ = graph.region(ended).parent;
  return ended;
}

Status FileNode::set_outputs(const std::vector<ValueId>& values) {
  outputs_set_ = true;
  Graph& graph = builder_.graph();
  for (int i = 0; i < outputs(); ++i) {
    if (!has_output(i)) continue;
    if (i >= static_cast<int>(values.size()) || values[static_cast<size_t>(i)] == kNone) {
      return load_error("output ", i, " '", printable(spec_.proto.output(i)), "' is not given by this operator");
    }
    const ValueId id = values[static_cast<size_t>(i)];
    const std::string& name = spec_.proto.output(i);
    // A value made for this node takes the file's name; one that was there before (an input passed on) keeps its own.
    if (id >= first_value_ && graph.value(id).name != scope_.prefix + name) graph.rename(id, scope_.prefix + name);
    scope_.values.emplace(name, id);
  }
  return {};
}

Status FileNode::become(Op op) {
  std::vector<std::string> names;
  for (int i = 0; i < outputs(); ++i) names.push_back(has_output(i) ? scope_.prefix + spec_.proto.output(i) : std::string());
  while (!names.empty() && names.back().empty()) names.pop_back();
  TENON_ASSIGN(const auto values, add_named(std::move(op), spec_.inputs, std::move(names)));
  return set_outputs(values);
}

Status FileNode::become_custom(std::shared_ptr<const CustomOp> op) {
  ops::Custom custom{std::move(op), {}, outputs()};
  for (const auto& entry : spec_.attributes.all()) {
    const onnxpb::AttributeProto& a = *entry.attribute.proto;
    CustomAttribute& value = custom.attributes[entry.name];
    switch (entry.attribute.type) {
      case AttributeType::kInt: value = a.i(); break;
      case AttributeType::kFloat: value = a.f(); break;
      case AttributeType::kString: value = a.s(); break;
      case AttributeType::kInts: value = std::vector<int64_t>(a.ints().begin(), a.ints().end()); break;
      case AttributeType::kFloats: value = std::vector<float>(a.floats().begin(), a.floats().end()); break;
      case AttributeType::kStrings: value = std::vector<std::string>(a.strings().begin(), a.strings().end()); break;
      default:
        return load_error("attribute '", printable(entry.name), "' is ", attribute_type_name(entry.attribute.type),
                          ", which custom operators cannot take");
    }
  }
  for (const auto& entry : custom.attributes) spec_.attributes.get_any(entry.first);  // read, for finish()
  return become(std::move(custom));
}

Status FileNode::finish() const {
  if (!outputs_set_) return error(Code::kInternal, "the converter set no outputs");
  if (const std::string* name = spec_.attributes.unread()) {
    return load_error("attribute '", printable(*name), "' is unknown to this operator in opset ", spec_.opset);
  }
  return {};
}

}  // namespace tenon::onnx
