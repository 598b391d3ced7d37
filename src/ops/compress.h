#pragma once

#include <optional>

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The slices along `axis` (elements of the flattened input without it) whose condition is true.
struct Compress {
  std::optional<int64_t> axis;

  bool operator==(const Compress&) const = default;
};

/// (x: any[...], condition: bool[n], n at most the axis) -> (y: dtype of x, as many slices as are chosen).
Result<Types> infer(const Compress&, const Types& in);
Result<Step> bind(const Compress&, const BindContext&);

}  // namespace tenon::ops
