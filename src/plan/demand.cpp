#include "plan/demand.h"

#include <algorithm>

#include "ops/regions.h"

namespace tenon {

Demand demand_of(const Graph& graph, RegionId region, const Wanted& wanted) {
  const Region& r = graph.region(region);
  Demand d;
  d.region = region;
  d.wanted = wanted;
  std::vector<bool> needed(static_cast<size_t>(graph.values())), inside(needed.size());
  const auto read = [&](ValueId v) {
    if (v == kNone || needed[static_cast<size_t>(v)]) return;
    needed[static_cast<size_t>(v)] = true;
    if (graph.value(v).constant) {
      ++d.constants;
    } else {
      d.captures.push_back(v);
    }
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
    Wanted outputs(n.outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = n.outputs[i] != kNone && needed[static_cast<size_t>(n.outputs[i])];
    if (std::find(outputs.begin(), outputs.end(), true) == outputs.end()) continue;
    std::for_each(n.inputs.begin(), n.inputs.end(), read);
    for (const RegionId body : ops::regions_of(n.op)) {
      const Wanted of_body = ops::wanted_of_body(n.op, outputs, graph.region(body).outputs.size());
      for (const ValueId v : demand_of(graph, body, of_body).captures) read(v);
    }
    d.values += outputs.size();
    d.nodes.push_back({*id, std::move(outputs)});
  }
  std::reverse(d.nodes.begin(), d.nodes.end());
  std::erase_if(d.captures, [&](ValueId v) { return inside[static_cast<size_t>(v)]; });
  std::sort(d.captures.begin(), d.captures.end());
  d.values += r.inputs.size() + d.captures.size();
  return d;
}

}  // namespace tenon
