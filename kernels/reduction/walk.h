// Walking a strided set of elements in row-major order.
#pragma once

#include <cstdint>

namespace tenon::kernels {

inline constexpr int kMaxWalkRank = 8;

/// f(offset) for the elements [begin, end) of the given dims (an empty list of dims has one element).
template <class F>
inline void walk(const int64_t* dims, const int64_t* strides, int32_t rank, int64_t begin, int64_t end, F&& f) {
  if (begin >= end) return;
  if (rank == 0) return f(int64_t{0});
  const int last = rank - 1;
  int64_t index[kMaxWalkRank] = {};
  int64_t offset = 0, rest = begin;
  for (int d = last; d >= 0 && rest > 0; --d) {
    index[d] = rest % dims[d];
    rest /= dims[d];
    offset += index[d] * strides[d];
  }
  for (int64_t i = begin;;) {
    const int64_t left = dims[last] - index[last];
    const int64_t n = end - i < left ? end - i : left;
    for (int64_t k = 0; k < n; ++k) f(offset + k * strides[last]);
    i += n;
    if (i >= end) return;
    offset -= index[last] * strides[last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      offset += strides[d];
      if (++index[d] < dims[d]) break;
      offset -= dims[d] * strides[d];
      index[d] = 0;
    }
  }
}

/// f(position, offset, n) for runs along the last dim that together cover [begin, end).
template <class F>
inline void walk_runs(const int64_t* dims, const int64_t* strides, int32_t rank, int64_t begin, int64_t end, F&& f) {
  if (begin >= end) return;
  if (rank == 0) return f(int64_t{0}, int64_t{0}, int64_t{1});
  const int last = rank - 1;
  const int64_t inner = dims[last];
  int64_t first = begin % inner;
  int64_t at = begin;
  walk(dims, strides, last, begin / inner, (end + inner - 1) / inner, [&](int64_t offset) {
    const int64_t n = end - at < inner - first ? end - at : inner - first;
    f(at, offset + first * strides[last], n);
    at += n;
    first = 0;
  });
}

}  // namespace tenon::kernels
