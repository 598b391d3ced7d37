#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Rotary position embedding: the first `rotary_dim` elements of every head, an even number, are turned in pairs: (a, b) becomes
/// (a cos - b sin, b cos + a sin). Pairs are the two halves of these elements, or neighbours. The rest of the head stays. With half the
/// size, cos and sin serve both elements of a pair; otherwise they lie as the pairs do.
struct RotaryEmbedding {
  bool swap = false;  ///< dims 1 and 2 of the output are dims 2 and 1 of x, which absorbs the transpose in front
  bool interleaved = false;
  int64_t rotary_dim = 0;  ///< 0: all elements

  bool operator==(const RotaryEmbedding&) const = default;
};

/// (x: float32, rank 4, heads in the last dim; cos, sin: float32, broadcast to the output but for the last dim, `rotary_dim` or
/// `rotary_dim` / 2) -> (y: x's shape, or that with dims 1 and 2 swapped).
Result<Types> infer(const RotaryEmbedding&, const Types& in);
Result<Step> bind(const RotaryEmbedding&, const BindContext&);

}  // namespace tenon::ops
