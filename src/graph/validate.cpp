#include <algorithm>

#include "graph/graph.h"
#include "ops/regions.h"

namespace tenon {

namespace {

class Validator {
 public:
  explicit Validator(const Graph& graph) : g_(graph), seen_(static_cast<size_t>(graph.values()), false) {}

  Status run() {
    for (ValueId v = 0; v < g_.values(); ++v) {
      const Value& value = g_.value(v);
      if (value.constant) seen_[v] = true;
      if (value.constant && value.type.constant != value.constant.get()) return broken(v, "type does not point at its constant");
    }
    TENON_TRY(region(0, 0));
    return users();
  }

 private:
  Status broken(ValueId v, const std::string& what) const {
    return error(Code::kInternal, "graph invariant broken at value '", g_.value(v).name, "': ", what);
  }

  Status region(RegionId id, int depth) {
    if (depth > 64) return error(Code::kInternal, "regions nest deeper than 64");
    const Region& r = g_.region(id);
    for (const ValueId v : r.inputs) seen_[v] = true;
    for (const NodeId nid : r.nodes) {
      const Node& n = g_.node(nid);
      if (n.dead) return error(Code::kInternal, "dead node '", n.name, "' is listed in a region");
      if (n.region != id) return error(Code::kInternal, "node '", n.name, "' is listed in a region that is not its own");
      for (const ValueId v : n.inputs) {
        if (v != kNone && !seen_[v]) return broken(v, "read by '" + n.name + "' before it is computed");
      }
      for (const RegionId inner : ops::regions_of(n.op)) TENON_TRY(region(inner, depth + 1));
      const auto inferred = infer(n.op, g_.types_of(n.inputs));
      if (!inferred.ok()) return inferred.status();
      for (size_t i = 0; i < n.outputs.size(); ++i) {
        const ValueId v = n.outputs[i];
        if (v == kNone) continue;
        if (g_.value(v).producer != nid || g_.value(v).output != static_cast<int>(i)) return broken(v, "wrong producer");
        seen_[v] = true;
        const Type &have = g_.type(v), &want = (*inferred)[i];
        if (have.dtype != want.dtype || !(have.layout == want.layout) || have.structure != want.structure ||
            contradicts(have.shape, want.shape)) {
          return broken(v, "is " + have.str() + ", but inference gives " + want.str());
        }
      }
    }
    for (const ValueId v : r.outputs) {
      if (!seen_[v]) return broken(v, "is an output, but nothing computes it");
    }
    return {};
  }

  static bool contradicts(const Shape& a, const Shape& b) {
    if (!a.ranked() || !b.ranked()) return false;
    if (a.rank() != b.rank()) return true;
    for (int i = 0; i < a.rank(); ++i) {
      if (a[i].is_const() && b[i].is_const() && !(a[i] == b[i])) return true;
    }
    return false;
  }

  Status users() const {
    std::vector<std::vector<NodeId>> users(static_cast<size_t>(g_.values()));
    std::vector<int> outputs(static_cast<size_t>(g_.values()), 0);
    for (NodeId id = 0; id < g_.nodes(); ++id) {
      if (g_.node(id).dead) continue;
      for (const ValueId v : g_.node(id).inputs)
        if (v != kNone) users[v].push_back(id);
    }
    for (RegionId r = 0; r < g_.regions(); ++r)
      for (const ValueId v : g_.region(r).outputs) ++outputs[v];
    for (ValueId v = 0; v < g_.values(); ++v) {
      std::vector<NodeId> have = g_.value(v).users;
      std::sort(have.begin(), have.end());
      std::sort(users[v].begin(), users[v].end());
      if (have != users[v]) return broken(v, "list of users is wrong");
      if (g_.value(v).output_uses != outputs[v]) return broken(v, "count of output uses is wrong");
    }
    return {};
  }

  const Graph& g_;
  std::vector<bool> seen_;
};

}  // namespace

Status validate(const Graph& graph) { return Validator(graph).run(); }

}  // namespace tenon
