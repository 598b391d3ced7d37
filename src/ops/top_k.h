#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The k largest (smallest) elements along an axis, best first; equal ones by ascending index, NaN larger than every number. Results
/// are sorted whether asked for or not: the order of unsorted ones is free.
struct TopK {
  int64_t axis = -1;
  bool largest = true;

  bool operator==(const TopK&) const = default;
};

/// (x: number[..., n, ...], k: int64 of one element) -> (values: dtype of x [..., k, ...], indices: int64, same shape).
Result<Types> infer(const TopK&, const Types& in);
Result<Step> bind(const TopK&, const BindContext&);

}  // namespace tenon::ops
