// Which regions of the graph an operator runs.
#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon::ops {

/// Ids of the bodies of a control-flow operator, in a fixed order; empty for every other operator.
std::vector<int> regions_of(const Op& op);

}  // namespace tenon::ops
