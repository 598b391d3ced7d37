#include <map>
#include <string>
#include <tuple>

#include "ops/regions.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// One value for all constants of the same type and bytes, the first that was seen: exporters write scalars anew wherever they need them.
class SmallConstants {
 public:
  ValueId first_equal(const Graph& graph, ValueId value) {
    constexpr size_t kMostBytes = 1024;
    const Tensor* t = constant(graph, value);
    if (t == nullptr || t->bytes() > kMostBytes || t->dtype() == DType::kString || !graph.type(value).layout.plain()) return value;
    std::string bytes(reinterpret_cast<const char*>(t->data()), t->bytes());
    return seen_.try_emplace({t->dtype(), t->dims(), std::move(bytes)}, value).first->second;
  }

 private:
  std::map<std::tuple<DType, Dims, std::string>, ValueId> seen_;
};

}  // namespace

/// Two nodes of one region with equal operators and the same inputs, or small constants that are equal, compute the same: the later one's
/// readers read the earlier one.
Result<bool> share_common_subexpressions(Graph& graph) {
  bool changed = false;
  SmallConstants constants;
  for (RegionId r = 0; r < graph.regions(); ++r) {
    std::multimap<std::pair<size_t, std::vector<ValueId>>, NodeId> seen;
    const std::vector<NodeId> list = graph.region(r).nodes;
    for (const NodeId id : list) {
      const Node& node = graph.node(id);
      if (node.dead || !ops::regions_of(node.op).empty()) continue;
      auto key = std::make_pair(node.op.index(), node.inputs);
      for (ValueId& input : key.second)
        if (input != kNone) input = constants.first_equal(graph, input);
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
