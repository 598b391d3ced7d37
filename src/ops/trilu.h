#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The upper or lower triangle of the matrices in the last two dims, zeros elsewhere.
struct Trilu {
  bool upper = true;

  bool operator==(const Trilu&) const = default;
};

/// (x: rank 2 or more, k?: int64 scalar, the diagonal) -> (y: x's type).
Result<Types> infer(const Trilu&, const Types& in);
Result<Step> bind(const Trilu&, const BindContext&);

}  // namespace tenon::ops
