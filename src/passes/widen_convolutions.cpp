#include "passes/passes.h"
#include "passes/widen.h"

namespace tenon::passes {

/// Conv(x, constant w) -> Cast(Conv(Cast(x), w)) for float16 and bfloat16: computed in float32, for which there are fast kernels, and so is
/// what follows it, without rounding between.
Result<bool> widen_convolutions(Graph& graph) {
  return widen_from(graph, [](const Graph& g, const Node& node) {
    const bool convolution = std::holds_alternative<ops::Conv>(node.op) || std::holds_alternative<ops::ConvTranspose>(node.op);
    return convolution && constant(g, node.inputs[1]) != nullptr;
  });
}

}  // namespace tenon::passes
