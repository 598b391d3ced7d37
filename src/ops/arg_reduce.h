#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// ArgMax or ArgMin along one axis: the index of the first extreme element, or of the last with select_last_index. The first NaN wins.
struct ArgReduce {
  enum class Kind : uint8_t { kMax, kMin };
  Kind kind = Kind::kMax;
  int64_t axis = 0;
  bool keepdims = true;
  bool select_last_index = false;

  bool operator==(const ArgReduce&) const = default;
};

/// (x: numeric) -> (y: int64).
Result<Types> infer(const ArgReduce&, const Types& in);
Result<Step> bind(const ArgReduce&, const BindContext&);

}  // namespace tenon::ops
