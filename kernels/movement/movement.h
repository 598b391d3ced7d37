// Moving elements about without looking at them. Everything works by element size (1, 2, 4, 8 or 16 bytes), so one kernel serves
// every dtype, strings included.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kernel.h"
#include "kernels/table.h"

namespace tenon::kernels {

/// Most nested loops of one copy, after neighbouring ones that move as one have been merged.
inline constexpr int kMaxLoops = 16;

/// Rows of `row_bytes` bytes that make one part.
inline int64_t rows_per_part(int64_t row_bytes) {
  constexpr int64_t kPartBytes = 128 << 10;
  return row_bytes >= kPartBytes ? 1 : kPartBytes / (row_bytes < 8 ? 8 : row_bytes);
}

/// One loop of a copy: `count` turns, each moving the source and the destination by so many bytes (negative or 0 allowed).
struct CopyLoop {
  int64_t count = 1;
  int64_t src = 0;
  int64_t dst = 0;
};

/// dst[...] = src[...] over nested loops, the last of them innermost. Made by plan_copy(), which brings the loops into one of few
/// forms: `outer` loops around a rectangle of `k` by `l` elements that is cut into blocks, the unit of work.
struct CopyParams {
  int32_t input = 0;
  int32_t output = 0;
  int32_t loops = 0;    ///< outer loops
  int32_t element = 1;  ///< bytes: 1, 2, 4, 8 or 16
  int32_t dense = 0;    ///< a turn of this outer loop, and of those inside it, is one run of bytes in the destination
  CopyLoop outer[kMaxLoops];
  CopyLoop k, l;  ///< the two inner loops; l is the innermost
  int64_t src_offset = 0;
  int64_t dst_offset = 0;
  int64_t k_block = 1, l_block = 1;
  int64_t k_blocks = 1, l_blocks = 1;
  int64_t units = 1;  ///< outer turns times blocks
  int64_t units_per_part = 1;

  bool runs() const { return l.src == element && l.dst == element; }
  /// One run of bytes from end to end: a view, when the destination is the whole output.
  bool is_one_run() const { return loops == 0 && k.count == 1 && runs(); }
  int64_t parts() const { return (units + units_per_part - 1) / units_per_part; }
};

/// The simplest form of a copy: loops of one turn dropped, loops that move as one merged, short contiguous runs taken as one larger
/// element. False when more than kMaxLoops loops remain. No loop may have a count below 1.
bool plan_copy(std::span<const CopyLoop> loops, int64_t element, int64_t src_offset, int64_t dst_offset, CopyParams* params);
double copy_nanoseconds(const CopyParams& params);

/// Concat and Split: rows of `row_bytes` bytes, which consist of `pieces` columns; column i begins at byte offsets[i] of a row.
/// Join: input i, dense, is column i of output 0. Split: column i of input 0 becomes output i, dense (null outputs are skipped).
struct JoinParams {
  bool split = false;
  int32_t pieces = 0;
  const int64_t* offsets = nullptr;  ///< pieces + 1 many; owned by whoever owns the step
  int64_t rows = 0;
  int64_t row_bytes = 0;
  int64_t row_block = 1, column_block = 1;  ///< a part is a block of rows and bytes
  int64_t column_blocks = 1;

  void cut();
  int64_t parts() const { return (rows + row_block - 1) / row_block * column_blocks; }
};

/// Output [outer, indices, inner] = input 0 [outer, axis, inner] at the indices (input 1). An index outside [-axis, axis) is a fault
/// kIndex.
struct GatherParams {
  bool wide = true;  ///< indices are int64, else int32
  int64_t outer = 1, axis = 1, indices = 1;
  int64_t inner = 1;  ///< bytes
  int64_t row_block = 1, column_block = 1;
  int64_t column_blocks = 1;

  void cut();
  int64_t parts() const { return (outer * indices + row_block - 1) / row_block * column_blocks; }
};

/// Pad: dims outer to inner, the last one over elements of `element` bytes (which may be a whole run of unpadded inner dims).
struct PadParams {
  enum class Mode : int32_t { kConstant, kReflect, kEdge, kWrap };
  Mode mode = Mode::kConstant;
  int32_t rank = 1;
  int64_t element = 1;
  int32_t value_bytes = 1;  ///< of the value (input 2; zero when it is left out), which fills an element by repetition
  int32_t value_input = 2;
  int64_t src_dims[kMaxLoops];
  int64_t dst_dims[kMaxLoops];
  int64_t before[kMaxLoops];  ///< elements added in front; negative ones are cut off
  int64_t rows = 1;           ///< product of dst_dims but the last
  int64_t rows_per_part = 1;

  int64_t parts() const { return (rows + rows_per_part - 1) / rows_per_part; }
};

/// [first, second, inner bytes]: along the time axis (0: first, 1: second) the first lengths[batch] steps are reversed.
struct ReverseParams {
  int32_t time_axis = 0;
  int64_t first = 1, second = 1;
  int64_t inner = 1;  ///< bytes
  int64_t rows_per_part = 1;
  int64_t parts() const { return (first * second + rows_per_part - 1) / rows_per_part; }
};

/// Keeps the upper or lower triangle of [matrices, rows, columns]; k (input 1, int64, when there is one) shifts the diagonal.
struct TriangleParams {
  bool upper = true;
  bool has_k = false;
  int32_t element = 1;
  int64_t matrices = 1, rows = 1, columns = 1;
  int64_t rows_per_part = 1;
  int64_t parts() const { return (matrices * rows + rows_per_part - 1) / rows_per_part; }
};

/// Ones on diagonal k, zeros elsewhere. `one` holds the bytes of the number 1.
struct EyeParams {
  int32_t element = 1;
  uint64_t one = 1;
  int64_t rows = 1, columns = 1, k = 0;
  int64_t rows_per_part = 1;
  int64_t parts() const { return (rows + rows_per_part - 1) / rows_per_part; }
};

/// start + i * delta, from inputs 0 (start) and 2 (delta).
struct RangeParams {
  DType dtype = DType::kFloat32;
  int64_t count = 0;
  int64_t per_part = 1;
  int64_t parts() const { return (count + per_part - 1) / per_part; }
};

/// Writes numbers known when the step is made.
struct NumbersParams {
  int32_t count = 0;
  int64_t values[kMaxLoops];
};

extern const Table<CopyParams> copy_table;
extern const Table<JoinParams> join_table;
extern const Table<GatherParams> gather_table;
extern const Table<PadParams> pad_table;
extern const Table<ReverseParams> reverse_table;
extern const Table<TriangleParams> triangle_table;
extern const Table<EyeParams> eye_table;
extern const Table<RangeParams> range_table;
extern const Table<NumbersParams> numbers_table;

}  // namespace tenon::kernels
