#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Broadcasts input 0 with the shape that input 1 holds, both ways as numpy does. ConstantOfShape is this, of a scalar.
struct Expand {
  bool operator==(const Expand&) const = default;
};

/// (x, shape: int64[n]) -> (y: x's dtype).
Result<Types> infer(const Expand&, const Types& in);
Result<Step> bind(const Expand&, const BindContext&);

/// Repeats the whole input along every dim, opset 6 meaning.
struct Tile {
  bool operator==(const Tile&) const = default;
};

/// (x, repeats: int64[rank]) -> (y: x's dtype).
Result<Types> infer(const Tile&, const Types& in);
Result<Step> bind(const Tile&, const BindContext&);

}  // namespace tenon::ops
