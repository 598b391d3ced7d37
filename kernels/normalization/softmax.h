// Softmax, LogSoftmax and Hardmax along one axis.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

enum class SoftmaxKind : uint8_t { kSoftmax, kLogSoftmax, kHardmax };

/// The tensor as [outer, n, inner], normalised over n. src and dst may be the same buffer.
struct SoftmaxParams {
  SoftmaxKind kind = SoftmaxKind::kSoftmax;
  DType dtype = DType::kFloat32;
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
  int64_t chunk = 1;  ///< a part: this many of the `outer` rows when inner is 1, else this many of the inner columns of one outer row
};

/// Whether vectors hold the elements as they are.
inline bool is_vector_float(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64; }

#define KERNEL(Name, when, why) Kernel<SoftmaxParams> Name##Pointer();
#include "kernels/normalization/softmax.inc"
#undef KERNEL
extern const Table<SoftmaxParams> softmax;

}  // namespace tenon::kernels
