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
    const T* from = src + base;
    for (int64_t i = 0; i < n; ++i, from += step) {
      int64_t at = indices[first + i];
      at += (at >> 63) & limit;
      if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(limit)) {
        call.fault->report(Fault::kIndex, indices[first + i], limit, 1);
        return;
      }
      dst[first + i] = from[at * stride];
    }
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
