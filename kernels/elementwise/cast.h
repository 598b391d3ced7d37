// Casts between all numeric dtypes. Strings are the operator's business (they need memory).
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

struct CastParams {
  DType from = DType::kFloat32;
  DType to = DType::kFloat32;
  bool saturate = true;
  Float8E8M0::Round round = Float8E8M0::Round::kUp;
  int64_t count = 0;
  int64_t chunk = 0;
};

/// n elements, ONNX Cast's meaning. Also what strings that hold numbers go through.
void cast_elements(const CastParams& p, const void* src, void* dst, int64_t n);

#define KERNEL(Name, when, why) Kernel<CastParams> Name##Pointer();
#include "kernels/elementwise/cast.inc"
#undef KERNEL
extern const Table<CastParams> cast;

}  // namespace tenon::kernels
