#include <cmath>

#include "passes/conv_weights.h"
#include "passes/passes.h"

namespace tenon::passes {

/// BatchNormalization(Conv(x, w, b)) -> Conv(x, w', b'), likewise after ConvTranspose, where everything but x is a float32 constant and
/// the convolution has no other reader.
Result<bool> fold_batch_normalization(Graph& graph, NodeId id) {
  const auto* norm = std::get_if<ops::BatchNormalization>(&graph.node(id).op);
  if (norm == nullptr || norm->training || !norm->spatial) return false;
  const auto conv = match_conv(graph, id, graph.node(id).inputs[0]);
  if (!conv) return false;
  std::vector<double> v[4];  // scale, bias, mean, var
  for (int i = 0; i < 4; ++i) {
    const Tensor* t = constant(graph, graph.node(id).inputs[static_cast<size_t>(i) + 1]);
    if (t == nullptr || t->count() != conv->filters) return false;
    v[i] = t->to_doubles();
  }
  std::vector<double> scale(v[0].size()), shift(v[0].size());
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] = v[0][c] / std::sqrt(v[3][c] + static_cast<double>(norm->epsilon));
    shift[c] = v[1][c] - v[2][c] * scale[c];
  }
  return scale_conv(graph, id, *conv, scale, shift);
}

}  // namespace tenon::passes
