#include "plan/demand.h"

#include <algorithm>

#include "ops/regions.h"

namespace tenon {

Wanted wanted_of(const Node& node, const Demand& demand) {
  Wanted wanted(node.outputs.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ValueId v = node.outputs[i];
    wanted[i] = v != kNone && demand.values[static_cast<size_t>(v)];
  }
  return wanted;
}

Demand demand_of(const Graph& graph, RegionId region, const Wanted& wanted) {
  const Region& r = graph.region(region);
  Demand d;
  d.values.resize(static_cast<size_t>(graph.values()));
  std::vector<bool> inside(d.values.size());
  const auto read = [&](ValueId v) {
    if (v == kNone || d.values[static_cast<size_t>(v)] || graph.value(v).constant) return;
    d.values[static_cast<size_t>(v)] = true;
    d.captures.push_back(v);
  };
  const auto make = [&](ValueId v) {
    if (v != kNone) inside[static_cast<size_t>(v)] = true;
  };
  for (size_t i = 0; i < r.outputs.size(); ++i)
    if (wanted[i]) read(r.outputs[i]);
  std::for_each(r.inputs.begin(), r.inputs.end(), make);
  for (auto id = r.nodes.rbegin(); id != r.nodes.rend(); ++id) {
    const Node& n = graph.node(*id);
    std::for_each(n.outputs.begin(), n.outputs.end(), make);
    const Wanted outputs = wanted_of(n, d);
    if (std::find(outputs.begin(), outputs.end(), true) == outputs.end()) continue;
    d.nodes.push_back(*id);
    std::for_each(n.inputs.begin(), n.inputs.end(), read);
    for (const RegionId body : ops::regions_of(n.op)) {
      const Wanted needed = ops::wanted_of_body(n.op, outputs, graph.region(body).outputs.size());
      for (const ValueId v : demand_of(graph, body, needed).captures) read(v);
    }
  }
  std::reverse(d.nodes.begin(), d.nodes.end());
  std::erase_if(d.captures, [&](ValueId v) { return inside[static_cast<size_t>(v)]; });
  std::sort(d.captures.begin(), d.captures.end());
  return d;
}

}  // namespace tenon
