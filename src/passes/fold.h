// Computing nodes whose inputs are constants.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// Makes constants of the outputs of node `id` when all of its inputs are, and of integer outputs whose contents are known. False when there
/// are none, or they would be much larger than the inputs.
Result<bool> fold(Graph& graph, NodeId id);

}  // namespace tenon
