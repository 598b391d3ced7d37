#include "ops/qlinear_matmul.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

bool one_element(const Type& type) { return type.ranked() && (type.rank() == 0 || (type.rank() == 1 && type.shape[0].is(1))); }

/// What a sum of products is multiplied by, as scales of the operands; none where it is no such thing.
struct Scales {
  ValueId a = kNone, b = kNone;
};
Scales scales_of(const Graph& graph, ValueId value, const Dim& columns) {
  const auto of_b = [&](ValueId v) {
    const Type& type = graph.type(v);
    return one_element(type) ||
           (type.ranked() && type.rank() == 1 && columns.is_const() && ops::dims_equal(type.shape[0], columns) == true);
  };
  const auto* product = graph.producer_as<ops::Binary>(value);
  if (product == nullptr || product->kind != ops::Binary::Kind::kMul) return {};
  const auto& in = graph.node(producer(graph, value)).inputs;
  for (int side = 0; side < 2; ++side) {
    if (one_element(graph.type(in[side])) && of_b(in[1 - side]) && !one_element(graph.type(in[1 - side]))) return {in[side], in[1 - side]};
  }
  return one_element(graph.type(in[0])) && one_element(graph.type(in[1])) ? Scales{in[0], in[1]} : Scales{};
}

}  // namespace

/// Cast(integer product to int32, float32) * (a scale * a scale) -> the product to float32, as quantize_dynamic of onnxruntime spells it: one
/// of the scales has one element, the other one or, for matrices, one a column.
Result<bool> fuse_integer_scale(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* mul = std::get_if<ops::Binary>(&node.op);
  if (mul == nullptr || mul->kind != ops::Binary::Kind::kMul) return false;
  for (int side = 0; side < 2; ++side) {
    const ValueId cast = node.inputs[side], scale = node.inputs[1 - side];
    if (graph.producer_as<ops::Cast>(cast) == nullptr || !graph.single_use(cast) || graph.type(cast).dtype != DType::kFloat32) continue;
    const ValueId sums = graph.node(producer(graph, cast)).inputs[0];
    if (!graph.single_use(sums) || graph.type(sums).dtype != DType::kInt32 || !graph.type(sums).ranked() || graph.type(sums).rank() < 1)
      continue;
    const NodeId source = producer(graph, sums);
    if (source == kNone || graph.node(source).region != node.region) continue;
    Op op = graph.node(source).op;
    Dim columns = Dim::unknown();
    if (auto* product = std::get_if<ops::QLinearMatMul>(&op)) {
      product->to = DType::kFloat32;
      const Type& b = graph.type(graph.node(source).inputs[ops::kB]);
      if (b.ranked() && b.rank() >= 2) columns = b.shape[b.rank() - 1];
    } else if (auto* conv = std::get_if<ops::QLinearConv>(&op)) {
      conv->to = DType::kFloat32;
    } else {
      continue;
    }
    const Scales scales = scales_of(graph, scale, columns);
    if (scales.a == kNone || graph.type(scales.a).dtype != DType::kFloat32) continue;
    std::vector<ValueId> inputs = graph.node(source).inputs;
    inputs.resize(ops::kQuantizedInputs, kNone);
    inputs[ops::kAScale] = scales.a;
    inputs[ops::kBScale] = scales.b;
    return become(graph, id, std::move(op), std::move(inputs));
  }
  return false;
}

}  // namespace tenon::passes
