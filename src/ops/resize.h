#pragma once

#include <vector>

#include "kernels/resize/resize.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Resampling with the meaning of ONNX Resize 19; older versions and Upsample are special cases. Inputs x, roi, scales, sizes; one of
/// scales and sizes has elements, and `axes` (all when empty) says which axes their elements are for.
struct Resize {
  using Mode = kernels::ResizeMode;
  enum class Policy : uint8_t { kStretch, kNotLarger, kNotSmaller };
  Mode mode = Mode::kNearest;
  kernels::Coordinates coordinates = kernels::Coordinates::kHalfPixel;
  kernels::NearestMode nearest = kernels::NearestMode::kRoundPreferFloor;
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
  double extrapolation = 0;
  Policy policy = Policy::kStretch;  ///< with sizes only
  std::vector<int64_t> axes;         ///< may be negative

  bool operator==(const Resize&) const = default;
};

/// (x: any for nearest, numbers otherwise; roi: float[2 * axes] or none; scales: float32[axes] or none; sizes: int64[axes] or none) ->
/// (y: dtype of x). roi only matters to kTfCropAndResize and need not be constant.
Result<Types> infer(const Resize&, const Types& in);
Result<Step> bind(const Resize&, const BindContext&);

}  // namespace tenon::ops
