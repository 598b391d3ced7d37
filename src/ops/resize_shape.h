// The shape side of Resize: which axes change, to what size, at what scale.
#pragma once

#include <optional>

#include "ops/resize.h"

namespace tenon::ops {

/// Most elements along one resized axis.
inline constexpr int64_t kMaxResizedDim = (int64_t{1} << 31) - 1;

/// op.axes made non-negative, or all axes; no axis twice.
Result<std::vector<int64_t>> resized_axes(const Resize& op, int rank);

/// floor(in * scale) as exporters compute it, in float32.
Result<int64_t> scaled_size(int64_t in, float scale, int64_t axis);

/// What one axis becomes.
struct ResizedAxis {
  int64_t out = 0;
  double scale = 1;
  double width = 0;  ///< in * scale
};
/// By explicit scales.
Result<std::vector<ResizedAxis>> by_scales(const std::vector<int64_t>& in, const std::vector<int64_t>& axes,
                                           const std::vector<double>& scales);
/// By sizes and the policy. `in` and the results are for the listed axes.
Result<std::vector<ResizedAxis>> by_sizes(const std::vector<int64_t>& in, const std::vector<int64_t>& axes,
                                          const std::vector<int64_t>& sizes, Resize::Policy policy);

}  // namespace tenon::ops
