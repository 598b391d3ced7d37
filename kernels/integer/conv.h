// Convolutions of 8-bit integers, as products of filters (rows) with the places of an image (columns), without patches: a copy of the image
// lies in memory as the inner loops read it, four channels of a place in four bytes.
#pragma once

#include "kernels/integer/integer.h"

namespace tenon::kernels {

/// Most pixels of a tile, where lanes are filters.
constexpr int64_t integer_pixels(int64_t lanes) { return lanes >= 16 ? 14 : 6; }

/// Bytes behind an image that vectors may read.
inline constexpr int64_t kImageSlack = 192;

/// Up to 3 spatial dims, in the order depth, height, width; those that are missing have size 1, kernel 1, stride 1 and no pads.
/// Inputs, in the order of ONNX's QLinearConv: 0 x [batch, channels, in...], 1 its scale, 2 its zero point, 3 w [filters, channels/groups,
/// kernel...], 4 and 5 the same of w (one element, or one a filter), 6 and 7 scale and zero point of y, 8 bias, int32, one a filter.
/// Output 0: y [batch, filters, out...]. Outside of x lie zero points.
/// In quads 8-bit values are unsigned: those of int8 have 128 added, as have their zero points; zero points are given as the dtypes say.
/// Groups of x must be whole quads, and so must those of y.
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
  IntegerFormat format = IntegerFormat::kNone;  ///< of w: one of filters; kNone: plain
  bool x_quads = false, y_quads = false;        ///< lie in memory as quads do (below), [batch, channels/4, in..., 4]
  int64_t shared_filters = -1;                  ///< packed w lies there in Call::shared, in bytes; -1: it is input 3
  int64_t shared_image = 0;                     ///< where the image lies in Call::shared

  // Set by plan_integer_conv. The image is x as unsigned bytes with its pads, [batch, image_groups, image_quads, pictures, extent..., 4]. A
  // picture holds the positions of one residue modulo the strides, so that neighbouring results read neighbouring places of one picture
  // whatever tap they are at. Channels that fill the last quad are zeros.
  bool in_place = false;              ///< x is such an image already, and is read where it lies
  bool depthwise = false;             ///< every channel has its filter, and results are 8-bit
  bool by_filters = false;            ///< lanes are filters, tiles pixels; otherwise lanes are places, tiles filters. 8-bit results only
  int64_t unit = 4;                   ///< filters of a group are filled up to a multiple of this
  int64_t residues[3] = {1, 1, 1};    ///< that taps are at
  int64_t extent[3] = {1, 1, 1};      ///< of a picture
  int64_t quad_bytes = 4;             ///< from four channels to the next
  int64_t panel = 0;                  ///< places, or most pixels of a run, computed at a time
  int64_t tiles = 1, tile_parts = 1;  ///< of the filters of a group
  int64_t block = 1, blocks = 1;      ///< panels a part, and how many such parts there are

  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  /// Depthwise filters meet four taps at a time: those of a column of the kernel, where that takes no more steps, else one after the other.
  bool by_columns() const { return depthwise && kernel[0] == 1 && kernel[1] <= 4 && kernel[2] <= (taps() + 3) / 4; }
  /// The tap that comes `slot`-th, -1 where a step has fewer than four.
  int64_t tap_of(int64_t slot) const {
    if (!by_columns()) return slot < taps() ? slot : -1;
    return slot % 4 < kernel[1] ? slot % 4 * kernel[2] + slot / 4 : -1;
  }
  int64_t depth() const { return channels / groups * taps(); }  ///< terms of a sum
  int64_t rows() const { return filters / groups; }
  int64_t filled_rows() const { return (rows() + unit - 1) / unit * unit; }
  int64_t pixels() const { return out[0] * out[1] * out[2]; }
  int64_t image_groups() const { return depthwise ? 1 : groups; }
  int64_t image_channels() const { return channels / image_groups(); }
  int64_t image_quads() const { return (image_channels() + 3) / 4; }
  /// From the place of the first pixel to that of the last.
  int64_t places() const { return ((out[0] - 1) * extent[1] + out[1] - 1) * extent[2] + out[2]; }
  /// Where in a picture pixel i lies.
  int64_t place_of(int64_t i) const { return (i / out[2] / out[1] * extent[1] + i / out[2] % out[1]) * extent[2] + i % out[2]; }
  /// Pixels that lie one after the other there, and the panels that they make.
  int64_t run() const { return out[2] * (extent[2] != out[2] ? 1 : out[1] * (extent[1] != out[1] ? 1 : out[0])); }
  int64_t run_panels() const { return (run() + panel - 1) / panel; }
  int64_t image_bytes() const { return batch * image_parts_of_one() * quad_bytes + kImageSlack; }
  int64_t image_parts_of_one() const { return image_groups() * image_quads(); }
  int64_t image_parts() const { return batch * image_parts_of_one(); }
  int64_t parts() const {
    if (format == IntegerFormat::kNone) return batch * filters;
    return batch * blocks * (depthwise ? image_quads() : groups * tile_parts);
  }
};

/// Sets the fields above from shape, dtypes and format. False when pads, strides and dilations make an image too large to be kept.
bool plan_integer_conv(IntegerConvParams& p);
/// Bytes of scratch a thread needs, for the image and the convolution.
int64_t integer_conv_scratch(const IntegerConvParams& p);

/// Bytes of packed filters. Their form depends on dtypes, groups, channels, filters, kernel and format alone.
int64_t integer_filters_bytes(const IntegerConvParams& p);
/// Packs plain w: from input 3 to Call::shared, or when p.shared_filters is -1 from input 0 to output 0. One part a tile of a group.
Kernel<IntegerConvParams> IntegerFiltersPointer();
inline int64_t integer_filters_parts(const IntegerConvParams& p) { return p.depthwise ? p.image_quads() : p.groups * p.tiles; }
/// The phase before a convolution with packed filters, unless p.in_place: puts the image into Call::shared. p.image_parts() parts.
Kernel<IntegerConvParams> IntegerImagePointer();

#define KERNEL(Name, when, why) Kernel<IntegerConvParams> Name##Pointer();
#include "kernels/integer/conv.inc"
#undef KERNEL
extern const Table<IntegerConvParams> integer_conv;

/// Quads back to a plain tensor: input 0 [batch, channels/4, pixels, 4] to output 0 [batch, channels, pixels], of dtype x.
struct QuadRowsParams {
  DType dtype = DType::kUint8;
  int64_t batch = 1, channels = 1, pixels = 1;
  int64_t parts() const { return batch * ((channels + 3) / 4); }
};
Kernel<QuadRowsParams> QuadRowsPointer();

}  // namespace tenon::kernels
