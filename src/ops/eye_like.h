#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Ones on a diagonal, zeros elsewhere, of the input's shape.
struct EyeLike {
  DType dtype = DType::kUndefined;  ///< kUndefined: the input's
  int64_t k = 0;                    ///< the diagonal: above the main one when positive

  bool operator==(const EyeLike&) const = default;
};

/// (x: rank 2) -> (y: same shape).
Result<Types> infer(const EyeLike&, const Types& in);
Result<Step> bind(const EyeLike&, const BindContext&);

}  // namespace tenon::ops
