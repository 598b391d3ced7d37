// What GatherElements and ScatterElements share: how indices must fit data, and the walk over them.
#pragma once

#include "kernels/indexing/indexing.h"
#include "ops/infer.h"

namespace tenon::ops {

/// Input 1 (int32|int64) has the rank of input 0, which is at least 1, and is no longer than input 0 along any axis but `axis`.
Status expect_indices_along(const Types& in, int64_t axis);
/// dtype: of indices.
kernels::IndexLines index_lines(const Dims& data, const Dims& indices, int64_t axis, DType dtype);
/// A limit error when the kernels of this family do not handle the rank of input i.
Status expect_index_rank(const Types& in, int i);

}  // namespace tenon::ops
