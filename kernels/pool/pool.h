// Pooling windows, global pooling and local response normalisation.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

enum class PoolKind : uint8_t { kMax, kAverage, kLp };

inline constexpr int kMaxPoolSpatial = 6;

/// Windows over the last `spatial` dims of `planes` planes (batch x channels; batch x channel blocks when blocked).
/// Max ignores pads, yields NaN where a window holds one, and the first position among equals.
struct PoolParams {
  PoolKind kind = PoolKind::kMax;
  DType dtype = DType::kFloat32;
  int32_t spatial = 1;
  int32_t block = 0;  ///< channels a block, 0: plain
  int64_t planes = 1;
  int64_t in[kMaxPoolSpatial], out[kMaxPoolSpatial], kernel[kMaxPoolSpatial], stride[kMaxPoolSpatial], dilation[kMaxPoolSpatial];
  int64_t pad[kMaxPoolSpatial], pad_end[kMaxPoolSpatial];
  bool count_include_pad = false;
  bool indices = false;       ///< output 1: int64 positions of maxima in the whole input tensor
  bool column_major = false;  ///< positions count spatial dims in reverse order
  int64_t p = 2;              ///< of kLp
  int64_t rows = 1;           ///< rows along the last dim a part
  int64_t row_count() const {
    int64_t n = 1;
    for (int i = 0; i + 1 < spatial; ++i) n *= out[i];
    return n;
  }
  int64_t row_parts() const { return (row_count() + rows - 1) / rows; }
};
/// Chooses rows; returns the number of parts.
int64_t plan_pool(PoolParams& p);

/// The memory of PoolSliding: bands of output rows, whose input rows lie between their pads in `padded`, `line` elements each, and joined
/// along their length in `joined`; for averages rows of factors, of which `scale_rows` are for windows of full height. In elements.
struct PoolBand {
  int64_t rows, line, padded, joined, scale_rows, bytes;
};
PoolBand pool_band(const PoolParams& p);
/// Whether PoolSliding takes it. Not when kernels or pads make a band too large for the memory of a thread.
bool takes_pool_sliding(const PoolParams& p);

/// Scratch memory of PoolLines: two lines of the input with their pads and what vectors may read beyond, and two numbers an output column.
int64_t pool_line_bytes(const PoolParams& p);
/// Whether PoolLines takes it. Not when pads, strides or dilations make a line too long for the memory of a thread.
bool takes_pool_lines(const PoolParams& p);

/// Of the row of the table that takes it: scratch memory, and about how long an element of the output takes.
int64_t pool_scratch_bytes(const PoolParams& p);
double pool_nanoseconds(const PoolParams& p);

#define KERNEL(Name, when, why) Kernel<PoolParams> Name##Pointer();
#include "kernels/pool/pool.inc"
#undef KERNEL
extern const Table<PoolParams> pool;

/// All `pixels` of each plane to one value. One part a plane.
struct GlobalPoolParams {
  PoolKind kind = PoolKind::kAverage;
  DType dtype = DType::kFloat32;
  int32_t block = 0;
  int64_t planes = 1, pixels = 1;
  int64_t p = 2;
};
#define KERNEL(Name, when, why) Kernel<GlobalPoolParams> Name##Pointer();
#include "kernels/pool/global_pool.inc"
#undef KERNEL
extern const Table<GlobalPoolParams> global_pool;

/// x / (bias + alpha / size * sum of squares over `size` neighbouring channels) ^ beta. One part a plane of one channel.
struct LrnParams {
  DType dtype = DType::kFloat32;
  int64_t batch = 1, channels = 1, pixels = 1, size = 1;
  double alpha = 1e-4, beta = 0.75, bias = 1;
};
Kernel<LrnParams> LrnPointer();

}  // namespace tenon::kernels
