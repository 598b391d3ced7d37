// Matrix products: C = f(alpha * A B + beta * D + R), batched, with any strides on A, B and D.
#pragma once

#include <limits>

#include "kernels/elementwise/unary.h"
#include "kernels/table.h"

namespace tenon::kernels {

/// How a matrix B of k rows and n columns is packed (values of Layout::format): panels two vectors wide, each panel k rows, the last panel
/// padded with zeros. kPanels<w> is what the kernels of an instruction set with w/2 float lanes read: w columns of float32 to which float16
/// and bfloat16 are widened too, or half as many of float64. kHalves<w> keeps w columns of float16 or bfloat16 in 16 bits, with a row of
/// zeros after an odd number of rows: float16 row by row, bfloat16 in pairs of rows, the two elements of a column side by side. Values from
/// 0x8000 on are weights of a few bits (bits.h).
enum class GemmFormat : uint16_t { kNone = 0, kPanels8 = 1, kPanels16 = 2, kPanels32 = 3, kHalves16 = 4, kHalves32 = 5 };
inline bool is_halves(GemmFormat f) { return f == GemmFormat::kHalves16 || f == GemmFormat::kHalves32; }
inline bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

/// Of the instruction set in use: the panels that operands are multiplied from, and how weights of `dtype` are kept: 16-bit ones as they
/// are, where they can be widened in passing.
GemmFormat gemm_format();
GemmFormat weights_format(DType dtype);
/// Whether the instruction set in use multiplies pairs of bfloat16 and adds both products to a float32 (AVX512_BF16). Denormal operands count
/// as zeros there.
bool has_bfloat16_products();

/// Bytes of an element that operands of `dtype` are multiplied as: float64 is its own, all others are float32.
inline int64_t packed_bytes(DType dtype) { return dtype == DType::kFloat64 ? 8 : 4; }
/// Bytes of an element of B packed as `f`, columns of a panel and elements of a matrix.
inline int64_t packed_bytes(GemmFormat f, DType dtype) { return is_halves(f) ? 2 : packed_bytes(dtype); }
inline int64_t panel_width(GemmFormat f, DType dtype = DType::kFloat32) {
  if (is_halves(f)) return f == GemmFormat::kHalves16 ? 16 : 32;
  return (int64_t{16} << static_cast<int>(f)) / packed_bytes(dtype);
}
inline int64_t packed_rows(GemmFormat f, int64_t k) { return is_halves(f) ? k + k % 2 : k; }
inline int64_t packed_elements(GemmFormat f, int64_t k, int64_t n, DType dtype) {
  const int64_t w = panel_width(f, dtype);
  return (n + w - 1) / w * w * packed_rows(f, k);
}
inline int64_t packed_floats(GemmFormat f, int64_t k, int64_t n) { return packed_elements(f, k, n, DType::kFloat32); }

inline constexpr int kGemmBatchDims = 8;

/// Inputs: 0 A, 1 B, 2 D (the addend), 3 R (the residual, laid out as C). Output 0: C. Strides count elements.
/// float16 and bfloat16 operands are computed in float32.
struct GemmParams {
  DType dtype = DType::kFloat32;
  GemmFormat format = GemmFormat::kNone;  ///< kNone: B is plain
  bool shared_b = false;                  ///< packed B is at the start of Call::shared (an earlier phase made it)
  bool swapped = false;                   ///< A is input 1 and B is input 0 (a product with one column, transposed)
  int64_t m = 0, n = 0, k = 0;
  int64_t a_m = 0, a_k = 1;
  int64_t b_k = 0, b_n = 1;  ///< plain B only
  int64_t c_m = 0;           ///< columns of C are contiguous
  bool addend = false;
  int64_t d_m = 0, d_n = 0;
  bool residual = false;
  float alpha = 1, beta = 1;
  /// Applied last: clamp to [low, high] (NaN stays NaN), then `tile` unless null.
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  UnaryTile tile = nullptr;  ///< not with float64
  float tile_alpha = 0, tile_beta = 0;

  int32_t batch_rank = 0;
  int64_t batch[kGemmBatchDims] = {}, a_batch[kGemmBatchDims] = {}, c_batch[kGemmBatchDims] = {}, d_batch[kGemmBatchDims] = {};
  int64_t b_batch[kGemmBatchDims] = {};  ///< of packed B: its elements

  // Set by plan_gemm: rows are cut into row_tiles tiles of nearly equal height, columns into panels.
  int64_t panel = 0, row_tiles = 1, row_parts = 1, col_parts = 1;

  int64_t batches() const {
    int64_t count = 1;
    for (int i = 0; i < batch_rank; ++i) count *= batch[i];
    return count;
  }
  bool clamps() const { return low > -std::numeric_limits<float>::infinity() || high < std::numeric_limits<float>::infinity(); }
  int64_t parts() const { return batches() * row_parts * col_parts; }
};

/// Cuts the work into parts (p.parts() many) by shape; the other fields are set already.
void plan_gemm(GemmParams& p);
/// Bytes of scratch a thread needs.
int64_t gemm_scratch(const GemmParams& p);
/// A rough cost of the whole product on one core.
double gemm_nanoseconds(const GemmParams& p);

#define KERNEL(Name, when, why) Kernel<GemmParams> Name##Pointer();
#include "kernels/gemm/gemm.inc"
#undef KERNEL
extern const Table<GemmParams> gemm;

/// Packing of a batch of matrices, one part a panel. Source: input `input` with the given strides; destination: Call::shared when
/// `to_shared`, else output 0.
struct GemmPackParams {
  DType dtype = DType::kFloat32;  ///< float32, float16, bfloat16 or float64
  GemmFormat format = GemmFormat::kPanels16;
  int32_t input = 1;
  bool to_shared = true;
  int64_t to = 0;           ///< where the first panel goes, in packed elements
  int64_t from = 0;         ///< where the first matrix is, in elements
  int64_t batch_step = -1;  ///< packed elements between matrices; -1: they follow each other
  int64_t panel_step = -1;  ///< packed elements between panels; -1: they follow each other. More where these are some of a matrix's rows
  int64_t k = 0, n = 0;
  int64_t b_k = 0, b_n = 1;
  int32_t batch_rank = 0;
  int64_t batch[kGemmBatchDims] = {}, b_batch[kGemmBatchDims] = {};

  int64_t panels() const { return (n + panel_width(format, dtype) - 1) / panel_width(format, dtype); }
  int64_t parts() const {
    int64_t count = panels();
    for (int i = 0; i < batch_rank; ++i) count *= batch[i];
    return count;
  }
};
Kernel<GemmPackParams> GemmPackPointer();

/// A product with few rows and packed weights as a plain function, for kernels that hold one inside (recurrent cells):
/// c[m, n] = a[m, k] * panels + bias (null: none). c may not alias the rest. `tile`: room for kFewRows * panel_width floats.
inline constexpr int kFewRows = 4;
struct FewArgs {
  const float* a = nullptr;
  int64_t a_m = 0;
  const float* panels = nullptr;
  const float* bias = nullptr;
  float* c = nullptr;
  int64_t c_m = 0;
  float* tile = nullptr;
  int64_t m = 0, n = 0, k = 0;
};
using GemmFew = void (*)(const FewArgs&);
GemmFew gemm_few();

}  // namespace tenon::kernels
