#include "ops/resize_shape.h"

#include <algorithm>
#include <cmath>

namespace tenon::ops {

Result<std::vector<int64_t>> resized_axes(const Resize& op, int rank) {
  std::vector<int64_t> axes;
  if (op.axes.empty()) {
    for (int d = 0; d < rank; ++d) axes.push_back(d);
    return axes;
  }
  for (int64_t a : op.axes) {
    TENON_ASSIGN(const int64_t axis, normal_axis(a, rank, "axes"));
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) return shape_error("axes name axis ", axis, " twice");
    axes.push_back(axis);
  }
  return axes;
}

Result<int64_t> scaled_size(int64_t in, float scale, int64_t axis) {
  const float size = std::floor(static_cast<float>(in) * scale);
  if (!(size <= static_cast<float>(kMaxResizedDim))) {
    return limit_error("scales: scale ", scale, " makes axis ", axis, " of ", in, " elements longer than ", kMaxResizedDim);
  }
  return static_cast<int64_t>(size);
}

Result<std::vector<ResizedAxis>> by_scales(const std::vector<int64_t>& in, const std::vector<int64_t>& axes,
                                           const std::vector<double>& scales) {
  std::vector<ResizedAxis> out;
  for (size_t i = 0; i < axes.size(); ++i) {
    TENON_ASSIGN(const int64_t size, scaled_size(in[i], static_cast<float>(scales[i]), axes[i]));
    out.push_back({size, scales[i], scales[i] * static_cast<double>(in[i])});
  }
  return out;
}

Result<std::vector<ResizedAxis>> by_sizes(const std::vector<int64_t>& in, const std::vector<int64_t>& axes,
                                          const std::vector<int64_t>& sizes, Resize::Policy policy) {
  std::vector<ResizedAxis> out;
  double common = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (in[i] == 0 && sizes[i] > 0) return shape_error("sizes ask for ", sizes[i], " elements along axis ", axes[i], ", which is empty");
    const double scale = in[i] == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(in[i]);
    out.push_back({sizes[i], scale, static_cast<double>(sizes[i])});
    common = i == 0 ? scale : policy == Resize::Policy::kNotLarger ? std::min(common, scale) : std::max(common, scale);
  }
  if (policy == Resize::Policy::kStretch) return out;
  for (size_t i = 0; i < axes.size(); ++i) {
    const double width = common * static_cast<double>(in[i]);
    if (width > static_cast<double>(kMaxResizedDim)) return limit_error("sizes make axis ", axes[i], " longer than ", kMaxResizedDim);
    out[i] = {static_cast<int64_t>(std::floor(width + 0.5)), common, width};
  }
  return out;
}

}  // namespace tenon::ops
