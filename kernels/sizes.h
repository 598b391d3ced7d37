// Arithmetic of sizes, for cutting work into parts.
#pragma once

#include <cstdint>

namespace tenon::kernels {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// a * b, held below what int64 can hold; sizes of real work fit, costs need not be exact.
inline int64_t capped_mul(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_mul_overflow(a, b, &r) ? INT64_MAX / 4 : r;
}

}  // namespace tenon::kernels
