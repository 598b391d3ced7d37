// ArgMax, ArgMin and cumulative sums and products along one axis of [outer, n, inner].
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

/// Of equal extremes the first; NaN wins over everything, the first one again, also when `last`.
struct ArgReduceParams {
  DType dtype = DType::kFloat32;
  bool min = false;
  bool last = false;  ///< of equal extremes the last instead of the first
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
  int64_t chunk = 1;  ///< outputs a part
};

struct CumulativeParams {
  DType dtype = DType::kFloat32;
  bool product = false;
  bool exclusive = false;
  bool reverse = false;
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
  int64_t chunk = 1;  ///< lines (of the outer * inner) a part
};

#define KERNEL(Name, when, why) Kernel<ArgReduceParams> Name##Pointer();
#include "kernels/reduction/arg_reduce.inc"
#undef KERNEL
Kernel<CumulativeParams> CumulativePlainPointer();
extern const Table<ArgReduceParams> arg_reduce;
extern const Table<CumulativeParams> cumulative;

}  // namespace tenon::kernels
