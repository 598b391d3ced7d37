// Reductions over any set of axes.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

enum class ReduceKind : uint8_t { kL1, kL2, kLogSum, kLogSumExp, kMax, kMean, kMin, kProd, kSum, kSumSquare };
inline constexpr int kReduceKinds = 10;

inline constexpr int kMaxReduceRank = 8;

/// The input as alternating kept and reduced dims after neighbours of one sort are merged. Output element o starts at the input
/// offset given by the kept dims and strides; its elements lie at the reduced dims and strides, walked in row-major order.
struct ReduceParams {
  ReduceKind kind = ReduceKind::kSum;
  DType dtype = DType::kFloat32;
  int32_t kept_rank = 0;
  int32_t reduced_rank = 0;
  int64_t kept_dims[kMaxReduceRank] = {};
  int64_t kept_strides[kMaxReduceRank] = {};
  int64_t reduced_dims[kMaxReduceRank] = {};
  int64_t reduced_strides[kMaxReduceRank] = {};
  int64_t outputs = 1;  ///< product of kept_dims
  int64_t reduced = 1;  ///< product of reduced_dims
  int64_t chunk = 1;    ///< outputs a part
};

#define KERNEL(Name, when, why) Kernel<ReduceParams> Name##Pointer();
#include "kernels/reduction/reduce.inc"
#undef KERNEL
extern const Table<ReduceParams> reduce;

}  // namespace tenon::kernels
