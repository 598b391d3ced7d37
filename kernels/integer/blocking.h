// How much scratch the parts of integer products need.
#pragma once

#include <algorithm>

#include "kernels/gemm/product_part.h"
#include "kernels/integer/integer.h"

namespace tenon::kernels {

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
