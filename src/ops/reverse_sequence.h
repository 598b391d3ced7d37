#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Reverses the first lengths[b] steps of every sequence b; one of the axes is 0, the other 1.
struct ReverseSequence {
  int64_t batch_axis = 1;
  int64_t time_axis = 0;

  bool operator==(const ReverseSequence&) const = default;
};

/// (x: rank 2 or more, sequence_lens: int64[batch]) -> (y: x's type).
Result<Types> infer(const ReverseSequence&, const Types& in);
Result<Step> bind(const ReverseSequence&, const BindContext&);

}  // namespace tenon::ops
