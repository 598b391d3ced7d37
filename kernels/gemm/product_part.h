// Which piece of a batched product a part is, for products of every element type.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/sizes.h"

namespace tenon::kernels {

struct ProductPart {
  int64_t block = 0;  ///< parts with equal `block` share their rows of A
  int64_t at[kGemmBatchDims] = {};
  int64_t tile_begin = 0, tile_end = 0, panel_begin = 0, panel_end = 0;  ///< tiles of rows, panels of columns
};

/// Part `index`. Params: batch_rank and batch, n, panel, row_tiles, row_parts and col_parts as GemmParams has them.
template <class Params>
ProductPart product_part(const Params& p, int64_t index) {
  ProductPart part;
  const int64_t col = index % p.col_parts;
  part.block = index / p.col_parts;
  const int64_t row = part.block % p.row_parts;
  int64_t batch = part.block / p.row_parts;
  for (int i = p.batch_rank; i-- > 0; batch /= p.batch[i]) part.at[i] = batch % p.batch[i];
  const int64_t panels = ceil_div(p.n, p.panel);
  part.tile_begin = row * p.row_tiles / p.row_parts;
  part.tile_end = (row + 1) * p.row_tiles / p.row_parts;
  part.panel_begin = col * panels / p.col_parts;
  part.panel_end = (col + 1) * panels / p.col_parts;
  return part;
}

/// Where a part's matrix begins, given the strides of an operand's batch dims.
template <class Params>
int64_t batch_offset(const Params& p, const ProductPart& part, const int64_t* strides) {
  int64_t offset = 0;
  for (int i = 0; i < p.batch_rank; ++i) offset += part.at[i] * strides[i];
  return offset;
}

/// First row of tile t.
template <class Params>
int64_t tile_row(const Params& p, int64_t t) {
  return t * p.m / p.row_tiles;
}

}  // namespace tenon::kernels
