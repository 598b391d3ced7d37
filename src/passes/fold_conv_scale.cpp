#include "passes/conv_weights.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// The constant as one value a filter: a scalar, or dims [..., M, 1, ...] with M in the place of the channels.
std::optional<std::vector<double>> by_filter(const Graph& graph, ValueId value, const Type& y, int64_t filters) {
  const Tensor* t = constant(graph, value);
  if (t == nullptr || t->dtype() != DType::kFloat32 || !y.ranked() || t->rank() > y.rank()) return std::nullopt;
  if (t->count() == 1) return std::vector<double>(static_cast<size_t>(filters), t->to_doubles()[0]);
  for (int i = 0; i < t->rank(); ++i) {
    const bool channels = y.rank() - t->rank() + i == 1;
    if (t->dims()[static_cast<size_t>(i)] != (channels ? filters : 1)) return std::nullopt;
  }
  return t->to_doubles();
}

}  // namespace

/// Conv(x, w, b) * c, / c, + c or - c -> Conv(x, w', b'), where c is a constant with one value a filter and w and b are constants too.
Result<bool> fold_conv_scale(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* binary = std::get_if<ops::Binary>(&node.op);
  using K = ops::Binary::Kind;
  if (binary == nullptr || (binary->kind != K::kAdd && binary->kind != K::kSub && binary->kind != K::kMul && binary->kind != K::kDiv))
    return false;
  for (size_t side = 0; side < 2; ++side) {
    if (side == 1 && (binary->kind == K::kSub || binary->kind == K::kDiv)) break;
    const auto conv = match_conv(graph, id, node.inputs[side]);
    if (!conv) continue;
    auto c = by_filter(graph, node.inputs[1 - side], graph.type(node.inputs[side]), conv->filters);
    if (!c) continue;
    std::vector<double> scale(c->size(), 1.0), shift(c->size(), 0.0);
    for (size_t i = 0; i < c->size(); ++i) {
      switch (binary->kind) {
        case K::kAdd: shift[i] = (*c)[i]; break;
        case K::kSub: shift[i] = -(*c)[i]; break;
        case K::kMul: scale[i] = (*c)[i]; break;
        default: scale[i] = 1.0 / (*c)[i]; break;
      }
      if (!(scale[i] - scale[i] == 0)) return false;  // infinite or NaN weights would spread
    }
    return scale_conv(graph, id, *conv, scale, shift);
  }
  return false;
}

}  // namespace tenon::passes
