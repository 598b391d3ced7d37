// Resampling along axes. What each output position reads is worked out once, into tables; the kernels only follow the tables. Because
// interpolation is separable, linear and cubic resize one axis a pass; nearest moves elements in one go.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/table.h"

namespace tenon::kernels {

enum class ResizeMode : uint8_t { kNearest, kLinear, kCubic };
/// ONNX's coordinate_transformation_mode: where position x of the output lies in the input.
enum class Coordinates : uint8_t {
  kHalfPixel,
  kHalfPixelSymmetric,
  kPytorchHalfPixel,
  kAlignCorners,
  kAsymmetric,
  kTfHalfPixelForNn,
  kTfCropAndResize,
};
enum class NearestMode : uint8_t {
  kRoundPreferFloor,
  kRoundPreferCeil,
  kFloor,
  kCeil,
  kFloorOrShrinkCeil,  ///< floor, but ceil along axes that shrink: opset 10, which leaves it open, as it is commonly run
};

struct ResizeRule {
  ResizeMode mode = ResizeMode::kNearest;
  Coordinates coordinates = Coordinates::kHalfPixel;
  NearestMode nearest = NearestMode::kRoundPreferFloor;
  bool exclude_outside = false;
  bool antialias = false;
  double cubic_a = -0.75;
};

/// One axis to resize. `in` and `out` are below 2^31 and not 0.
struct ResizeAxis {
  int64_t in = 1;
  int64_t out = 1;
  double scale = 1;  ///< output positions per input position
  double width = 1;  ///< in * scale: the output's length before it was rounded to `out`
  int64_t taps = 1;  ///< input positions that one output position reads
  // Where the axis has its tables, in bytes from their beginning.
  int64_t start_at = 0;     ///< int32[out]: the first position read; nearest: -1 where outside the region of interest
  int64_t weight_at = 0;    ///< float or double [taps, out]; not for nearest
  int64_t outside_at = -1;  ///< uint8[out], kTfCropAndResize only: the position takes the extrapolation value instead
};

int64_t resize_taps(const ResizeRule& rule, int64_t in, double scale);
/// Fills the tables of one axis. roi_begin and roi_end (fractions of the axis) matter to kTfCropAndResize only.
template <class C>
void build_resize_tables(const ResizeRule& rule, const ResizeAxis& axis, double roi_begin, double roi_end, std::byte* tables);

inline constexpr int kMaxResizeAxes = 16;

/// Fills the tables of all axes into call.shared, with the region of interest (input 1: all beginnings, then all ends) known only now.
struct ResizeTablesParams {
  ResizeRule rule;
  bool wide = false;  ///< weights are double
  DType roi_dtype = DType::kFloat32;
  int32_t axes = 0;
  ResizeAxis axis[kMaxResizeAxes];
  int32_t roi_begin[kMaxResizeAxes] = {};  ///< position in roi, -1 for the whole axis
  int32_t roi_end[kMaxResizeAxes] = {};
};
extern const Table<ResizeTablesParams> resize_tables;

/// Nearest: loops over the rows of the output, a row being what is contiguous in both or one resized axis.
struct ResizeNearestParams {
  struct Loop {
    int64_t count = 1;
    int64_t stride = 0;     ///< of the source, in bytes
    int64_t start_at = -1;  ///< the axis's table; -1: position = turn
  };
  const std::byte* tables = nullptr;  ///< null: call.shared
  int32_t loops = 0;
  Loop loop[kMaxResizeAxes];
  int64_t element = 4;
  int64_t row = 1;             ///< elements of an output row
  int64_t row_start_at = -1;   ///< -1: the row is copied
  int64_t factor = 0;          ///< not 0: position j of a row reads j / factor
  bool planes_double = false;  ///< factor is 2 and row r of the output reads row r / 2 of the input, from end to end
  int64_t rows = 1;
  int64_t rows_per_part = 1;
  alignas(16) unsigned char fill[16] = {};  ///< element for positions outside the region of interest
  int64_t parts() const { return (rows + rows_per_part - 1) / rows_per_part; }
};

/// One pass: [outer, in, inner] -> [outer, out, inner] along one axis, in float or double.
struct ResizePassParams {
  const std::byte* tables = nullptr;  ///< null: call.shared
  bool wide = false;                  ///< double
  int64_t src_at = -1;                ///< -1: input 0, else an offset in call.shared
  int64_t dst_at = -1;                ///< -1: output 0
  int64_t outer = 1, inner = 1;
  ResizeAxis axis;
  double extrapolation = 0;
  int64_t units_per_part = 1;  ///< unit: a row of `out` when inner is 1, else one row of `inner`
  int64_t units() const { return inner == 1 ? outer : outer * axis.out; }
  int64_t parts() const { return (units() + units_per_part - 1) / units_per_part; }
};

/// Linear along the last two axes of float32 planes, both passes at once. scratch: 2 * x.out floats, 64-byte aligned rows.
struct ResizeBilinearParams {
  const std::byte* tables = nullptr;
  ResizeAxis y, x;       ///< taps of 1 or 2
  bool doubles = false;  ///< x doubles with weights 1/4 and 3/4 away from the edges
  int64_t planes = 1;
  int64_t rows_per_part = 1;
  int64_t blocks = 1;  ///< parts of one plane
  int64_t parts() const { return planes * blocks; }
  int64_t row_stride() const { return (x.out + 15) / 16 * 16; }
  size_t scratch_bytes() const { return static_cast<size_t>(row_stride()) * 2 * sizeof(float); }
};

/// Elements of the tensor to float or double before the passes, and back after them (integers: to nearest even, saturating).
struct ResizeConvertParams {
  DType dtype = DType::kUint8;
  bool wide = true;
  bool back = false;  ///< from call.shared + at to output 0; otherwise from input 0
  int64_t at = 0;
  int64_t count = 0;
  static constexpr int64_t kPart = 32768;
  int64_t parts() const { return (count + kPart - 1) / kPart; }
};
extern const Table<ResizeConvertParams> resize_convert;

#define TENON_DECLARE(Name, Params, when, why) Kernel<Params> Name##Pointer();
#define NEAREST TENON_DECLARE
#define PASS TENON_DECLARE
#define BILINEAR TENON_DECLARE
#include "kernels/resize/kernels.inc"
#undef NEAREST
#undef PASS
#undef BILINEAR
#undef TENON_DECLARE
extern const Table<ResizeNearestParams> resize_nearest;
extern const Table<ResizePassParams> resize_pass;
extern const Table<ResizeBilinearParams> resize_bilinear;

}  // namespace tenon::kernels
