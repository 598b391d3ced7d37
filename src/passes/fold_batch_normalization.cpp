#include "passes/conv_weights.h"
#include "passes/passes.h"

namespace tenon::passes {

/// BatchNormalization(Conv(x, w, b)) -> Conv(x, w', b'), likewise after ConvTranspose, where everything but x is a float32 constant and
/// the convolution has no other reader.
Result<bool> fold_batch_normalization(Graph& graph, NodeId id) {
  if (!std::holds_alternative<ops::BatchNormalization>(graph.node(id).op)) return false;
  const auto conv = match_conv(graph, id, graph.node(id).inputs[0]);
  const auto by = conv ? affine(graph, id, 0, {1, {conv->filters}}) : std::nullopt;
  return by ? scale_conv(graph, id, *conv, *by) : Result<bool>(false);
}

}  // namespace tenon::passes
