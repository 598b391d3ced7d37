#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Pools regions of interest out of feature maps by bilinear sampling.
struct RoiAlign {
  bool max = false;        ///< else the average
  bool half_pixel = true;  ///< coordinate_transformation_mode half_pixel, else output_half_pixel
  int64_t output_height = 1;
  int64_t output_width = 1;
  int64_t sampling_ratio = 0;  ///< 0: as many samples as a bin has elements
  float spatial_scale = 1;

  bool operator==(const RoiAlign&) const = default;
};

/// (x: float[n, c, h, w], rois: same dtype [r, 4], batch_indices: int64[r]) -> (y: same dtype [r, c, output_height, output_width]).
Result<Types> infer(const RoiAlign&, const Types& in);
Result<Step> bind(const RoiAlign&, const BindContext&);

}  // namespace tenon::ops
