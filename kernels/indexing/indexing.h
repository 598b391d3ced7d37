// Reading and writing at positions that are themselves data. Elements move by size (1, 2, 4, 8 or 16 bytes); only reductions and
// comparisons look at the dtype. An index outside [-size, size) is a fault kIndex that carries the index and the size.
#pragma once

#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/table.h"

namespace tenon::kernels {

inline constexpr int kMaxIndexRank = 16;

/// How GatherElements and ScatterElements walk the indices tensor: as lines along the axis. Every line touches its own elements of
/// data, so lines are independent even when indices repeat.
struct IndexLines {
  bool wide = true;  ///< indices are int64, else int32
  int32_t rank = 0;  ///< dims of indices other than the axis, outermost first
  int64_t dims[kMaxIndexRank] = {};
  int64_t index_strides[kMaxIndexRank] = {};  ///< in elements
  int64_t data_strides[kMaxIndexRank] = {};
  int64_t length = 1;        ///< of the axis in indices
  int64_t index_stride = 1;  ///< of the axis in indices
  int64_t data_stride = 1;   ///< of the axis in data
  int64_t limit = 1;         ///< size of the axis in data
  int64_t lines = 1;
  int64_t lines_per_part = 1;
  int64_t parts() const { return (lines + lines_per_part - 1) / lines_per_part; }
};

/// out[i] = data[i with its axis coordinate replaced by indices[i]]; inputs data, indices.
struct GatherElementsParams {
  int32_t element = 4;
  IndexLines walk;
};
extern const Table<GatherElementsParams> gather_elements;

enum class Reduction : uint8_t { kNone, kAdd, kMul, kMax, kMin };

/// Output 0 = input 0, byte for byte; nothing to do when both are the same memory. The first phase of a scatter.
struct CopyAllParams {
  int64_t bytes = 0;
  static constexpr int64_t kPartBytes = 256 << 10;
  int64_t parts() const { return (bytes + kPartBytes - 1) / kPartBytes; }
};
extern const Table<CopyAllParams> copy_all;

/// out[i with its axis coordinate replaced by indices[i]] op= updates[i], in the order of the updates; inputs data, indices, updates.
/// kMax and kMin propagate NaN; for bool add and max are `or`, mul and min are `and`.
struct ScatterElementsParams {
  DType dtype = DType::kFloat32;
  Reduction reduction = Reduction::kNone;
  IndexLines walk;
};
extern const Table<ScatterElementsParams> scatter_elements;

/// Tuples of `depth` indices (int64 or int32) that address slices of data.
struct IndexTuples {
  bool wide = true;
  int32_t depth = 1;
  int64_t limits[kMaxIndexRank] = {};   ///< size of each indexed dim
  int64_t strides[kMaxIndexRank] = {};  ///< of each indexed dim, in slices
  int64_t tuples = 1;
  int64_t slice = 1;  ///< elements
};

/// out[t] = the slice of data that tuple t addresses; tuple t belongs to batch t / tuples_per_batch. Inputs data, indices.
struct GatherNDParams {
  int32_t element = 4;
  IndexTuples index;
  int64_t tuples_per_batch = 1;
  int64_t batch_slices = 1;    ///< slices of data a batch
  int64_t pieces = 1;          ///< a slice is copied in so many pieces
  int64_t piece = 1;           ///< elements
  int64_t units_per_part = 1;  ///< unit = tuple * pieces + piece
  int64_t parts() const { return (index.tuples * pieces + units_per_part - 1) / units_per_part; }
};
extern const Table<GatherNDParams> gather_nd;

/// The slice of out that tuple t addresses op= updates[t], in order of t; inputs data, indices, updates. Part p owns the p-th block of
/// slices and looks at all tuples for those that address it, so repeated indices are applied in order whatever the threads.
struct ScatterNDParams {
  DType dtype = DType::kFloat32;
  Reduction reduction = Reduction::kNone;
  IndexTuples index;
  int64_t owners = 1;
  int64_t slices = 1;  ///< of out
  int64_t parts() const { return owners; }
};
extern const Table<ScatterNDParams> scatter_nd;

/// out[o, d, i] = values[indices[o, i] == d]; inputs indices (any real dtype, truncated), depth (not read), values [off, on]. A
/// negative index counts from the end; one outside [-depth, depth) selects nothing.
struct OneHotParams {
  DType index_dtype = DType::kInt64;
  int32_t element = 4;
  int64_t outer = 1, depth = 1, inner = 1;
  int64_t rows_per_part = 1;  ///< row: one o
  int64_t parts() const { return (outer + rows_per_part - 1) / rows_per_part; }
};
extern const Table<OneHotParams> one_hot;

/// Values and int64 indices of the k first elements of each line of [outer, n, inner], in descending (ascending unless `largest`)
/// order; equal ones by ascending index; NaN counts as larger than every number. Outputs values, indices (either may be null).
struct TopKParams {
  DType dtype = DType::kFloat32;
  bool largest = true;
  int64_t outer = 1, n = 1, inner = 1;
  int64_t k = 1;
  int64_t lines_per_part = 1;
  int64_t parts() const { return (outer * inner + lines_per_part - 1) / lines_per_part; }
  size_t scratch_bytes() const { return static_cast<size_t>(n) * 16; }
};
extern const Table<TopKParams> top_k;

/// Number of elements that are not zero (strings: not empty; complex: either part).
int64_t count_nonzero(DType dtype, const void* data, int64_t n);
/// Row-major coordinates of the non-zero elements: out is [rank, count], row r holds coordinate r.
void write_nonzero(DType dtype, const void* data, const int64_t* dims, int rank, int64_t count, int64_t* out);
/// Copies the slices j < n <= axis of each row of [outer, axis, inner bytes] for which keep[j].
void compress_slices(const void* src, const bool* keep, int64_t n, int64_t outer, int64_t axis, int64_t inner, void* dst);

}  // namespace tenon::kernels
