#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// condition ? x : y with three-way numpy broadcasting, any dtype.
struct Where {
  bool operator==(const Where&) const = default;
};

/// (condition: bool, x, y: same dtype) -> (z: x's dtype, broadcast shape).
Result<Types> infer(const Where&, const Types& in);
Result<Step> bind(const Where&, const BindContext&);

}  // namespace tenon::ops
