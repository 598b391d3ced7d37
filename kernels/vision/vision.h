// Kernels of object detection: pooling regions of interest, and dropping boxes that overlap better ones.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/table.h"

namespace tenon::kernels {

/// Inputs x [batches, channels, height, width], rois [rois, 4] as x1 y1 x2 y2 (dtype of x), batch of each roi (int64); output [rois,
/// channels, out_height, out_width]. Every output bin is the average or maximum of a grid of bilinear samples; samples more than one
/// element outside the image count as zero. A batch outside [0, batches) is a fault kIndex.
struct RoiAlignParams {
  DType dtype = DType::kFloat32;
  bool max = false;
  bool half_pixel = true;      ///< shift regions by half an element; otherwise they are at least 1 by 1
  int64_t sampling_ratio = 0;  ///< samples a bin and axis; 0: one an element, rounded up
  float spatial_scale = 1;
  int64_t batches = 1, channels = 1, height = 1, width = 1;
  int64_t rois = 1, out_height = 1, out_width = 1;
  int64_t channels_per_part = 1;
  int64_t blocks() const { return (channels + channels_per_part - 1) / channels_per_part; }
  int64_t parts() const { return rois * blocks(); }
  /// Weights of the image's columns for every output column, and of its rows for one output row.
  size_t scratch_bytes() const {
    return static_cast<size_t>(out_width * width + height) * sizeof(double) + static_cast<size_t>(out_width) * 16;
  }
};
extern const Table<RoiAlignParams> roi_align;

/// One class of one image for non-maximum suppression.
struct Suppression {
  const float* boxes = nullptr;   ///< [n, 4]: y1 x1 y2 x2 of any two opposite corners, or centre x, centre y, width, height
  const float* scores = nullptr;  ///< [n]
  int64_t n = 0;
  bool center_point = false;
  bool has_threshold = false;  ///< only scores above score_threshold take part
  float score_threshold = 0;
  float iou_threshold = 0;  ///< a box goes when it overlaps a chosen one by more than this
  int64_t most = 0;         ///< boxes to choose at most
};
/// An 8-byte and a 20-byte slot a box.
inline int64_t suppression_workspace(int64_t n) { return n * 32; }
/// Writes the chosen boxes to `chosen` (room for min(most, n)), best score first, ties by lower index; returns how many.
int64_t suppress(const Suppression& s, std::byte* workspace, int64_t* chosen);

}  // namespace tenon::kernels
