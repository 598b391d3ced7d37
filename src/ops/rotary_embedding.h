#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Rotary position embedding of heads of an even size: x * cos + rotated(x) * sin, where rotated(x) is the second half of a head negated,
/// then its first half. Made by passes. With half the size, cos and sin serve both halves.
struct RotaryEmbedding {
  bool swap = false;  ///< dims 1 and 2 of the output are dims 2 and 1 of x, which absorbs the transpose in front

  bool operator==(const RotaryEmbedding&) const = default;
};

/// (x: float32, rank 4, last dim `size`; cos, sin: float32, broadcast to the output but for the last dim, `size` or `size` / 2)
/// -> (y: x's shape, or that with dims 1 and 2 swapped).
Result<Types> infer(const RotaryEmbedding&, const Types& in);
Result<Step> bind(const RotaryEmbedding&, const BindContext&);

}  // namespace tenon::ops
