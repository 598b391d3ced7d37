#include "ops/roi_align.h"

#include <algorithm>

#include "kernels/vision/vision.h"

namespace tenon::ops {

Result<Types> infer(const RoiAlign& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_same_dtype(in, 0, 1));
  TENON_TRY(expect_dtype(in, 2, {DType::kInt64}));
  TENON_TRY(expect_rank(in, 0, 4));
  TENON_TRY(expect_rank(in, 1, 2));
  TENON_TRY(expect_rank(in, 2, 1));
  if (op.output_height < 1 || op.output_width < 1) {
    return shape_error("output_height ", op.output_height, " and output_width ", op.output_width, " must be 1 or more");
  }
  constexpr int64_t kMostSamples = 4096;
  if (op.sampling_ratio < 0 || op.sampling_ratio > kMostSamples) {
    return shape_error("sampling_ratio ", op.sampling_ratio, " is outside [0, ", kMostSamples, "]");
  }
  if (in[1].ranked() && dims_equal(in[1].shape[1], 4) == false)
    return input_error(1, "has shape ", in[1].shape.str(), ", expected [rois, 4]");
  Dim rois = in[1].ranked() ? in[1].shape[0] : in[2].ranked() ? in[2].shape[0] : Dim::unknown();
  if (in[1].ranked() && in[2].ranked()) {
    if (dims_equal(rois, in[2].shape[0]) == false) {
      return input_error(2, "has shape ", in[2].shape.str(), ", expected one batch index for each of the ", rois.str(), " rois");
    }
    if (!rois.is_const()) rois = in[2].shape[0];
  }
  const Dim channels = in[0].ranked() ? in[0].shape[1] : Dim::unknown();
  if (in[0].ranked() && (in[0].shape[2].is(0) || in[0].shape[3].is(0)))
    return input_error(0, "has shape ", in[0].shape.str(), ", expected an image that is not empty");
  return Types{Type::of(in[0].dtype, Shape{rois, channels, Dim(op.output_height), Dim(op.output_width)})};
}

Result<Step> bind(const RoiAlign& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &y = ctx.out_dims(0);
  kernels::RoiAlignParams p;
  p.dtype = ctx.dtype(0);
  p.max = op.max;
  p.half_pixel = op.half_pixel;
  p.sampling_ratio = op.sampling_ratio;
  p.spatial_scale = op.spatial_scale;
  p.batches = x[0];
  p.channels = x[1];
  p.height = x[2];
  p.width = x[3];
  p.rois = y[0];
  p.out_height = op.output_height;
  p.out_width = op.output_width;
  TENON_ASSIGN(const int64_t bins, element_count({op.output_height, op.output_width, 16}));
  TENON_TRY(element_count({op.output_width, x[3], 16}));
  p.channels_per_part = std::clamp<int64_t>(65536 / bins, 1, std::max<int64_t>(1, p.channels));
  TENON_ASSIGN(const int64_t count, element_count(y));
  TENON_ASSIGN(Step step, ctx.choose(kernels::roi_align, p, p.parts(), 15.0 * static_cast<double>(count)));
  step.scratch_bytes = p.scratch_bytes();
  return step;
}

}  // namespace tenon::ops
