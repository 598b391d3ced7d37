// Operators that give a tensor other dims and move nothing: Reshape, Flatten, Squeeze, Unsqueeze.
#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// The same elements under the dims that input 1 holds: -1 (once) is whatever remains, 0 copies the input's dim unless allow_zero.
struct Reshape {
  bool allow_zero = false;

  bool operator==(const Reshape&) const = default;
};

/// (data, shape: int64[n]) -> (reshaped: data's dtype).
Result<Types> infer(const Reshape&, const Types& in);
Result<Step> bind(const Reshape&, const BindContext&);

/// Two dims: the product of those before `axis` and of those from it on.
struct Flatten {
  int64_t axis = 1;  ///< in [-rank, rank]

  bool operator==(const Flatten&) const = default;
};

/// (x) -> (y: x's dtype, rank 2).
Result<Types> infer(const Flatten&, const Types& in);
Result<Step> bind(const Flatten&, const BindContext&);

/// Drops the dims of 1 that input 1 names, or all of them without it; opset 13 meaning.
struct Squeeze {
  bool operator==(const Squeeze&) const = default;
};

/// (data, axes?: int64[n]) -> (squeezed: data's dtype).
Result<Types> infer(const Squeeze&, const Types& in);
Result<Step> bind(const Squeeze&, const BindContext&);

/// Inserts dims of 1 so that they are at the places input 1 names, counted in the output; opset 13 meaning.
struct Unsqueeze {
  bool operator==(const Unsqueeze&) const = default;
};

/// (data, axes: int64[n]) -> (expanded: data's dtype).
Result<Types> infer(const Unsqueeze&, const Types& in);
Result<Step> bind(const Unsqueeze&, const BindContext&);

}  // namespace tenon::ops
