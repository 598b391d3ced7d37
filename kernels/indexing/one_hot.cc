#include <cmath>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

/// The index as int64; what is out of its range (infinity, NaN) becomes one that selects nothing.
template <class I>
int64_t to_index(I value) {
  constexpr int64_t kNowhere = INT64_MIN;
  if constexpr (std::is_same_v<I, uint64_t>) {
    return value > static_cast<uint64_t>(INT64_MAX) ? kNowhere : static_cast<int64_t>(value);
  } else if constexpr (std::is_integral_v<I>) {
    return value;
  } else {
    const auto v = static_cast<double>(static_cast<std::conditional_t<std::is_same_v<I, double>, double, float>>(value));
    return v > -9.2e18 && v < 9.2e18 ? static_cast<int64_t>(v) : kNowhere;
  }
}

void run_one_hot(const OneHotParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.rows_per_part;
  const int64_t end = range.end * p.rows_per_part < p.outer ? range.end * p.rows_per_part : p.outer;
  const int64_t row = p.depth * p.inner;
  if (row == 0) return;
  indexing::with_element(p.element, [&](auto t) {
    using T = decltype(t);
    const T* values = call.in<T>(2);
    const T off = values[0], on = values[1];
    T* dst = call.out<T>(0);
    for (int64_t i = begin * row; i < end * row; ++i) dst[i] = off;
    dispatch<int64_t, int32_t, float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, uint32_t, uint64_t>(
        p.index_dtype, [&](auto i) {
          const auto* indices = call.in<decltype(i)>(0);
          for (int64_t o = begin; o < end; ++o) {
            for (int64_t j = 0; j < p.inner; ++j) {
              int64_t at = to_index(indices[o * p.inner + j]);
              at += at < 0 ? p.depth : 0;
              if (at >= 0 && at < p.depth) dst[o * row + at * p.inner + j] = on;
            }
          }
        });
  });
}

}  // namespace

TENON_ONE_ROW(one_hot, OneHotParams, OneHot, run_one_hot)

}  // namespace tenon::kernels
