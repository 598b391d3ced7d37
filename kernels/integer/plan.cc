#include <algorithm>

#include "base/cpu.h"
#include "kernels/dispatch.h"
#include "kernels/integer/blocking.h"

namespace tenon::kernels {

namespace {
/// Bytes of B that make a part of a product with few rows, which lives on bandwidth.
constexpr int64_t kStreamedBytes = 128 << 10;
/// Products that make a part worth handing out.
constexpr int64_t kPartWork = 4 << 20;
/// Most rows of A packed at once, and most bytes of them: they stay in L2 while panels of B pass by.
constexpr int64_t kBlockRows = 112;
constexpr int64_t kBlockBytes = 512 << 10;
}  // namespace

bool has_byte_products() {
  switch (float_lanes()) {
    case 16: return cpu_extensions().avx512_vnni;
    case 8: return cpu_extensions().avx_vnni;
    default: return false;
  }
}

IntegerFormat integer_panels() {
  switch (float_lanes()) {
    case 16: return IntegerFormat::kPanels32;
    case 8: return IntegerFormat::kPanels16;
    default: return IntegerFormat::kPanels8;
  }
}

IntegerFormat integer_filters(bool bytes) {
  if (float_lanes() >= 16) return bytes ? IntegerFormat::kByteFilters12 : IntegerFormat::kWordFilters8;
  return bytes ? IntegerFormat::kByteFilters4 : IntegerFormat::kWordFilters4;
}

void plan_integer_gemm(IntegerGemmParams& p) {
  p.panel = integer_panel_width(integer_panels());
  if (p.m == 0 || p.n == 0) {
    p.row_parts = p.col_parts = 0;
    return;
  }
  const int64_t height = integer_tile_rows(p.panel), panels = ceil_div(p.n, p.panel), depth = std::max<int64_t>(1, p.k);
  p.row_tiles = ceil_div(p.m, height);
  const int64_t rows = std::clamp<int64_t>(kBlockBytes / depth, height, kBlockRows);
  p.row_parts = ceil_div(p.row_tiles, std::max<int64_t>(1, rows / height));
  const int64_t panel_work = capped_mul(ceil_div(p.m, p.row_parts) * p.panel, depth);
  int64_t width = ceil_div(kPartWork, panel_work);
  if (p.m <= kFewRows) width = std::max<int64_t>(1, kStreamedBytes / capped_mul(depth, p.panel));
  p.col_parts = ceil_div(panels, std::min(width, panels));
}

int64_t integer_gemm_scratch(const IntegerGemmParams& p) { return integer_scratch(p).total; }

double integer_nanoseconds(double products) {
  const double width = static_cast<double>(integer_panel_width(integer_panels()));
  return products / (width * (has_byte_products() ? 8 : 2));
}

}  // namespace tenon::kernels
