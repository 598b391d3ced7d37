// Elementwise functions of one input.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

/// alpha and beta below are UnaryParams::alpha and beta.
// clang-format off
enum class UnaryKind : uint8_t {
  kAbs, kAcos, kAcosh, kAsin, kAsinh, kAtan, kAtanh, kBitwiseNot, kCeil,
  kCelu,  ///< max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
  kCos, kCosh,
  kElu,  ///< x for x >= 0, else alpha * (exp(x) - 1)
  kErf, kExp, kFloor,
  kGelu,         ///< x/2 * (1 + erf(x / sqrt 2))
  kGeluTanh,     ///< x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
  kHardSigmoid,  ///< max(0, min(1, alpha * x + beta))
  kHardSwish,    ///< x * max(0, min(1, x/6 + 1/2))
  kIsInf,        ///< alpha != 0: minus infinity counts; beta != 0: plus infinity counts. Gives bool.
  kIsNaN,        ///< gives bool
  kLeakyRelu,    ///< x for x >= 0, else alpha * x
  kLog,
  kMish,  ///< x * tanh(softplus(x))
  kNeg, kNot, kReciprocal, kRelu,
  kRound,   ///< half to even
  kSelu,    ///< beta * (x for x > 0, else alpha * (exp(x) - 1))
  kShrink,  ///< alpha is lambd, beta is bias: x + bias below -lambd, x - bias above lambd, else 0
  kSigmoid, kSign, kSin, kSinh,
  kSoftplus,  ///< log(1 + exp(x))
  kSoftsign,  ///< x / (1 + |x|)
  kSqrt,
  kSwish,  ///< x * sigmoid(alpha * x)
  kTan, kTanh,
  kThresholdedRelu,  ///< x for x > alpha, else 0
};
// clang-format on
inline constexpr int kUnaryKinds = static_cast<int>(UnaryKind::kThresholdedRelu) + 1;

/// Integer overflow wraps. src and dst may be the same buffer when the element sizes agree.
struct UnaryParams {
  UnaryKind kind = UnaryKind::kRelu;
  DType dtype = DType::kFloat32;  ///< of the input; the output's is the same, or bool for kIsInf and kIsNaN
  float alpha = 0;
  float beta = 0;
  int64_t count = 0;
  int64_t chunk = 0;  ///< elements a part
};

/// dst[i] = f(src[i]) for n elements; the building block that fused kernels call on tiles that sit in L1.
using UnaryTile = void (*)(float alpha, float beta, const float* src, float* dst, int64_t n);
/// The float32 tile function of `kind` for the instruction set in use; null for kinds that do not map float to float.
UnaryTile unary_tile(UnaryKind kind);

/// Whether a vector kernel has `kind` in float64.
constexpr bool has_float64_vectors(UnaryKind kind) {
  using K = UnaryKind;
  switch (kind) {
    // clang-format off
    case K::kAcos: case K::kAcosh: case K::kAsin: case K::kAsinh: case K::kAtan: case K::kAtanh: case K::kBitwiseNot: case K::kCos:
    case K::kCosh: case K::kIsInf: case K::kIsNaN: case K::kNot: case K::kSin: case K::kSinh: case K::kTan: return false;
    // clang-format on
    default: return true;
  }
}

#define KERNEL(Name, when, why) Kernel<UnaryParams> Name##Pointer();
#include "kernels/elementwise/unary.inc"
#undef KERNEL
extern const Table<UnaryParams> unary;

/// Rough cost of one element in nanoseconds on one core.
double unary_cost(UnaryKind kind, DType dtype);

}  // namespace tenon::kernels
