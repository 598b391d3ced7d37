// How products are cut: sizes of tiles and blocks, and which piece of the product a part is.
#pragma once

#include <algorithm>

#include "kernels/gemm/bits.h"
#include "kernels/gemm/product_part.h"
#include "kernels/registers.h"

namespace tenon::kernels {

/// Columns of A, rows of B, that are multiplied before what they add to C waits in memory. A block of packed A is as deep; its rows are
/// kRowStride elements apart, which keeps rows of a tile out of each other's L1 sets. In bytes these are the same for all elements.
inline constexpr int64_t kLineBytes = 64, kBlockBytes = 3072;
constexpr int64_t block_depth(int64_t element_bytes) { return kBlockBytes / element_bytes; }
constexpr int64_t row_stride(int64_t element_bytes) { return (kBlockBytes + kLineBytes) / element_bytes; }
inline constexpr int64_t kBlockDepth = block_depth(sizeof(float));
inline constexpr int64_t kRowStride = row_stride(sizeof(float));
/// The same of a product: a little more, where that is all.
inline int64_t block_depth(const GemmParams& p) {
  constexpr int64_t kWholeBytes = 4096;
  const int64_t bytes = packed_bytes(p.dtype), whole = kWholeBytes / bytes;
  return p.k <= whole && !is_bits(p.format) ? whole : block_depth(bytes);
}
inline int64_t row_stride(const GemmParams& p) { return block_depth(p) + kLineBytes / packed_bytes(p.dtype); }

/// Rows of a tile, of two vectors each: 28 sums fit 32 registers, and 12 fit 16. Where A is multiplied by lane, a vector of each row stands
/// beside 16 sums.
constexpr int64_t tile_rows(int64_t float_lanes) { return kMultipliesByLane ? 8 : vector_registers(float_lanes) == 32 ? 14 : 6; }
inline int64_t tile_rows(const GemmParams& p) { return tile_rows(p.panel * packed_bytes(p.dtype) / 8); }

/// Whether plain operands are multiplied as they are.
inline bool is_native(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64; }

inline bool takes_few_rows(const GemmParams& p) {
  if (p.m > kFewRows || is_halves(p.format) || is_bits(p.format)) return false;
  return p.format != GemmFormat::kNone || (is_native(p.dtype) && p.b_n == 1 && p.n >= p.panel);
}
inline bool takes_few_halves(const GemmParams& p) { return is_halves(p.format) && p.m <= kFewRows; }
inline bool takes_half_tiles(const GemmParams& p) {
  const int64_t height = tile_rows(p), most = height > 8 ? 2 : 3;  // tiles: from more on decoding once costs less
  return is_halves(p.format) && p.dtype == DType::kFloat16 && p.m <= height * most;
}
inline bool takes_pairs(const GemmParams& p) { return is_halves(p.format) && p.dtype == DType::kBFloat16 && has_bfloat16_products(); }
inline bool takes_dots(const GemmParams& p) {
  return p.format == GemmFormat::kNone && is_native(p.dtype) && p.m <= kFewRows && p.b_k == 1 && p.a_k == 1;
}

/// Whether tiles read their rows where they lie, elements next to each other, and not as packed copies. L1 has a set for each line of a
/// page, so rows near a multiple of a page apart drive each other out of it, once for every panel; copying them costs as much as some
/// panels.
inline bool rows_in_place(const GemmParams& p) {
  constexpr int64_t kSets = 64, kCopied = 6144;  // columns of float32 times rows of a set: measured with AVX-512 and AVX2
  if (!is_native(p.dtype) || p.a_k != 1) return false;
  const int64_t bytes = packed_bytes(p.dtype), height = tile_rows(p), step = p.a_m % (kSets * kLineBytes / bytes) * bytes;
  int64_t close = 0;  // to the first row of the tile, itself included
  for (int64_t row = 0; row < height; ++row) {
    const int64_t set = row * step / kLineBytes % kSets;
    close += set <= 1 || set == kSets - 1;
  }
  return close <= 2 || capped_mul(close * bytes / 4, p.n) <= kCopied;
}

/// Rows of B that are decoded at a time, a whole number of times in block_depth(p): those of 16 bits, which cost little, so few that they are
/// near when they are multiplied.
inline int64_t decoded_rows(const GemmParams& p) { return is_halves(p.format) ? 256 : block_depth(p); }

inline int64_t depth_blocks(int64_t k, int64_t depth) { return std::max<int64_t>(1, (k + depth - 1) / depth); }

/// Part `index` of a product, and where its matrices start, in elements.
struct GemmPart : ProductPart {
  int64_t a = 0, b = 0, c = 0, d = 0;
};
GemmPart gemm_part(const GemmParams& p, int64_t index);

/// Most rows of a part.
inline int64_t part_rows(const GemmParams& p) {
  return p.row_parts == 0 ? 0 : std::min(p.m, (p.row_tiles + p.row_parts - 1) / p.row_parts * tile_rows(p));
}

/// Panels that a slice of a part's rows meets before the next slice does: it stays in L2 as long, beside their partial sums.
inline int64_t group_panels(const GemmParams& p) {
  constexpr int64_t kSumsHeld = 160 << 10;
  const int64_t bytes = packed_bytes(p.dtype);
  if (is_bits(p.format) || p.k <= block_depth(p) || p.n == 0) return 1;
  const int64_t part_panels = ceil_div(ceil_div(p.n, p.panel), std::max<int64_t>(1, p.col_parts));
  return std::clamp<int64_t>(kSumsHeld / std::max<int64_t>(1, part_rows(p) * p.panel * bytes), 1, part_panels);
}

/// Elements of a thread's scratch: packed A, partial sums, three tiles and a row.
struct GemmScratch {
  int64_t a = 0, sums = 0, tile = 0;
  int64_t total() const { return a + sums + 3 * tile + 64; }
};
inline GemmScratch gemm_scratch_layout(const GemmParams& p) {
  GemmScratch s;
  const int64_t depth = block_depth(p), height = tile_rows(p);
  s.tile = height * p.panel;
  const int64_t rows = part_rows(p);
  if (!rows_in_place(p))
    s.a = depth_blocks(p.k, depth) * rows * row_stride(p);  // at least the m * k that few rows of A need when they are converted
  if (p.k > decoded_rows(p)) s.sums = rows * p.panel * group_panels(p);
  return s;
}

}  // namespace tenon::kernels
