#include "importers/onnx/legacy.h"

#include <algorithm>
#include <string_view>

#include "ops/op.h"

namespace tenon::onnx {

namespace {

constexpr std::string_view kBinary[] = {"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Greater", "Less", "Equal"};

Result<int64_t> int_or(Attributes& attributes, std::string_view name, int64_t otherwise) {
  TENON_ASSIGN(const BoundAttribute* a, attributes.get(name, AttributeType::kInt));
  return a ? a->proto->i() : otherwise;
}

/// `value` with `count` dims of 1 after its own.
Result<ValueId> with_trailing_ones(Graph& graph, RegionId region, ValueId value, int64_t count) {
  if (count == 0) return value;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < count; ++i) axes.push_back(graph.type(value).rank() + i);
  const ValueId where = graph.add_constant(region, graph.value(value).name + ".axes", Tensor::of<int64_t>({count}, axes));
  TENON_ASSIGN(const auto out, graph.add_node(region, ops::Unsqueeze{}, {value, where}, {.name = graph.value(value).name + ".aligned"}));
  return out[0];
}

}  // namespace

Status adapt_legacy(const onnxpb::NodeProto& node, Graph& graph, RegionId region, std::vector<ValueId>& inputs, Attributes& attributes) {
  const std::string_view op = node.op_type();
  attributes.get_any("consumed_inputs");
  if (op == "BatchNormalization" || op == "Dropout") {
    TENON_ASSIGN(const int64_t is_test, int_or(attributes, "is_test", 0));
    (void)is_test;  // a loaded model is always at inference
    return {};
  }
  if (op == "Gemm") {
    TENON_ASSIGN(const int64_t broadcast, int_or(attributes, "broadcast", 0));
    (void)broadcast;  // C always broadcasts from opset 7 on
    return {};
  }
  if (inputs.size() != 2 || inputs[0] == kNone || inputs[1] == kNone) return {};
  const Type &a = graph.type(inputs[0]), &b = graph.type(inputs[1]);
  int64_t trailing = 0;
  if (op == "PRelu") {
    // Along the channels, the second dim of the first input.
    if (a.ranked() && b.ranked() && b.rank() == 1 && a.rank() > 2 && !b.shape[0].is(1)) trailing = a.rank() - 2;
  } else if (std::find(std::begin(kBinary), std::end(kBinary), op) != std::end(kBinary)) {
    TENON_ASSIGN(const int64_t broadcast, int_or(attributes, "broadcast", 0));
    const bool has_axis = attributes.has("axis");
    TENON_ASSIGN(const int64_t axis, int_or(attributes, "axis", 0));
    if (broadcast == 0 || !has_axis) return {};
    if (!a.ranked() || !b.ranked()) return load_error("attribute 'axis' of opset 6 needs inputs of known rank");
    const int64_t at = axis < 0 ? axis + a.rank() : axis;
    trailing = a.rank() - at - b.rank();
    if (at < 0 || trailing < 0) {
      return shape_error("attribute 'axis' is ", axis, ": an input of rank ", b.rank(), " does not fit there into one of rank ", a.rank());
    }
  }
  TENON_ASSIGN(inputs[1], with_trailing_ones(graph, region, inputs[1], trailing));
  return {};
}

}  // namespace tenon::onnx
