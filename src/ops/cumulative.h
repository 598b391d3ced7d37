#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// CumSum or CumProd along an axis that is an input.
struct Cumulative {
  enum class Kind : uint8_t { kSum, kProd };
  Kind kind = Kind::kSum;
  bool exclusive = false;
  bool reverse = false;

  bool operator==(const Cumulative&) const = default;
};

/// (x: numeric, axis: int32 or int64 scalar) -> (y: same type).
Result<Types> infer(const Cumulative&, const Types& in);
Result<Step> bind(const Cumulative&, const BindContext&);

}  // namespace tenon::ops
