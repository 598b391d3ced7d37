// What the data movement operators share: strides, views, and steps made of one copy.
#pragma once

#include <span>

#include "kernels/movement/movement.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Bytes between neighbours along each dim of a dense tensor. A limit error when the whole is larger than an address
/// space, so that offsets within it never overflow.
Result<Dims> byte_strides(const Dims& dims, DType dtype);
inline bool is_empty(const Dims& dims) {
  for (const int64_t d : dims) {
    if (d == 0) return true;
  }
  return false;
}
/// Product of dims[begin, end), for dims that byte_strides() has accepted.
int64_t product(const Dims& dims, size_t begin, size_t end);

/// Output 0 is input 0 under another type, `offset` bytes in.
Step view_step(int64_t offset = 0);

/// Output 0, dense, filled from input 0 by `loops`: one for each dim of the output in order, `dst` being set here.
/// A view when that comes to one run of bytes.
Result<Step> copy_step(const BindContext& ctx, std::vector<kernels::CopyLoop> loops, int64_t src_offset = 0);

/// The elements of an input that decides shapes; none when it is left out.
Result<std::vector<int64_t>> constant_ints(const BindContext& ctx, int i);

/// False when the dim comes from a value nothing is known about (it could turn out to be -1 as well).
bool is_certain(const Dim& d);
/// Surely not negative, given that every symbol stands for a dim.
bool is_not_negative(const Dim& d);

}  // namespace tenon::ops
