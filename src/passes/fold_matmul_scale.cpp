#include <algorithm>

#include "passes/affine.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// MatMul(x, w, b) with constant float32 weights of rank 2 and bias, or none, and what moves its result to the reader at hand.
struct Moved {
  NodeId product = kNone;
  std::vector<NodeId> moves;  ///< Transposes and Reshapes, the last one first
  Channels columns_at;        ///< of the value that is read
  int64_t columns = 0;
  const Tensor* weights = nullptr;
  const Tensor* bias = nullptr;
};

/// Where a Transpose or Reshape brings the columns; false when they do not stay side by side.
bool move(const Graph& graph, const Node& node, int64_t columns, Channels& at) {
  const Type &x = graph.type(node.inputs[0]), &y = graph.type(node.outputs[0]);
  if (!x.ranked() || !y.ranked()) return false;
  const auto axes = static_cast<int64_t>(at.sizes.size());
  if (const auto* transpose = std::get_if<ops::Transpose>(&node.op)) {
    const auto perm = ops::full_perm(*transpose, x.rank());
    if (!perm.ok()) return false;
    const auto first = std::find(perm->begin(), perm->end(), at.axis);
    if (perm->end() - first < axes) return false;
    for (int64_t i = 0; i < axes; ++i)
      if (first[i] != at.axis + i) return false;
    at.axis = static_cast<int>(first - perm->begin());
    return true;
  }
  if (at.axis + axes != x.rank()) return false;
  at = {y.rank(), {}};
  for (int64_t found = 1; found < columns || at.sizes.empty();) {
    if (at.axis == 0) return false;
    const Dim& dim = y.shape.dims()[static_cast<size_t>(--at.axis)];
    if (!dim.is_const() || dim.value() <= 0 || columns / found % dim.value() != 0) return false;
    at.sizes.insert(at.sizes.begin(), dim.value());
    found *= dim.value();
  }
  return true;
}

std::optional<Moved> product_behind(const Graph& graph, ValueId value, RegionId region) {
  constexpr size_t kMostMoves = 3;
  Moved found;
  for (;; value = graph.node(found.moves.back()).inputs[0]) {
    found.product = producer(graph, value);
    if (found.product == kNone || !graph.single_use(value) || graph.node(found.product).region != region) return std::nullopt;
    const Op& op = graph.node(found.product).op;
    if (std::holds_alternative<ops::MatMul>(op)) break;
    if (!std::holds_alternative<ops::Transpose>(op) && !std::holds_alternative<ops::Reshape>(op)) return std::nullopt;
    if (found.moves.size() == kMostMoves) return std::nullopt;
    found.moves.push_back(found.product);
  }
  const Node& node = graph.node(found.product);
  const auto& op = std::get<ops::MatMul>(node.op);
  const Type& y = graph.type(value);
  found.weights = constant(graph, node.inputs[1]);
  if (!op.activation.none() || given(node, 3) || !y.ranked() || y.rank() == 0 || found.weights == nullptr || found.weights->rank() != 2 ||
      found.weights->dtype() != DType::kFloat32)
    return std::nullopt;
  found.columns = found.weights->dims()[op.trans_b ? 0 : 1];
  if (found.columns == 0) return std::nullopt;
  if (given(node, 2)) {
    found.bias = constant(graph, node.inputs[2]);
    if (found.bias == nullptr || found.bias->dtype() != DType::kFloat32 || found.bias->rank() == 0 ||
        found.bias->count() != found.columns || found.bias->dims().back() != found.columns)
      return std::nullopt;
  }
  if (!y.shape.dims().back().is(found.columns)) return std::nullopt;
  found.columns_at = {y.rank() - 1, {found.columns}};
  for (auto it = found.moves.rbegin(); it != found.moves.rend(); ++it)
    if (!move(graph, graph.node(*it), found.columns, found.columns_at)) return std::nullopt;
  return found;
}

}  // namespace

/// MatMul(x, w, b) * c, / c, + c or - c, and BatchNormalization(MatMul(x, w, b)) -> MatMul(x, w', b'), where c is a constant with one value
/// a column and w and b are constants too; through Transposes and Reshapes that keep the columns apart. One factor for all columns goes
/// into w only where there is a bias.
Result<bool> fold_matmul_scale(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool binary = std::holds_alternative<ops::Binary>(node.op);
  if (!binary && !std::holds_alternative<ops::BatchNormalization>(node.op)) return false;
  for (size_t side = 0; side < (binary ? 2u : 1u); ++side) {
    const auto found = product_behind(graph, node.inputs[side], node.region);
    const auto by = found ? affine(graph, id, side, found->columns_at) : std::nullopt;
    if (!by) continue;
    std::vector<ValueId> inputs = graph.node(found->product).inputs;
    auto op = std::get<ops::MatMul>(graph.node(found->product).op);
    const bool scales = !std::all_of(by->scale.begin(), by->scale.end(), [](double s) { return s == 1; });
    const bool one_factor = binary && scales && found->bias == nullptr && scalar_constant(graph, node.inputs[1 - side]).has_value();
    if (one_factor || (scales && !graph.single_use(inputs[1]))) continue;
    std::vector<float> bias;
    for (size_t c = 0; c < by->scale.size(); ++c) {
      const double b = found->bias != nullptr ? static_cast<double>(op.beta) * static_cast<double>(found->bias->as<float>()[c]) : 0;
      bias.push_back(static_cast<float>(b * by->scale[c] + by->shift[c]));
    }
    const std::vector<NodeId> moves = found->moves;
    Patch patch(graph, id);
    if (scales) {
      const size_t run = op.trans_b ? static_cast<size_t>(found->weights->dims()[1]) : 1;
      TENON_ASSIGN(Tensor weights, scaled_weights(graph, *found->weights, by->scale, run));
      inputs[1] = patch.constant(std::move(weights));
    }
    const bool shifts = std::any_of(bias.begin(), bias.end(), [](float b) { return b != 0; });
    inputs.resize(2);
    if (shifts) inputs.push_back(patch.constant(Tensor::of<float>({found->columns}, bias)));
    op.beta = 1;
    TENON_ASSIGN(ValueId y, patch.add1(op, std::move(inputs)));
    for (auto it = moves.rbegin(); it != moves.rend(); ++it) {
      std::vector<ValueId> moved = graph.node(*it).inputs;
      moved[0] = y;
      TENON_ASSIGN(y, patch.add1(Op(graph.node(*it).op), std::move(moved)));
    }
    patch.replace(graph.node(id).outputs[0], y);
    return patch.apply();
  }
  return false;
}

}  // namespace tenon::passes
