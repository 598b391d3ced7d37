// Products of 8-bit integers, summed exactly in 32 bits (overflow wraps): matrix products and convolutions whose results are the sums,
// float32 numbers scaled from them, or 8-bit integers again.
//
// Two kinds of operand meet in the inner loop. Rows are signed bytes, of which four neighbours along k are multiplied into a register at a
// time; columns are panels of unsigned bytes. An operand of the other sign is moved by 128 while it is packed, and so is its zero point:
//   sum (a - za) (b - zb) = sum a b - za sum b - zb (sum a - k za)
// where the last three sums cost next to nothing: those of rows and columns are taken when operands are packed.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/table.h"

namespace tenon::kernels {

/// How an operand is packed (values of Layout::format). Groups are four neighbours along k, the last one filled with zeros.
enum class IntegerFormat : uint16_t {
  kNone = 0,
  /// Panels of 8, 16 or 32 columns of unsigned bytes: all columns' first groups, then the second ones, and so on; behind them the sum of
  /// each column as int32.
  kPanels8 = 200,
  kPanels16,
  kPanels32,
  /// Filters of a convolution, in tiles of at most 4, 8 or 12 rows, of bytes or 16-bit words (kernels/integer/filters-inl.h).
  kByteFilters4,
  kByteFilters12,
  kWordFilters4,
  kWordFilters8,
};

/// Whether the instruction set in use multiplies bytes and adds four products to a lane by one instruction (VNNI).
bool has_byte_products();

/// The formats of the instruction set in use.
IntegerFormat integer_panels();
IntegerFormat integer_filters(bool bytes);
inline IntegerFormat integer_filters() { return integer_filters(has_byte_products()); }
inline int64_t integer_panel_width(IntegerFormat f) { return f == IntegerFormat::kPanels32 ? 32 : f == IntegerFormat::kPanels16 ? 16 : 8; }
/// Most rows of a tile of a product.
constexpr int64_t integer_tile_rows(int64_t panel_width) { return panel_width >= 32 ? 14 : 6; }

/// The product modulo 2^32.
inline uint32_t wrapping_mul(int32_t a, int32_t b) { return static_cast<uint32_t>(a) * static_cast<uint32_t>(b); }

inline int64_t groups_of(int64_t k) { return (k + 3) / 4; }
inline int64_t integer_panel_bytes(int64_t width, int64_t k) { return (groups_of(k) + 1) * 4 * width; }
/// Bytes of one packed matrix of k rows and n columns.
inline int64_t integer_panels_bytes(IntegerFormat f, int64_t k, int64_t n) {
  const int64_t width = integer_panel_width(f);
  return (n + width - 1) / width * integer_panel_bytes(width, k);
}

/// Where the scale or zero point of an element lies: strides over batch dims, and over rows of A or columns of B. 0 where one serves all.
struct Spread {
  int64_t batch[kGemmBatchDims] = {};
  int64_t step = 0;
};

/// C = A B. Inputs, in the order of ONNX's QLinearMatMul: 0 A, 1 its scales, 2 its zero points, 3 B, 4 and 5 the same of B, 6 and 7 scale
/// and zero point of C (one element each), 8 bias. Output 0: C, rows contiguous. Strides count elements.
/// c is kInt32: the sums. kFloat32: sum * (scale of A * scale of B) + bias, a float32 a column. kInt8 or kUint8:
/// saturate(round(sum * (scale of A * scale of B / scale of C)) + zero point of C), round half to even, without bias.
struct IntegerGemmParams {
  DType a = DType::kUint8, b = DType::kInt8, c = DType::kInt32;
  DType scale = DType::kFloat32;                        ///< of all scales: float32, float16 or bfloat16
  IntegerFormat format = IntegerFormat::kNone;          ///< of B; kNone: plain
  bool shared_b = false;                                ///< packed B is at the start of Call::shared (an earlier phase made it)
  bool a_zero = false, b_zero = false, c_zero = false;  ///< there are zero points
  bool bias = false;
  int64_t m = 0, n = 0, k = 0;
  Spread a_zeros = {}, a_scales = {}, b_zeros = {}, b_scales = {};

  int32_t batch_rank = 0;
  int64_t batch[kGemmBatchDims] = {}, a_batch[kGemmBatchDims] = {}, c_batch[kGemmBatchDims] = {};
  int64_t b_batch[kGemmBatchDims] = {};  ///< of packed B: bytes

  // Set by plan_integer_gemm, as for GemmParams.
  int64_t panel = 0, row_tiles = 1, row_parts = 1, col_parts = 1;

  int64_t batches() const {
    int64_t count = 1;
    for (int i = 0; i < batch_rank; ++i) count *= batch[i];
    return count;
  }
  int64_t parts() const { return batches() * row_parts * col_parts; }
};

/// Cuts the work into parts (p.parts() many) by shape; the other fields are set already.
void plan_integer_gemm(IntegerGemmParams& p);
/// Bytes of scratch a thread needs.
int64_t integer_gemm_scratch(const IntegerGemmParams& p);
/// A rough cost on one core of so many products.
double integer_nanoseconds(double products);

#define KERNEL(Name, when, why) Kernel<IntegerGemmParams> Name##Pointer();
#include "kernels/integer/gemm.inc"
#undef KERNEL
extern const Table<IntegerGemmParams> integer_gemm;

/// Packing of a stack of matrices B [k, n], one part a panel. Source: input `input`; destination: Call::shared when `to_shared`, else
/// output 0. A piece of `rows` rows (a multiple of 4, or up to k) from row `row` on can be packed by itself: the source then begins with
/// that row.
struct IntegerPackParams {
  DType dtype = DType::kInt8;  ///< kInt8 or kUint8
  IntegerFormat format = IntegerFormat::kPanels16;
  int32_t input = 3;
  bool to_shared = true;
  bool sum = true;  ///< take the sums of columns, when all rows are packed; alone when rows is 0
  int64_t k = 0, n = 0;
  int64_t row = 0, rows = 0;
  int64_t matrices = 1;

  int64_t panels() const { return (n + integer_panel_width(format) - 1) / integer_panel_width(format); }
  int64_t parts() const { return panels() * matrices; }
};
Kernel<IntegerPackParams> IntegerPackPointer();

}  // namespace tenon::kernels
