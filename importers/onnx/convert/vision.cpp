// Resampling and object detection: Resize, Upsample, RoiAlign, NonMaxSuppression.
#include <utility>

#include "importers/onnx/convert.h"

namespace tenon::onnx {

namespace {

/// The value that goes with the text of an attribute.
template <class T, size_t N>
Result<T> choice(NodeContext& node, std::string_view name, const char* otherwise, const std::pair<std::string_view, T> (&choices)[N]) {
  TENON_ASSIGN(const std::string text, node.string_attribute(name, otherwise));
  std::string expected;
  for (const auto& [word, value] : choices) {
    if (word == text) return value;
    expected += (expected.empty() ? "" : ", ") + std::string(word);
  }
  return load_error("attribute ", name, " is '", text, "', expected one of ", expected);
}

using kernels::Coordinates;
using kernels::NearestMode;
using kernels::ResizeMode;
using Policy = ops::Resize::Policy;

constexpr std::pair<std::string_view, ResizeMode> kModes[] = {
    {"nearest", ResizeMode::kNearest}, {"linear", ResizeMode::kLinear}, {"cubic", ResizeMode::kCubic}};
constexpr std::pair<std::string_view, Coordinates> kCoordinates[] = {
    {"half_pixel", Coordinates::kHalfPixel},
    {"half_pixel_symmetric", Coordinates::kHalfPixelSymmetric},
    {"pytorch_half_pixel", Coordinates::kPytorchHalfPixel},
    {"align_corners", Coordinates::kAlignCorners},
    {"asymmetric", Coordinates::kAsymmetric},
    {"tf_half_pixel_for_nn", Coordinates::kTfHalfPixelForNn},
    {"tf_crop_and_resize", Coordinates::kTfCropAndResize},
};
constexpr std::pair<std::string_view, NearestMode> kNearestModes[] = {
    {"round_prefer_floor", NearestMode::kRoundPreferFloor},
    {"round_prefer_ceil", NearestMode::kRoundPreferCeil},
    {"floor", NearestMode::kFloor},
    {"ceil", NearestMode::kCeil},
};
constexpr std::pair<std::string_view, Policy> kPolicies[] = {
    {"stretch", Policy::kStretch}, {"not_larger", Policy::kNotLarger}, {"not_smaller", Policy::kNotSmaller}};

/// Upsample, and Resize of opset 10: scales only, coordinates asymmetric.
Status convert_by_scales(NodeContext& node, NearestMode nearest, ValueId scales) {
  ops::Resize op;
  TENON_ASSIGN(op.mode, choice(node, "mode", "nearest", kModes));
  op.coordinates = Coordinates::kAsymmetric;
  op.nearest = nearest;
  TENON_ASSIGN(const ValueId y, node.add1(op, {node.input(0), kNone, scales}));
  return node.set_outputs({y});
}

Status convert_upsample(NodeContext& node) {
  if (node.opset() >= 9) {
    if (!node.has_input(1)) return load_error("has 1 input, expected x and scales");
    return convert_by_scales(node, NearestMode::kFloor, node.input(1));
  }
  TENON_ASSIGN(const auto scales, node.floats_attribute("scales"));
  return convert_by_scales(node, NearestMode::kFloor, node.constant(Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales)));
}

Status convert_resize(NodeContext& node) {
  if (node.opset() < 11) {
    if (!node.has_input(1)) return load_error("has 1 input, expected x and scales");
    return convert_by_scales(node, NearestMode::kFloorOrShrinkCeil, node.input(1));
  }
  ops::Resize op;
  TENON_ASSIGN(op.mode, choice(node, "mode", "nearest", kModes));
  TENON_ASSIGN(op.coordinates, choice(node, "coordinate_transformation_mode", "half_pixel", kCoordinates));
  TENON_ASSIGN(op.nearest, choice(node, "nearest_mode", "round_prefer_floor", kNearestModes));
  TENON_ASSIGN(op.policy, choice(node, "keep_aspect_ratio_policy", "stretch", kPolicies));
  TENON_ASSIGN(op.cubic_a, node.float_attribute("cubic_coeff_a", -0.75f));
  TENON_ASSIGN(op.extrapolation, node.float_attribute("extrapolation_value", 0.f));
  TENON_ASSIGN(const int64_t exclude_outside, node.int_attribute("exclude_outside", 0));
  TENON_ASSIGN(const int64_t antialias, node.int_attribute("antialias", 0));
  TENON_ASSIGN(op.axes, node.ints_attribute("axes", std::vector<int64_t>{}));
  op.exclude_outside = exclude_outside != 0;
  op.antialias = antialias != 0;
  return node.become(std::move(op));
}

Status convert_roi_align(NodeContext& node) {
  constexpr std::pair<std::string_view, bool> kMax[] = {{"avg", false}, {"max", true}};
  constexpr std::pair<std::string_view, bool> kHalfPixel[] = {{"half_pixel", true}, {"output_half_pixel", false}};
  ops::RoiAlign op;
  TENON_ASSIGN(op.max, choice(node, "mode", "avg", kMax));
  // Opset 10 has no attribute and does not shift.
  TENON_ASSIGN(op.half_pixel,
               choice(node, "coordinate_transformation_mode", node.opset() >= 16 ? "half_pixel" : "output_half_pixel", kHalfPixel));
  TENON_ASSIGN(op.output_height, node.int_attribute("output_height", 1));
  TENON_ASSIGN(op.output_width, node.int_attribute("output_width", 1));
  TENON_ASSIGN(op.sampling_ratio, node.int_attribute("sampling_ratio", 0));
  TENON_ASSIGN(op.spatial_scale, node.float_attribute("spatial_scale", 1.f));
  return node.become(op);
}

Status convert_non_max_suppression(NodeContext& node) {
  TENON_ASSIGN(const int64_t center_point_box, node.int_attribute("center_point_box", 0));
  if (center_point_box != 0 && center_point_box != 1)
    return load_error("attribute center_point_box is ", center_point_box, ", expected 0 or 1");
  return node.become(ops::NonMaxSuppression{center_point_box == 1});
}

constexpr Operator kOperators[] = {
    {"", "Resize", 10, 1, 4, 1, convert_resize},
    {"", "Upsample", 7, 1, 2, 1, convert_upsample},
    {"", "RoiAlign", 10, 3, 3, 1, convert_roi_align},
    {"", "NonMaxSuppression", 10, 2, 5, 1, convert_non_max_suppression},
};

}  // namespace

std::span<const Operator> vision_operators() { return kOperators; }

}  // namespace tenon::onnx
