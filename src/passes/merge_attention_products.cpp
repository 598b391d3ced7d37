#include <algorithm>
#include <array>

#include "ops/joined_weights.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// An operand by row: Reshape [batch, rows, heads, size] of a product with constant weights, and maybe a bias, that nothing else reads.
struct Projection {
  const Node* product = nullptr;
  const Tensor* weights = nullptr;
  const Tensor* bias = nullptr;
  int64_t heads = 0, size = 0;
};

std::optional<Projection> projection(const Graph& graph, ValueId operand) {
  if (graph.producer_as<ops::Reshape>(operand) == nullptr || !graph.single_use(operand)) return std::nullopt;
  const ValueId flat = graph.node(producer(graph, operand)).inputs[0];
  const auto* op = graph.producer_as<ops::MatMul>(flat);
  if (op == nullptr || !graph.single_use(flat)) return std::nullopt;
  Projection p;
  p.product = &graph.node(producer(graph, flat));
  p.weights = constant(graph, p.product->inputs[1]);
  const auto input = [&p](size_t i) { return i < p.product->inputs.size() ? p.product->inputs[i] : kNone; };
  p.bias = constant(graph, input(2));
  const bool plain = !op->trans_a && op->alpha == 1 && op->beta == 1 && op->activation.none() && input(3) == kNone;
  const Type &x = graph.type(input(0)), &y = graph.type(operand);
  if (!plain || p.weights == nullptr || !graph.single_use(input(1)) || !x.ranked() || x.rank() != 3 || !y.ranked() || y.rank() != 4)
    return std::nullopt;
  if (!(x.shape[0] == y.shape[0]) || !(x.shape[1] == y.shape[1]) || !y.shape[2].is_const() || !y.shape[3].is_const()) return std::nullopt;
  p.heads = y.shape[2].value();
  p.size = y.shape[3].value();
  const int64_t columns = p.heads * p.size;
  const bool vector = p.bias != nullptr && p.bias->dtype() == DType::kFloat32 && p.bias->rank() > 0 && p.bias->count() == columns &&
                      p.bias->dims().back() == columns;
  if (input(2) != kNone && !vector) return std::nullopt;
  return columns > 0 ? std::optional(p) : std::nullopt;
}

/// The biases one after the other, zeros where there is none.
Tensor biases(const std::vector<Projection>& parts) {
  std::vector<float> all;
  for (const Projection& p : parts) {
    const size_t columns = static_cast<size_t>(p.heads * p.size);
    if (p.bias != nullptr) {
      all.insert(all.end(), p.bias->as<float>(), p.bias->as<float>() + columns);
    } else {
      all.insert(all.end(), columns, 0.0f);
    }
  }
  return Tensor::of<float>({static_cast<int64_t>(all.size())}, all);
}

}  // namespace

/// Attention(Reshape(MatMul(x, Wq)), Reshape(MatMul(x, Wk)), Reshape(MatMul(x, Wv))) -> Attention of windows of Reshape(MatMul(x, W)),
/// where W are the three side by side, packed; float32, operands by row. Tokens are read once, and one step does the work of three.
Result<bool> merge_attention_products(Graph& graph, NodeId id) {
  const auto* found = std::get_if<ops::Attention>(&graph.node(id).op);
  if (found == nullptr || !found->q_by_row || !found->k_by_row || !found->v_by_row) return false;
  ops::Attention op = *found;
  std::vector<ValueId> inputs = graph.node(id).inputs;
  if (op.q_heads.heads != 0 || op.k_heads.heads != 0 || op.v_heads.heads != 0) return false;
  std::vector<Projection> parts;
  std::array<const Tensor*, 3> weights{};
  for (size_t i = 0; i < 3; ++i) {
    const auto p = projection(graph, inputs[i]);
    if (!p) return false;
    parts.push_back(*p);
    weights[i] = p->weights;
  }
  const auto& first = std::get<ops::MatMul>(parts[0].product->op);
  const ValueId x = parts[0].product->inputs[0];
  const bool alike = std::all_of(parts.begin(), parts.end(), [&](const Projection& p) {
    return p.product->inputs[0] == x && p.size == parts[0].size && std::get<ops::MatMul>(p.product->op).trans_b == first.trans_b;
  });
  if (!alike) return false;
  TENON_ASSIGN(auto packed, ops::pack_joined_weights(weights, first.trans_b));
  if (!packed) return false;

  Patch patch(graph, id);
  Type type = Type::of(DType::kFloat32, Shape::of(packed->tensor.dims()));
  type.layout = packed->layout;
  std::vector<ValueId> operands{x, patch.constant(std::move(packed->tensor), std::move(type))};
  const bool biased = std::any_of(parts.begin(), parts.end(), [](const Projection& p) { return p.bias != nullptr; });
  if (biased) operands.push_back(patch.constant(biases(parts)));
  const int64_t size = parts[0].size, heads = parts[0].heads + parts[1].heads + parts[2].heads;
  op.q_heads = {0, parts[0].heads};
  op.k_heads = {parts[0].heads, parts[1].heads};
  op.v_heads = {parts[0].heads + parts[1].heads, parts[2].heads};
  TENON_ASSIGN(const ValueId product, patch.add1(ops::MatMul{}, std::move(operands)));
  const ValueId shape = patch.constant(Tensor::of<int64_t>({4}, {0, 0, heads, size}));
  TENON_ASSIGN(const ValueId all, patch.add1(ops::Reshape{}, {product, shape}));
  inputs[0] = inputs[1] = inputs[2] = all;
  return patch.apply(op, std::move(inputs));
}

}  // namespace tenon::passes
