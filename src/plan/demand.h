// Which nodes of a region must run when only some of its outputs are wanted.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace tenon {

/// One flag an output of a region or node: it is to be computed.
using Wanted = std::vector<bool>;

/// What running a region for some of its outputs takes, whatever the shapes.
struct Demand {
  /// A node to run, and its outputs that somebody reads.
  struct Need {
    NodeId node = kNone;
    Wanted outputs;
  };
  RegionId region = 0;
  Wanted wanted;                  ///< outputs of the region
  std::vector<Need> nodes;        ///< in order
  std::vector<ValueId> captures;  ///< values of enclosing regions that nodes, their bodies or the wanted outputs read, in a fixed order
  size_t values = 0;              ///< inputs, captures and outputs of the nodes
  size_t constants = 0;           ///< that the nodes or the wanted outputs read
};

Demand demand_of(const Graph& graph, RegionId region, const Wanted& wanted);

}  // namespace tenon
