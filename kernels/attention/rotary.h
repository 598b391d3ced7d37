// Rotary position embedding: pairs of elements of a head turned by angles.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels {

/// Inputs: 0 x, 1 cosines, 2 sines; output 0. All float32. With half = size / 2, for rows of `size` contiguous elements:
/// y[i] = x[i] cos[i] - x[i + half] sin[i] and y[i + half] = x[i + half] cos[i + second] + x[i] sin[i + second].
/// Rows lie in three dims, those of y contiguous; strides of the others in elements, 0 where an operand is broadcast. y may be x.
struct RotaryParams {
  int64_t dims[3] = {1, 1, 1};
  int64_t x[3] = {}, cos[3] = {}, sin[3] = {};
  int64_t half = 0;
  int64_t second = 0;  ///< where the cosines and sines of the second half begin: 0 or half
  int64_t chunk = 1;   ///< rows a part

  int64_t rows() const { return dims[0] * dims[1] * dims[2]; }
  int64_t parts() const { return (rows() + chunk - 1) / chunk; }
};

Kernel<RotaryParams> RotaryPointer();

}  // namespace tenon::kernels
