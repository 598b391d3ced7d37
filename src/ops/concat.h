#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Inputs one after another along an axis; all other dims are equal.
struct Concat {
  int64_t axis = 0;

  bool operator==(const Concat&) const = default;
};

/// (x0, x1, ...: same dtype and rank) -> (y). Channel-blocked along axis 1, when all inputs are and their channels fill whole blocks.
Result<Types> infer(const Concat&, const Types& in);
Result<Step> bind(const Concat&, const BindContext&);

}  // namespace tenon::ops
