// Where rows of the tensors of a recurrent layer are.
#pragma once

#include "kernels/recurrent/recurrent.h"

namespace tenon::kernels {

/// Row (a vector of inputs) of X.
inline int64_t x_row(const RecurrentParams& p, int64_t t, int64_t b) { return p.batch_major ? b * p.steps + t : t * p.batch + b; }
/// Row (a vector of hidden) of Y.
inline int64_t y_row(const RecurrentParams& p, int64_t t, int64_t d, int64_t b) {
  return p.batch_major ? (b * p.steps + t) * p.directions + d : (t * p.directions + d) * p.batch + b;
}
/// Row of initial_h, initial_c, Y_h and Y_c.
inline int64_t state_row(const RecurrentParams& p, int64_t d, int64_t b) { return p.batch_major ? b * p.directions + d : d * p.batch + b; }

/// The length of row b's sequence; a length outside [0, steps] is reported and counts as 0.
inline int64_t length_of(const RecurrentParams& p, const Call& call, int64_t b) {
  if (!p.lengths) return p.steps;
  const int64_t length = call.in<int32_t>(4)[b];
  if (length >= 0 && length <= p.steps) return length;
  call.fault->report(Fault::kLength, length, p.steps, 4);
  return 0;
}

}  // namespace tenon::kernels
