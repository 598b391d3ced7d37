// The loops around a row that all nearest kernels share.
#pragma once

#include <cstring>

#include "kernels/resize/resize.h"

namespace tenon::kernels::resize {

/// Calls row(src, dst) for each output row in range. A row that reads the same source row as the one before is copied from it, and one
/// outside the region of interest is filled.
template <class Row>
void walk_rows(const ResizeNearestParams& p, const std::byte* tables, const Call& call, Range range, Row&& row) {
  const int64_t begin = range.begin * p.rows_per_part;
  const int64_t end = range.end * p.rows_per_part < p.rows ? range.end * p.rows_per_part : p.rows;
  if (begin >= end) return;
  int64_t turn[kMaxResizeAxes] = {};
  int64_t rest = begin;
  for (int i = p.loops - 1; i >= 0; --i) {
    turn[i] = rest % p.loop[i].count;
    rest /= p.loop[i].count;
  }
  const int64_t bytes = p.row * p.element;
  std::byte* dst = call.out<std::byte>(0) + begin * bytes;
  int64_t before = -1;
  for (int64_t r = begin; r < end; ++r, dst += bytes) {
    int64_t offset = 0;
    bool outside = false;
    for (int i = 0; i < p.loops; ++i) {
      int64_t at = turn[i];
      if (p.loop[i].start_at >= 0) at = reinterpret_cast<const int32_t*>(tables + p.loop[i].start_at)[at];
      outside |= at < 0;
      offset += at * p.loop[i].stride;
    }
    if (outside) {
      for (int64_t j = 0; j < p.row; ++j) std::memcpy(dst + j * p.element, p.fill, static_cast<size_t>(p.element));
    } else if (offset == before) {
      std::memcpy(dst, dst - bytes, static_cast<size_t>(bytes));
    } else {
      row(call.in<std::byte>(0) + offset, dst);
    }
    before = outside ? -1 : offset;
    for (int i = p.loops - 1; i >= 0 && ++turn[i] == p.loop[i].count; --i) turn[i] = 0;
  }
}

}  // namespace tenon::kernels::resize
