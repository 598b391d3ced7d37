#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The same values in another layout.
struct Reorder {
  Layout to;

  bool operator==(const Reorder&) const = default;
};

/// (x: float32[N, C, ...], plain or channel-blocked) -> (y: same type in layout `to`); int8 and uint8 from quad_layout() to plain.
Result<Types> infer(const Reorder&, const Types& in);
Result<Step> bind(const Reorder&, const BindContext&);

}  // namespace tenon::ops
