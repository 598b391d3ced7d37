// From indices to element offsets, a small block at a time: what the index is and what is done with the element stay apart, so
// neither multiplies the other's code.
#pragma once

#include <cstdint>

#include "kernels/indexing/indexing.h"

namespace tenon::kernels::indexing {

inline constexpr int kBlock = 128;

struct Bytes16 {
  uint64_t a, b;
};

/// Calls f(T{}) with an unsigned type (or Bytes16) of `element` bytes.
template <class F>
void with_element(int64_t element, F&& f) {
  switch (element) {
    case 1: f(uint8_t{}); break;
    case 2: f(uint16_t{}); break;
    case 4: f(uint32_t{}); break;
    case 8: f(uint64_t{}); break;
    default: f(Bytes16{}); break;
  }
}

/// offsets[i] = base + i * step + index[i] * stride. A bad index is reported and read as 0; false when the axis is empty, so that no
/// offset is valid.
template <class I>
bool resolve(const I* index, int64_t n, int64_t limit, int64_t base, int64_t step, int64_t stride, int64_t* offsets, Fault* fault) {
  bool good = true;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = index[i];
    at += at < 0 ? limit : 0;
    if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(limit)) {
      if (good) fault->report(Fault::kIndex, index[i], limit, 1);
      good = false;
      at = 0;
    }
    offsets[i] = base + i * step + at * stride;
  }
  return good || limit > 0;
}

/// Visits lines [range.begin, range.end) * lines_per_part in blocks: f(first element of indices, n, offsets) where the n elements of
/// indices are contiguous and offsets[i] is where element i lies in data.
template <class F>
void walk_lines(const IndexLines& w, const void* indices, Range range, Fault* fault, F&& f) {
  int64_t offsets[kBlock];
  const auto block = [&](int64_t at, int64_t n, int64_t base, int64_t step) {
    const bool good = w.wide ? resolve(static_cast<const int64_t*>(indices) + at, n, w.limit, base, step, w.data_stride, offsets, fault)
                             : resolve(static_cast<const int32_t*>(indices) + at, n, w.limit, base, step, w.data_stride, offsets, fault);
    if (good) f(at, n, static_cast<const int64_t*>(offsets));
  };
  int64_t line = range.begin * w.lines_per_part;
  const int64_t end = range.end * w.lines_per_part < w.lines ? range.end * w.lines_per_part : w.lines;
  const int last = w.rank - 1;
  while (line < end) {
    int64_t at = 0, base = 0, rest = line, run = end - line, step = 0;
    for (int d = last; d >= 0; --d) {
      const int64_t c = rest % w.dims[d];
      rest /= w.dims[d];
      at += c * w.index_strides[d];
      base += c * w.data_strides[d];
      if (d == last && run > w.dims[d] - c) run = w.dims[d] - c;
    }
    if (last >= 0) step = w.data_strides[last];
    if (w.index_stride == 1) {  // the axis is the last dim: indices of a line are contiguous
      for (int64_t j = 0; j < run; ++j) {
        const int64_t start = at + (last >= 0 ? j * w.index_strides[last] : 0);
        for (int64_t k = 0; k < w.length; k += kBlock) {
          block(start + k, w.length - k < kBlock ? w.length - k : kBlock, base + j * step, 0);
        }
      }
    } else {
      for (int64_t k = 0; k < w.length; ++k) {
        for (int64_t j = 0; j < run; j += kBlock) {
          block(at + k * w.index_stride + j, run - j < kBlock ? run - j : kBlock, base + j * step, step);
        }
      }
    }
    line += run;
  }
}

/// The slice that one tuple addresses, or -1 after reporting a bad index.
inline int64_t resolve_tuple(const IndexTuples& t, const void* indices, int64_t tuple, Fault* fault) {
  int64_t slice = 0;
  for (int d = 0; d < t.depth; ++d) {
    const int64_t got = t.wide ? static_cast<const int64_t*>(indices)[tuple * t.depth + d] : static_cast<const int32_t*>(indices)[tuple * t.depth + d];
    const int64_t at = got + (got < 0 ? t.limits[d] : 0);
    if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(t.limits[d])) {
      fault->report(Fault::kIndex, got, t.limits[d], 1);
      return -1;
    }
    slice += at * t.strides[d];
  }
  return slice;
}

/// A family of one row that takes everything.
template <class Params>
const char* takes_all(const Params&) { return nullptr; }

}  // namespace tenon::kernels::indexing

#define TENON_ONE_ROW(table, Params, Name, run)                                                                       \
  static const Row<Params> k##Name##Rows[] = {{#Name, indexing::takes_all<Params>, []() -> Kernel<Params> { return &run; }}}; \
  const Table<Params> table{#table, k##Name##Rows, 1};
