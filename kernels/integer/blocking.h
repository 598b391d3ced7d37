// How integer products are cut, and which piece a part is.
#pragma once

#include <algorithm>

#include "kernels/integer/integer.h"

namespace tenon::kernels {

/// Part `index` of a product: its place among the batch dims, and which tiles of rows and panels of columns it has.
struct IntegerPart {
  int64_t block = 0;  ///< parts with equal `block` share their rows of A
  int64_t at[kGemmBatchDims] = {};
  int64_t tile_begin = 0, tile_end = 0, panel_begin = 0, panel_end = 0;
};
inline IntegerPart integer_part(const IntegerGemmParams& p, int64_t index) {
  IntegerPart part;
  const int64_t col = index % p.col_parts;
  part.block = index / p.col_parts;
  const int64_t row = part.block % p.row_parts;
  int64_t batch = part.block / p.row_parts;
  for (int i = p.batch_rank; i-- > 0; batch /= p.batch[i]) part.at[i] = batch % p.batch[i];
  const int64_t panels = (p.n + p.panel - 1) / p.panel;
  part.tile_begin = row * p.row_tiles / p.row_parts;
  part.tile_end = (row + 1) * p.row_tiles / p.row_parts;
  part.panel_begin = col * panels / p.col_parts;
  part.panel_end = (col + 1) * panels / p.col_parts;
  return part;
}
/// Where a part's matrix begins, given the strides of an operand's batch dims.
inline int64_t batch_offset(const IntegerGemmParams& p, const IntegerPart& part, const int64_t* strides) {
  int64_t offset = 0;
  for (int i = 0; i < p.batch_rank; ++i) offset += part.at[i] * strides[i];
  return offset;
}
/// First row of tile t.
inline int64_t integer_tile_row(const IntegerGemmParams& p, int64_t t) { return t * p.m / p.row_tiles; }

/// Bytes of a thread's scratch: packed rows (of words, the larger ones), their sums, zero points and scales, a tile of sums, and rows of
/// zero points, scales and bias of a panel.
struct IntegerScratch {
  int64_t rows = 0;  ///< most rows of a part
  int64_t packed = 0;
  int64_t total = 0;
};
inline IntegerScratch integer_scratch(const IntegerGemmParams& p) {
  IntegerScratch s;
  const int64_t height = integer_tile_rows(p.panel);
  if (p.row_parts > 0) s.rows = std::min(p.m, (p.row_tiles + p.row_parts - 1) / p.row_parts * height);
  s.packed = (s.rows * groups_of(p.k) * 8 + 63) / 64 * 64;
  s.total = s.packed + (3 * s.rows + (height + 3) * p.panel) * 4;
  return s;
}

}  // namespace tenon::kernels
