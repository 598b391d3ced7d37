#include "kernels/reduction/arg_reduce.h"

#include <concepts>
#include <cstdint>
#include <iterator>
#include <type_traits>

namespace tenon::kernels {
namespace {

template <class T>
auto comparable(T x) {
  if constexpr (std::is_arithmetic_v<T>) return x;
  else return static_cast<float>(x);
}

template <class T>
int64_t find(const ArgReduceParams& p, const T* src) {
  int64_t best = 0;
  auto value = comparable(src[0]);
  for (int64_t i = 1; i < p.n && value == value; ++i) {
    const auto x = comparable(src[i * p.inner]);
    if (x != x || (p.min ? x < value : x > value) || (p.last && x == value)) {
      best = i;
      value = x;
    }
  }
  return best;
}

void ArgReducePlain(const ArgReduceParams& p, const Call& call, Range range) {
  const int64_t outputs = p.outer * p.inner;
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < outputs ? range.end * p.chunk : outputs;
  int64_t* dst = call.out<int64_t>(0);
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      p.dtype, [&](auto t) {
        using T = decltype(t);
        for (int64_t o = begin; o < end; ++o) dst[o] = find(p, call.in<T>(0) + o / p.inner * p.n * p.inner + o % p.inner);
      });
}

template <class T>
struct Accumulator {
  using type = double;
};
template <std::integral T>
struct Accumulator<T> {
  using type = uint64_t;
};

template <class T>
void line(const CumulativeParams& p, const T* src, T* dst) {
  using A = typename Accumulator<T>::type;
  A sum = p.product ? 1 : 0;
  for (int64_t k = 0; k < p.n; ++k) {
    const int64_t at = (p.reverse ? p.n - 1 - k : k) * p.inner;
    A x;
    if constexpr (std::is_arithmetic_v<T>) x = static_cast<A>(src[at]);
    else x = static_cast<float>(src[at]);
    const A before = sum;
    sum = p.product ? sum * x : sum + x;
    const A out = p.exclusive ? before : sum;
    if constexpr (std::is_arithmetic_v<T>) dst[at] = static_cast<T>(out);
    else dst[at] = T(static_cast<float>(out));
  }
}

void CumulativePlain(const CumulativeParams& p, const Call& call, Range range) {
  const int64_t lines = p.outer * p.inner;
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < lines ? range.end * p.chunk : lines;
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      p.dtype, [&](auto t) {
        using T = decltype(t);
        for (int64_t l = begin; l < end; ++l) {
          const int64_t at = l / p.inner * p.n * p.inner + l % p.inner;
          line(p, call.in<T>(0) + at, call.out<T>(0) + at);
        }
      });
}

}  // namespace

Kernel<ArgReduceParams> ArgReducePlainPointer() { return ArgReducePlain; }
Kernel<CumulativeParams> CumulativePlainPointer() { return CumulativePlain; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(ArgReduceParams, Name, when, why)
static const Row<ArgReduceParams> kArgRows[] = {
#include "kernels/reduction/arg_reduce.inc"
};
#undef KERNEL
const Table<ArgReduceParams> arg_reduce{"arg_reduce", kArgRows, std::size(kArgRows)};
static const Row<CumulativeParams> kCumulativeRows[] = {
    {"CumulativePlain", [](const CumulativeParams&) -> const char* { return nullptr; }, CumulativePlainPointer}};
const Table<CumulativeParams> cumulative{"cumulative", kCumulativeRows, 1};

}  // namespace tenon::kernels
