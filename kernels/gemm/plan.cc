#include <algorithm>

#include "base/cpu.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/blocking.h"

namespace tenon::kernels {

namespace {
/// Bytes of B that make a part of a product with few rows, which lives on bandwidth.
constexpr int64_t kStreamedBytes = 128 << 10;
/// Multiply-adds that make a part worth handing out.
constexpr int64_t kPartWork = 1 << 20;
/// The least where there would be fewer parts than so many, and the bytes of B that every thread's L2 holds beside its rows of A.
constexpr int64_t kLeastWork = kPartWork / 2, kFewParts = 4, kHeldByAll = 1 << 20;
/// Most rows of A packed at once, of which a slice stays in L2 while panels of B pass by, and most bytes, which stay in the last cache.
constexpr int64_t kBlockRows = 112;
constexpr int64_t kBlockBytesHeld = 4 << 20;
/// Bytes of B that no cache holds: up to one and a half blocks of rows are one then, to read them once.
constexpr int64_t kHeldByNone = 24 << 20;
constexpr int64_t kShortTile = 8;
/// The same where every row costs less of decoding the panels.
constexpr int64_t kBitsBlockBytesHeld = 2 << 20;
constexpr int64_t kEnoughParts = 64;
/// Pieces that a loop is cut into on two threads: as many blocks of rows, or a multiple, and no block is packed by both.
constexpr int64_t kPieces = 8;
}  // namespace

GemmFormat gemm_format() {
  switch (float_lanes()) {
    case 16: return GemmFormat::kPanels32;
    case 8: return GemmFormat::kPanels16;
    default: return GemmFormat::kPanels8;
  }
}

GemmFormat weights_format(DType dtype) {
  if (!is_half(dtype)) return gemm_format();
  switch (float_lanes()) {
    case 16: return GemmFormat::kHalves32;
    case 8: return GemmFormat::kHalves16;
    default: return gemm_format();
  }
}

bool has_bfloat16_products() { return float_lanes() == 16 && cpu_extensions().avx512_bf16; }

void plan_gemm(GemmParams& p) {
  p.panel = panel_width(gemm_format(), p.dtype);
  const int64_t height = tile_rows(p), bytes = packed_bytes(p.dtype);
  const int64_t panels = ceil_div(p.n, p.panel);
  p.row_tiles = std::max<int64_t>(1, ceil_div(p.m, height));
  const int64_t b_bytes = packed_bytes(p.format, p.dtype);
  const bool streams = !is_bits(p.format) && capped_mul(capped_mul(p.k, p.n), b_bytes) > kHeldByNone;
  // A tile that is alone with its panel and tall fetches too little of the next one.
  if (streams && p.row_tiles == 1 && p.m > kShortTile) p.row_tiles = 2;
  if (p.m == 0 || p.n == 0) {
    p.row_parts = p.col_parts = 0;
    return;
  }
  if (takes_few_rows(p) || takes_few_halves(p) || takes_dots(p)) {
    p.row_tiles = p.row_parts = 1;
    p.col_parts = ceil_div(panels, std::max<int64_t>(1, kStreamedBytes / capped_mul(std::max<int64_t>(1, p.k), p.panel * b_bytes)));
    return;
  }
  if (takes_few_bits(p)) {
    p.row_parts = 1;
    const int64_t panel_bytes = bits_format(p.format).panel_words(p.k) * 4;
    p.col_parts = ceil_div(panels, std::max<int64_t>(1, kStreamedBytes / panel_bytes));
    return;
  }
  const int64_t held = (is_bits(p.format) ? kBitsBlockBytesHeld : kBlockBytesHeld) / bytes;
  const int64_t rows = std::clamp<int64_t>(held / std::max<int64_t>(1, p.k), height, kBlockRows);
  p.row_parts = ceil_div(p.row_tiles, std::max<int64_t>(1, rows / height));
  // Every part decodes its panels for itself.
  const bool decodes = is_halves(p.format) && !takes_pairs(p);
  if ((streams || decodes) && rows >= kBlockRows / height * height && p.m <= kBlockRows * 3 / 2) p.row_parts = 1;
  if (p.batches() == 1 && p.row_parts > kPieces / 2 && !is_bits(p.format)) {
    p.row_parts = std::min((p.row_parts + kPieces / 2) / kPieces * kPieces, p.row_tiles);
  }
  const int64_t work = capped_mul(capped_mul(capped_mul(p.m, p.n), p.k), p.batches());
  const int64_t wanted = std::min(kFewParts, work / kLeastWork);
  // Threads that each take some rows find them in their own caches when the product before was cut that way.
  if (!is_bits(p.format) && !decodes && p.row_parts * p.batches() < wanted && capped_mul(capped_mul(p.k, p.n), b_bytes) <= kHeldByAll) {
    p.row_parts = std::clamp(ceil_div(wanted, p.batches()), p.row_parts, std::max(p.row_parts, p.row_tiles / 2));
  }
  const int64_t strips = p.row_parts * p.batches();
  const int64_t panel_work = std::max<int64_t>(1, capped_mul(ceil_div(p.m, p.row_parts) * p.panel, p.k));
  int64_t width = std::max(ceil_div(kPartWork, panel_work), 128 / p.panel);
  width = std::max(width, std::min(capped_mul(panels, strips) / kEnoughParts, 512 / p.panel));
  // Few rows of few columns: finer, so that two threads have work.
  if (wanted > 1 && strips == 1) width = std::min(width, std::max<int64_t>(1, panels / 2));
  p.col_parts = ceil_div(panels, std::min(width, panels));
}

GemmPart gemm_part(const GemmParams& p, int64_t index) {
  GemmPart part{product_part(p, index)};
  part.a = batch_offset(p, part, p.a_batch);
  part.b = batch_offset(p, part, p.b_batch);
  part.c = batch_offset(p, part, p.c_batch);
  part.d = batch_offset(p, part, p.d_batch);
  return part;
}

int64_t gemm_scratch(const GemmParams& p) {
  const int64_t bytes = packed_bytes(p.dtype);
  if (p.format == GemmFormat::kNone && !takes_few_rows(p)) {
    return gemm_scratch_layout(GemmParams{.dtype = p.dtype, .panel = p.panel}).total() * bytes;
  }
  return gemm_scratch_layout(p).total() * bytes + bits_scratch(p) + (is_halves(p.format) ? decoded_rows(p) * p.panel * bytes : 0);
}

int64_t bits_scratch(const GemmParams& p) {
  if (!is_bits(p.format)) return 0;
  const BitsFormat format = bits_format(p.format);
  const int64_t few = kFewBitRows * p.panel, slice = (kBlockDepth + format.per_word()) * p.panel;
  return (takes_few_bits(p) ? few : slice) * 4;
}

double gemm_nanoseconds(const GemmParams& p) {
  const double work = static_cast<double>(p.batches()) * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  if (takes_few_bits(p))
    return static_cast<double>(p.n) * static_cast<double>(p.k) * static_cast<double>(p.m + 1) / (2 * static_cast<double>(p.panel));
  const bool fast = p.format != GemmFormat::kNone || takes_few_rows(p) || takes_dots(p);
  if (!fast) return work;
  return work / (p.m <= kFewRows ? 8 : (takes_pairs(p) ? 4 : 2) * static_cast<double>(p.panel));
}

}  // namespace tenon::kernels
