#include "kernels/gemm/gather_packed.h"

#include <algorithm>
#include <cstring>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

template <class T>
void gather(const GatherPackedParams& p, const Call& call, Range range) {
  const int64_t width = panel_width(p.format), limit = p.columns ? p.n : p.k, length = p.columns ? p.k : p.n;
  const int64_t panel_step = packed_rows(p.format, p.k) * width;
  const bool pairs = p.dtype == DType::kBFloat16;
  const T* const panels = call.in<T>(0);
  const int64_t end = std::min(p.indices, range.end * GatherPackedParams::kPerPart);
  for (int64_t i = range.begin * GatherPackedParams::kPerPart; i < end; ++i) {
    const int64_t index = p.wide ? call.in<int64_t>(1)[i] : call.in<int32_t>(1)[i];
    const int64_t at = index + (index < 0 ? limit : 0);
    if (at < 0 || at >= limit) {
      call.fault->report(Fault::kIndex, index, limit, 1);
      return;
    }
    T* const to = call.out<T>(0) + i * length;
    if (p.columns) {
      const T* const from = panels + at / width * panel_step + at % width * (pairs ? 2 : 1);
      for (int64_t k = 0; k < p.k; ++k) to[k] = pairs ? from[k / 2 * 2 * width + k % 2] : from[k * width];
      continue;
    }
    const T* from = panels + (pairs ? at / 2 * 2 * width + at % 2 : at * width);
    for (int64_t n = 0; n < p.n; n += width, from += panel_step) {
      const int64_t columns = std::min(width, p.n - n);
      if (pairs) {
        for (int64_t c = 0; c < columns; ++c) to[n + c] = from[2 * c];
      } else {
        std::memcpy(to + n, from, static_cast<size_t>(columns) * sizeof(T));
      }
    }
  }
}

void run_gather_packed(const GatherPackedParams& p, const Call& call, Range range) {
  return is_half(p.dtype) ? gather<uint16_t>(p, call, range) : gather<float>(p, call, range);
}

}  // namespace

TENON_ONE_ROW(gather_packed, GatherPackedParams, GatherPacked, run_gather_packed)

}  // namespace tenon::kernels
