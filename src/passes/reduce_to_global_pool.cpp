#include <algorithm>

#include "passes/passes.h"

namespace tenon::passes {

/// ReduceMean or ReduceMax over all spatial dims of a float32 tensor of rank 3 to 5, keeping them -> GlobalAveragePool or GlobalMaxPool,
/// which have channel-blocked kernels.
Result<bool> reduce_to_global_pool(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* reduce = std::get_if<ops::Reduce>(&node.op);
  if (reduce == nullptr || !reduce->keepdims || node.inputs.size() < 2) return false;
  if (reduce->kind != ops::Reduce::Kind::kMean && reduce->kind != ops::Reduce::Kind::kMax) return false;
  const Type& x = graph.type(node.inputs[0]);
  if (x.dtype != DType::kFloat32 || !x.ranked() || x.rank() < 3 || x.rank() > 5) return false;
  const Tensor* axes = constant(graph, node.inputs[1]);
  if (axes == nullptr || axes->count() != x.rank() - 2) return false;
  std::vector<int64_t> list = axes->to_ints();
  for (int64_t& a : list) a = a < 0 ? a + x.rank() : a;
  std::sort(list.begin(), list.end());
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] != static_cast<int64_t>(i) + 2) return false;
  }
  const bool mean = reduce->kind == ops::Reduce::Kind::kMean;
  return become(graph, id, ops::GlobalPool{mean ? ops::GlobalPool::Kind::kAverage : ops::GlobalPool::Kind::kMax}, {node.inputs[0]});
}

}  // namespace tenon::passes
