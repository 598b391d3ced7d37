// The step that Concat and Split share.
#pragma once

#include "kernels/movement/movement.h"
#include "ops/step.h"

namespace tenon::ops {

/// Rows cut into columns of `widths` bytes each.
Result<Step> join_step(const BindContext& ctx, bool split, int64_t rows, const std::vector<int64_t>& widths);

}  // namespace tenon::ops
