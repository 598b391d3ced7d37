#include <map>

#include "ops/regions.h"
#include "passes/passes.h"

namespace tenon::passes {

/// Two nodes of one region with equal operators and the same inputs compute the same: the later one's readers read the earlier one.
Result<bool> share_common_subexpressions(Graph& graph) {
  bool changed = false;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    std::multimap<std::pair<size_t, std::vector<ValueId>>, NodeId> seen;
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      const Node& node = graph.node(id);
      if (node.dead || !ops::regions_of(node.op).empty()) continue;
      const auto key = std::make_pair(node.op.index(), node.inputs);
      const auto [begin, end] = seen.equal_range(key);
      NodeId earlier = kNone;
      for (auto it = begin; it != end; ++it) {
        const Node& other = graph.node(it->second);
        if (other.op == node.op && other.outputs.size() == node.outputs.size()) earlier = it->second;
      }
      if (earlier == kNone) {
        seen.emplace(key, id);
        continue;
      }
      const std::vector<ValueId> mine = node.outputs, theirs = graph.node(earlier).outputs;
      Patch patch(graph, id);
      bool complete = true;
      for (size_t i = 0; i < mine.size(); ++i) {
        if (mine[i] == kNone) continue;
        if (theirs[i] == kNone) {
          complete = false;
          break;
        }
        patch.replace(mine[i], theirs[i]);
      }
      if (!complete) continue;
      TENON_TRY(patch.apply());
      changed = true;
    }
  }
  return changed;
}

}  // namespace tenon::passes
