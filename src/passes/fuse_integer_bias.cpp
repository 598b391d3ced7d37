#include "ops/qlinear_matmul.h"
#include "passes/passes.h"

namespace tenon::passes {

/// Integer product to float32 + a float32 a column -> the product with a bias.
Result<bool> fuse_integer_bias(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* add = std::get_if<ops::Binary>(&node.op);
  if (add == nullptr || add->kind != ops::Binary::Kind::kAdd) return false;
  for (int side = 0; side < 2; ++side) {
    const ValueId y = node.inputs[side], bias = node.inputs[1 - side];
    const auto* product = graph.producer_as<ops::QLinearMatMul>(y);
    if (product == nullptr || product->to != DType::kFloat32 || !graph.single_use(y)) continue;
    const NodeId source = producer(graph, y);
    std::vector<ValueId> inputs = graph.node(source).inputs;
    const Type &b = graph.type(inputs[ops::kB]), &addend = graph.type(bias);
    inputs.resize(ops::kQuantizedInputs, kNone);
    if (inputs[ops::kBias] != kNone || graph.node(source).region != node.region) continue;
    if (!b.ranked() || b.rank() < 2 || addend.dtype != DType::kFloat32 || !addend.ranked() || addend.rank() != 1) continue;
    if (ops::dims_equal(addend.shape[0], b.shape[b.rank() - 1]) != true) continue;
    inputs[ops::kBias] = bias;
    return become(graph, id, *product, std::move(inputs));
  }
  return false;
}

}  // namespace tenon::passes
