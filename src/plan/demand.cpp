#include "plan/demand.h"

#include <algorithm>

#include "ops/regions.h"

namespace tenon {

Wanted wanted_of(const Node& node, const Demand& demand) {
  Wanted wanted;
  for (const ValueId v : node.outputs) wanted.push_back(v != kNone && demand.values.contains(v));
  return wanted;
}

Demand demand_of(const Graph& graph, RegionId region, const Wanted& wanted) {
  const Region& r = graph.region(region);
  Demand d;
  const auto read = [&](ValueId v) {
    if (v != kNone && !graph.value(v).constant) d.values.insert(v);
  };
  for (size_t i = 0; i < r.outputs.size(); ++i)
    if (wanted[i]) read(r.outputs[i]);
  std::set<ValueId> inside(r.inputs.begin(), r.inputs.end());
  for (auto id = r.nodes.rbegin(); id != r.nodes.rend(); ++id) {
    const Node& n = graph.node(*id);
    inside.insert(n.outputs.begin(), n.outputs.end());
    const Wanted outputs = wanted_of(n, d);
    if (std::find(outputs.begin(), outputs.end(), true) == outputs.end()) continue;
    d.nodes.push_back(*id);
    for (const ValueId v : n.inputs) read(v);
    for (const RegionId body : ops::regions_of(n.op)) {
      const Wanted needed = ops::wanted_of_body(n.op, outputs, graph.region(body).outputs.size());
      for (const ValueId v : demand_of(graph, body, needed).captures) read(v);
    }
  }
  std::reverse(d.nodes.begin(), d.nodes.end());
  std::set_difference(d.values.begin(), d.values.end(), inside.begin(), inside.end(), std::back_inserter(d.captures));
  return d;
}

}  // namespace tenon
