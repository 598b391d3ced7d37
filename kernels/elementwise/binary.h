// Elementwise functions of two inputs with numpy broadcasting.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

// clang-format off
enum class BinaryKind : uint8_t {
  kAdd, kSub, kMul,
  kDiv,   ///< integers: towards zero; by zero is a fault, MIN / -1 wraps
  kPow,   ///< the exponent may have another dtype; the result has the base's
  kMod,   ///< sign of the divisor; integer modulo by zero is a fault
  kFmod,  ///< sign of the dividend (C's fmod), integers too
  kMax, kMin,  ///< NaN wins
  kPRelu,      ///< a for a >= 0, else a * b
  kAnd, kOr, kXor,  ///< bool
  kBitwiseAnd, kBitwiseOr, kBitwiseXor,
  kShiftLeft, kShiftRight,  ///< a shift by the width of the type or more gives 0 (or -1: arithmetic right shift of a negative)
  kEqual, kGreater, kGreaterOrEqual, kLess, kLessOrEqual,  ///< give bool
};
// clang-format on
inline constexpr int kBinaryKinds = static_cast<int>(BinaryKind::kLessOrEqual) + 1;
inline bool is_comparison(BinaryKind kind) { return kind >= BinaryKind::kEqual; }

inline constexpr int kMaxBroadcastRank = 8;

/// How N operands of different shapes step through one output: dims from the outermost, neighbours merged where every operand
/// allows it. The strides are in elements, 0 where an operand is repeated; the last dim has strides 0 or 1.
template <int N>
struct BroadcastShape {
  int32_t rank = 1;  ///< at least 1
  int64_t dims[kMaxBroadcastRank] = {1};
  int64_t strides[N][kMaxBroadcastRank] = {};
};

/// Calls row(output offset, offsets of the operands, n) for the runs of the last dim that cover the flat output elements
/// [begin, end).
template <int N, class RowFunction>
void for_each_row(const BroadcastShape<N>& s, int64_t begin, int64_t end, RowFunction&& row) {
  if (begin >= end) return;
  const int last = s.rank - 1;
  const int64_t inner = s.dims[last];
  int64_t index[kMaxBroadcastRank] = {};
  int64_t offset[N] = {};
  int64_t rest = begin;
  for (int d = last; d >= 0 && rest > 0; --d) {
    index[d] = rest % s.dims[d];
    rest /= s.dims[d];
    for (int k = 0; k < N; ++k) offset[k] += index[d] * s.strides[k][d];
  }
  for (int64_t at = begin;;) {
    const int64_t n = (end - at < inner - index[last]) ? end - at : inner - index[last];
    row(at, static_cast<const int64_t*>(offset), n);
    at += n;
    if (at >= end) return;
    for (int k = 0; k < N; ++k) offset[k] -= index[last] * s.strides[k][last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      for (int k = 0; k < N; ++k) offset[k] += s.strides[k][d];
      if (++index[d] < s.dims[d]) break;
      for (int k = 0; k < N; ++k) offset[k] -= s.dims[d] * s.strides[k][d];
      index[d] = 0;
    }
  }
}

/// Integer overflow wraps. dst may be the buffer of an operand that is as large as the output.
struct BinaryParams {
  BinaryKind kind = BinaryKind::kAdd;
  DType dtype = DType::kFloat32;           ///< of the first input, and of the second but for kPow
  DType exponent_dtype = DType::kFloat32;  ///< kPow only
  int64_t count = 0;                       ///< output elements
  int64_t chunk = 0;                       ///< output elements a part
  BroadcastShape<2> shape;
};

/// dst[i] = f(a[i * stride_a], b[i * stride_b]), strides 0 or 1, not both 0 unless n is 1.
using BinaryTile = void (*)(const float* a, int64_t stride_a, const float* b, int64_t stride_b, float* dst, int64_t n);
/// The float32 tile function of `kind` for the instruction set in use; null for kinds that do not map floats to a float.
BinaryTile binary_tile(BinaryKind kind);

/// The same for kPow of float64: at most 2 ULP where the result is normal.
using BinaryTile64 = void (*)(const double* a, int64_t stride_a, const double* b, int64_t stride_b, double* dst, int64_t n);
BinaryTile64 pow_tile64();

#define KERNEL(Name, when, why) Kernel<BinaryParams> Name##Pointer();
#include "kernels/elementwise/binary.inc"
#undef KERNEL
extern const Table<BinaryParams> binary;

double binary_cost(BinaryKind kind, DType dtype);

}  // namespace tenon::kernels
