// Weights of several products as those of one.
#pragma once

#include <span>

#include "ops/matmul.h"

namespace tenon::ops {

/// Three matrices of as many rows, side by side, packed as one; each transposed first when trans_b. nullopt when packing would not help,
/// when one is no matrix of float32, or when one does not fill whole panels.
Result<std::optional<PackedWeights>> pack_joined_weights(std::span<const Tensor* const, 3> b, bool trans_b);

}  // namespace tenon::ops
