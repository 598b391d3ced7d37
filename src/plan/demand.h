// Which nodes of a region must run when only some of its outputs are wanted.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace tenon {

/// One flag an output of a region or node: it is to be computed.
using Wanted = std::vector<bool>;

struct Demand {
  std::vector<NodeId> nodes;      ///< those to run, in order
  std::vector<bool> values;       ///< a flag a value of the graph: they, their bodies or the wanted outputs read it; no constants
  std::vector<ValueId> captures;  ///< of these values those of enclosing regions, in a fixed order
};

Demand demand_of(const Graph& graph, RegionId region, const Wanted& wanted);

/// The outputs of `node` that somebody reads.
Wanted wanted_of(const Node& node, const Demand& demand);

}  // namespace tenon
