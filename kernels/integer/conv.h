// Convolutions of 8-bit integers, as products of filters (rows) with patches of the image (columns), one a pixel of the result.
#pragma once

#include "kernels/integer/integer.h"

namespace tenon::kernels {

/// Bytes behind a padded image that vectors may read.
inline constexpr int64_t kImageSlack = 64;

/// Up to 3 spatial dims, in the order depth, height, width; those that are missing have size 1, kernel 1, stride 1 and no pads.
/// Inputs, in the order of ONNX's QLinearConv: 0 x [batch, channels, in...], 1 its scale, 2 its zero point, 3 w [filters, channels/groups,
/// kernel...], 4 and 5 the same of w (one element, or one a filter), 6 and 7 scale and zero point of y, 8 bias, int32, one a filter.
/// Output 0: y [batch, filters, out...]. Outside of x lie zero points.
/// y is kInt32: sum + bias. kFloat32: (sum + bias) * (scale of x * scale of w). kInt8 or kUint8:
/// saturate(round((sum + bias) * (scale of x * scale of w / scale of y)) + zero point of y), round half to even.
struct IntegerConvParams {
  DType x = DType::kUint8, w = DType::kInt8, y = DType::kInt32;
  DType scale = DType::kFloat32;                                      ///< of all scales: float32, float16 or bfloat16
  bool x_zero = false, w_zero = false, y_zero = false, bias = false;  ///< there are zero points, and a bias
  bool w_zeros = false, w_scales = false;                             ///< one a filter
  int64_t batch = 1, groups = 1;
  int64_t channels = 1;  ///< of the input, all groups
  int64_t filters = 1;   ///< channels of the output, all groups
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int64_t kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  int64_t pad[3] = {0, 0, 0};                   ///< before; what comes after follows from `out`
  IntegerFormat format = IntegerFormat::kNone;  ///< of w: one of rows; kNone: plain
  int64_t shared_rows = -1;                     ///< packed w lies there in Call::shared, in bytes; -1: it is input 3
  int64_t shared_image = 0;                     ///< where the padded image lies in Call::shared

  // Set by plan_integer_conv. The image is kept with its pads, split by residues of the column modulo the stride, so that neighbouring
  // pixels of a result read neighbouring bytes whatever tap they are at.
  int64_t planes[2] = {1, 1};  ///< depth and height of a channel there
  int64_t step[2] = {1, 1};    ///< planes and rows between those of neighbouring results
  int64_t slots = 1;           ///< residues
  int64_t line = 1;            ///< bytes of a residue of a row
  bool in_place = false;       ///< x is such an image already, and is read where it lies
  bool wide = false;           ///< columns of panels are places of the image, whether there are pixels of the result or not
  int64_t panel = 0;
  int64_t tiles = 1, tile_parts = 1;  ///< of the filters of a group
  int64_t block = 1, blocks = 1;      ///< panels of pixels a part, and how many such parts there are

  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t depth() const { return channels / groups * taps(); }  ///< terms of a sum
  int64_t rows() const { return filters / groups; }
  int64_t pixels() const { return out[0] * out[1] * out[2]; }
  /// What panels count: pixels, or when `wide` places of the image from the first pixel's to the last one's.
  int64_t places() const { return wide ? ((out[0] - 1) * planes[1] + out[1] - 1) * line + out[2] : pixels(); }
  int64_t channel_bytes() const { return planes[0] * planes[1] * slots * line; }
  int64_t image_bytes() const { return batch * channels * channel_bytes() + kImageSlack; }
  int64_t parts() const { return format == IntegerFormat::kNone ? batch * filters : batch * groups * blocks * tile_parts; }
};

/// Sets the fields above from shape and format. False when pads, strides and dilations make an image or a patch too large to be kept.
bool plan_integer_conv(IntegerConvParams& p);
/// Bytes of scratch a thread needs.
int64_t integer_conv_scratch(const IntegerConvParams& p);

/// Bytes of packed filters.
inline int64_t integer_rows_bytes(IntegerFormat f, int64_t filters, int64_t depth) {
  const bool words = f == IntegerFormat::kWordRows6 || f == IntegerFormat::kWordRows14;
  return filters * (groups_of(depth) * (words ? 8 : 4) + 4);
}
/// Packs plain w: from input 3 to Call::shared, or when p.shared_rows is -1 from input 0 to output 0. One part a tile of a group.
Kernel<IntegerConvParams> IntegerRowsPointer();
inline int64_t integer_rows_parts(const IntegerConvParams& p) { return p.groups * p.tiles; }
/// The phase before a convolution with packed filters, unless p.in_place: puts the padded image into Call::shared. One part a channel.
Kernel<IntegerConvParams> IntegerImagePointer();

#define KERNEL(Name, when, why) Kernel<IntegerConvParams> Name##Pointer();
#include "kernels/integer/conv.inc"
#undef KERNEL
extern const Table<IntegerConvParams> integer_conv;

}  // namespace tenon::kernels
