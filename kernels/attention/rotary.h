// Rotary position embedding: pairs of elements of a head turned by angles.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels {

/// Inputs: 0 x, 1 cosines, 2 sines; output 0. All float32. Rows have `size` contiguous elements, of which the first 2 * half are turned in
/// pairs and the rest is copied. Pair i is elements i and i + half, or 2i and 2i + 1 when interleaved. With a and b the pair of x:
/// a cos - b sin, then b cos + a sin, where cosines and sines lie as the pairs do, or are `half` ones that serve both.
/// Rows lie in three dims, those of y contiguous; strides of the others in elements, 0 where an operand is broadcast. y may be x.
struct RotaryParams {
  int64_t dims[3] = {1, 1, 1};
  int64_t x[3] = {}, cos[3] = {}, sin[3] = {};
  int64_t size = 0, half = 0;
  int64_t chunk = 1;  ///< rows a part
  bool interleaved = false;
  bool paired_angles = false;  ///< 2 * half cosines and sines a row

  int64_t rows() const { return dims[0] * dims[1] * dims[2]; }
  int64_t parts() const { return (rows() + chunk - 1) / chunk; }
};

Kernel<RotaryParams> RotaryPointer();

}  // namespace tenon::kernels
