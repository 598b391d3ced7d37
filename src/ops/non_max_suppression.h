#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// For every image and class the boxes of best score, none of which overlaps a better chosen one by more than the threshold.
struct NonMaxSuppression {
  bool center_point_box = false;  ///< boxes are centre x, centre y, width, height; else y1 x1 y2 x2 of opposite corners

  bool operator==(const NonMaxSuppression&) const = default;
};

/// (boxes: float32[b, n, 4], scores: float32[b, c, n], most a class: int64 = 0, iou threshold: float32 = 0, score threshold: float32) ->
/// (selected: int64[chosen, 3], rows of image, class, box).
Result<Types> infer(const NonMaxSuppression&, const Types& in);
Result<Step> bind(const NonMaxSuppression&, const BindContext&);

}  // namespace tenon::ops
