#include <cstring>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

using indexing::with_element;

template <class T, class I>
void gather_elements_as(const GatherElementsParams& p, const Call& call, Range range) {
  const T* src = call.in<T>(0);
  const I* indices = call.in<I>(1);
  T* dst = call.out<T>(0);
  const int64_t limit = p.walk.limit, stride = p.walk.data_stride;
  indexing::walk_runs(p.walk, range, [&](int64_t first, int64_t n, int64_t base, int64_t step) {
    const T* const from = src + base;
    const I* const index = indices + first;
    T* const to = dst + first;
    const auto gather = [&](int64_t i) {
      int64_t at = index[i];
      at += (at >> 63) & limit;
      if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(limit)) {
        call.fault->report(Fault::kIndex, index[i], limit, 1);
        return false;
      }
      to[i] = from[i * step + at * stride];
      return true;
    };
    int64_t i = 0;
    if (stride == 1 && step == 0) {
      // Most indices count from the front, and need but one comparison.
      const auto inside = [&](int64_t k) { return static_cast<uint64_t>(index[k]) < static_cast<uint64_t>(limit); };
      for (; i + 4 <= n; i += 4) {
        if (inside(i) && inside(i + 1) && inside(i + 2) && inside(i + 3)) [[likely]] {
          const T a = from[index[i]], b = from[index[i + 1]], c = from[index[i + 2]], d = from[index[i + 3]];
          to[i] = a, to[i + 1] = b, to[i + 2] = c, to[i + 3] = d;
        } else if (!(gather(i) && gather(i + 1) && gather(i + 2) && gather(i + 3))) {
          return;
        }
      }
    }
    while (i < n && gather(i)) ++i;
  });
}

void run_gather_elements(const GatherElementsParams& p, const Call& call, Range range) {
  with_element(p.element, [&](auto t) {
    if (p.walk.wide) {
      gather_elements_as<decltype(t), int64_t>(p, call, range);
    } else {
      gather_elements_as<decltype(t), int32_t>(p, call, range);
    }
  });
}

template <class T>
void gather_scalars(const GatherNDParams& p, const Call& call, int64_t begin, int64_t end) {
  const T* src = call.in<T>(0);
  T* dst = call.out<T>(0);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t slice = indexing::resolve_tuple(p.index, call.src[1], t, call.fault);
    if (slice >= 0) dst[t] = src[t / p.tuples_per_batch * p.batch_slices + slice];
  }
}

void run_gather_nd(const GatherNDParams& p, const Call& call, Range range) {
  const int64_t units = p.index.tuples * p.pieces;
  const int64_t begin = range.begin * p.units_per_part;
  const int64_t end = range.end * p.units_per_part < units ? range.end * p.units_per_part : units;
  if (p.index.slice == 1) {
    with_element(p.element, [&](auto t) { gather_scalars<decltype(t)>(p, call, begin, end); });
    return;
  }
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tuple = unit / p.pieces, first = unit % p.pieces * p.piece;
    const int64_t slice = indexing::resolve_tuple(p.index, call.src[1], tuple, call.fault);
    if (slice < 0) continue;
    const int64_t from = (tuple / p.tuples_per_batch * p.batch_slices + slice) * p.index.slice + first;
    const int64_t n = p.index.slice - first < p.piece ? p.index.slice - first : p.piece;
    std::memcpy(call.out<char>(0) + (tuple * p.index.slice + first) * p.element, call.in<char>(0) + from * p.element,
                static_cast<size_t>(n * p.element));
  }
}

}  // namespace

TENON_ONE_ROW(gather_elements, GatherElementsParams, GatherElements, run_gather_elements)
TENON_ONE_ROW(gather_nd, GatherNDParams, GatherND, run_gather_nd)

}  // namespace tenon::kernels
