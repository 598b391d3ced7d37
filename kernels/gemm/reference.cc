// The plain product, for every dtype that MatMul allows.
#include <algorithm>
#include <type_traits>

#include "base/small_float.h"
#include "kernels/gemm/blocking.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kWidth = 64;

/// Truncates; values that no 64-bit integer holds give 0.
template <class Acc>
Acc to_integer(double value) {
  if (value > -0x1p63 && value < 0) return static_cast<Acc>(static_cast<int64_t>(value));
  return value >= 0 && value < 0x1p64 ? static_cast<Acc>(static_cast<uint64_t>(value)) : 0;
}

template <class T, class Acc>
void add_products(const GemmParams& p, const T* a, const T* b, int64_t width, Acc* sums) {
  for (int64_t k = 0; k < p.k; ++k, a += p.a_k, b += p.b_k) {
    const Acc x = static_cast<Acc>(*a);
    if (p.b_n == 1) {
      for (int64_t i = 0; i < width; ++i) sums[i] += x * static_cast<Acc>(b[i]);
    } else {
      for (int64_t i = 0; i < width; ++i) sums[i] += x * static_cast<Acc>(b[i * p.b_n]);
    }
  }
}

/// Acc: what products are summed in; unsigned for integers, so that overflow wraps.
template <class T, class Acc>
void product(const GemmParams& p, const Call& call, Range range) {
  constexpr bool kHalf = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;
  constexpr bool kInteger = std::is_integral_v<T>;
  const T* a = call.in<T>(p.swapped ? 1 : 0);
  const T* b = call.in<T>(p.swapped ? 0 : 1);
  const T* addend = p.addend ? call.in<T>(2) : nullptr;
  const T* residual = p.residual ? call.in<T>(3) : nullptr;
  T* c = call.out<T>(0);
  const bool scaled = p.alpha != 1 || p.beta != 1;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    const int64_t last = std::min(p.n, part.panel_end * p.panel);
    for (int64_t m = tile_row(p, part.tile_begin); m < tile_row(p, part.tile_end); ++m) {
      for (int64_t n = part.panel_begin * p.panel; n < last; n += kWidth) {
        const int64_t width = std::min(kWidth, last - n);
        Acc sums[kWidth] = {};
        add_products(p, a + part.a + m * p.a_m, b + part.b + n * p.b_n, width, sums);
        for (int64_t i = 0; i < width; ++i) {
          const int64_t at = part.c + m * p.c_m + n + i, add = part.d + m * p.d_m + (n + i) * p.d_n;
          if constexpr (kInteger) {
            Acc sum = sums[i];
            if (scaled) {
              double value = static_cast<double>(p.alpha) * static_cast<double>(static_cast<T>(sum));
              if (addend != nullptr) value += static_cast<double>(p.beta) * static_cast<double>(addend[add]);
              sum = to_integer<Acc>(value);
            } else if (addend != nullptr) {
              sum += static_cast<Acc>(addend[add]);
            }
            if (residual != nullptr) sum += static_cast<Acc>(residual[at]);
            c[at] = static_cast<T>(sum);
          } else {
            Acc sum = sums[i];
            if (p.alpha != 1) sum *= static_cast<Acc>(p.alpha);
            if (addend != nullptr) sum += static_cast<Acc>(p.beta) * static_cast<Acc>(addend[add]);
            if (residual != nullptr) sum += static_cast<Acc>(residual[at]);
            if (sum < static_cast<Acc>(p.low)) sum = static_cast<Acc>(p.low);
            if (sum > static_cast<Acc>(p.high)) sum = static_cast<Acc>(p.high);
            if (p.tile != nullptr) {
              float f = static_cast<float>(sum);
              p.tile(p.tile_alpha, p.tile_beta, &f, &f, 1);
              sum = static_cast<Acc>(f);
            }
            if constexpr (kHalf) {
              c[at] = T(static_cast<float>(sum));
            } else {
              c[at] = static_cast<T>(sum);
            }
          }
        }
      }
    }
  }
}

void GemmReference(const GemmParams& p, const Call& call, Range range) {
  switch (p.dtype) {
    case DType::kFloat64: return product<double, double>(p, call, range);
    case DType::kFloat16: return product<Float16, float>(p, call, range);
    case DType::kBFloat16: return product<BFloat16, float>(p, call, range);
    case DType::kInt32: return product<int32_t, uint32_t>(p, call, range);
    case DType::kUint32: return product<uint32_t, uint32_t>(p, call, range);
    case DType::kInt64: return product<int64_t, uint64_t>(p, call, range);
    case DType::kUint64: return product<uint64_t, uint64_t>(p, call, range);
    default: return product<float, float>(p, call, range);
  }
}

}  // namespace

Kernel<GemmParams> GemmReferencePointer() { return &GemmReference; }

}  // namespace tenon::kernels
