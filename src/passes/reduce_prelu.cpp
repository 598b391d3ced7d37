#include <algorithm>
#include <vector>

#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// Whether constant dims stretch to those of x and surely do not exceed them.
bool stretches(const Dims& dims, const Type& x) {
  if (!x.ranked() || dims.size() > static_cast<size_t>(x.rank())) return false;
  const size_t extra = static_cast<size_t>(x.rank()) - dims.size();
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] != 1 && !x.shape[extra + i].is(dims[i])) return false;
  return true;
}

}  // namespace

/// PRelu(x, slope) -> LeakyRelu(x), which can be part of a product or a convolution, where all elements of a constant slope are one float.
Result<bool> reduce_prelu(Graph& graph, NodeId id) {
  constexpr int64_t kMostElements = 1 << 16;
  const Node& node = graph.node(id);
  const auto* binary = std::get_if<ops::Binary>(&node.op);
  if (binary == nullptr || binary->kind != ops::Binary::Kind::kPRelu || !is_float(graph.type(node.inputs[0]).dtype)) return false;
  const Tensor* slope = constant(graph, node.inputs[1]);
  if (slope == nullptr || slope->count() == 0 || slope->count() > kMostElements || !stretches(slope->dims(), graph.type(node.inputs[0])))
    return false;
  const std::vector<double> all = slope->to_doubles();
  const auto alpha = static_cast<float>(all[0]);
  if (!std::all_of(all.begin(), all.end(), [alpha](double v) { return v == static_cast<double>(alpha); })) return false;
  return become(graph, id, ops::Unary{.kind = ops::Unary::Kind::kLeakyRelu, .alpha = alpha}, {node.inputs[0]});
}

}  // namespace tenon::passes
