// Where and Clip.
#pragma once

#include "kernels/elementwise/binary.h"

namespace tenon::kernels {

/// dst = condition ? x : y over three broadcast operands of `element_size` bytes (1, 2, 4, 8 or 16).
struct WhereParams {
  int32_t element_size = 4;
  int64_t count = 0;
  int64_t chunk = 0;
  BroadcastShape<3> shape;  ///< condition, x, y
};

#define KERNEL(Name, when, why) Kernel<WhereParams> Name##Pointer();
#include "kernels/elementwise/where.inc"
#undef KERNEL
extern const Table<WhereParams> where;

/// dst = min(max(src, low), high); input 1 is low and 2 high, scalars of the same dtype, null where not given.
struct ClipParams {
  DType dtype = DType::kFloat32;
  bool no_high = false;  ///< the call has no input 2
  int64_t count = 0;
  int64_t chunk = 0;
};

/// The float32 tile; NaN stays NaN.
using ClipTile = void (*)(float low, float high, const float* src, float* dst, int64_t n);
ClipTile clip_tile();

#define KERNEL(Name, when, why) Kernel<ClipParams> Name##Pointer();
#include "kernels/elementwise/clip.inc"
#undef KERNEL
extern const Table<ClipParams> clip;

}  // namespace tenon::kernels
