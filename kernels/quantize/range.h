// The range of a tensor, and the scale and zero point that map it to uint8.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels {

/// What the phases of DynamicQuantizeLinear leave in Call::shared; the ranges of the parts follow.
struct DynamicScale {
  float scale;
  uint8_t zero;
};
struct PartRange {
  float low, high;
};

/// Input 0: x, `count` float32. Part i finds the least and the largest number of its `chunk`, and of 0. NaN is passed over.
struct MinMaxParams {
  int64_t count = 0, chunk = 1;
  int64_t parts() const { return (count + chunk - 1) / chunk; }
  size_t shared_bytes() const { return sizeof(DynamicScale) + static_cast<size_t>(parts()) * sizeof(PartRange); }
};
Kernel<MinMaxParams> RangePointer();

/// One part: the scale and zero point of ONNX's DynamicQuantizeLinear from what Range found; also to outputs 1 and 2 unless null. A range of
/// nothing but 0 has scale 1.
Kernel<MinMaxParams> DynamicScalePointer();

}  // namespace tenon::kernels
