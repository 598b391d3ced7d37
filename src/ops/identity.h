#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The input itself, as a view. Any type.
struct Identity {
  static constexpr bool takes_any_structure(int) { return true; }
  bool operator==(const Identity&) const = default;
};

/// (x) -> (y: same type, contents and constant included).
Result<Types> infer(const Identity&, const Types& in);
Result<Step> bind(const Identity&, const BindContext&);

}  // namespace tenon::ops
