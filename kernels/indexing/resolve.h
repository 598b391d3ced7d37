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
  // No branch and, for the common stride, no multiplication, so that the compiler can vectorize.
  uint64_t bad = 0;
  const auto position = [&](int64_t i) {
    const int64_t at = index[i] + ((static_cast<int64_t>(index[i]) >> 63) & limit);
    bad |= static_cast<uint64_t>(at >> 63) | static_cast<uint64_t>((limit - 1 - at) >> 63);
    return at;
  };
  // Unsigned, because a bad index may wrap; its offset is replaced below.
  const auto ubase = static_cast<uint64_t>(base);
  if (stride == 1 && step == 0) {
    for (int64_t i = 0; i < n; ++i) offsets[i] = static_cast<int64_t>(ubase + static_cast<uint64_t>(position(i)));
  } else {
    for (int64_t i = 0; i < n; ++i) {
      offsets[i] = static_cast<int64_t>(ubase + static_cast<uint64_t>(i * step) +
                                        static_cast<uint64_t>(position(i)) * static_cast<uint64_t>(stride));
    }
  }
  if (bad == 0) return true;
  bool first = true;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = index[i];
    at += at < 0 ? limit : 0;
    if (at >= 0 && at < limit) continue;
    if (first) fault->report(Fault::kIndex, index[i], limit, 1);
    first = false;
    offsets[i] = base + i * step;
  }
  return limit > 0;
}

/// Visits lines [range.begin, range.end) * lines_per_part in runs: f(at, n, base, step) for n contiguous elements of indices from `at`
/// on, whose element i addresses data at base + i * step + index * data_stride.
template <class F>
void walk_runs(const IndexLines& w, Range range, F&& f) {
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
      for (int64_t j = 0; j < run; ++j) f(at + (last >= 0 ? j * w.index_strides[last] : 0), w.length, base + j * step, int64_t{0});
    } else {
      for (int64_t k = 0; k < w.length; ++k) f(at + k * w.index_stride, run, base, step);
    }
    line += run;
  }
}

/// The same in blocks of at most kBlock with offsets worked out: f(at, n, offsets).
template <class F>
void walk_lines(const IndexLines& w, const void* indices, Range range, Fault* fault, F&& f) {
  int64_t offsets[kBlock];
  walk_runs(w, range, [&](int64_t at, int64_t n, int64_t base, int64_t step) {
    for (int64_t i = 0; i < n; i += kBlock) {
      const int64_t m = n - i < kBlock ? n - i : kBlock, from = base + i * step;
      const bool good = w.wide
                            ? resolve(static_cast<const int64_t*>(indices) + at + i, m, w.limit, from, step, w.data_stride, offsets, fault)
                            : resolve(static_cast<const int32_t*>(indices) + at + i, m, w.limit, from, step, w.data_stride, offsets, fault);
      if (good) f(at + i, m, static_cast<const int64_t*>(offsets));
    }
  });
}

/// The slice that one tuple addresses, or -1 after reporting a bad index.
inline int64_t resolve_tuple(const IndexTuples& t, const void* indices, int64_t tuple, Fault* fault) {
  int64_t slice = 0;
  for (int d = 0; d < t.depth; ++d) {
    const int64_t got =
        t.wide ? static_cast<const int64_t*>(indices)[tuple * t.depth + d] : static_cast<const int32_t*>(indices)[tuple * t.depth + d];
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
const char* takes_all(const Params&) {
  return nullptr;
}

}  // namespace tenon::kernels::indexing

#define TENON_ONE_ROW(table, Params, Name, run)                                                                               \
  static const Row<Params> k##Name##Rows[] = {{#Name, indexing::takes_all<Params>, []() -> Kernel<Params> { return &run; }}}; \
  const Table<Params> table{#table, k##Name##Rows, 1};
