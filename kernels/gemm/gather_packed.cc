#include "kernels/gemm/gather_packed.h"

#include <algorithm>
#include <cstring>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

void run_gather_packed(const GatherPackedParams& p, const Call& call, Range range) {
  const int64_t width = panel_width(p.format), limit = p.columns ? p.n : p.k, length = p.columns ? p.k : p.n;
  const float* const panels = call.in<float>(0);
  const int64_t end = std::min(p.indices, range.end * GatherPackedParams::kPerPart);
  for (int64_t i = range.begin * GatherPackedParams::kPerPart; i < end; ++i) {
    const int64_t index = p.wide ? call.in<int64_t>(1)[i] : call.in<int32_t>(1)[i];
    const int64_t at = index + (index < 0 ? limit : 0);
    if (at < 0 || at >= limit) {
      call.fault->report(Fault::kIndex, index, limit, 1);
      return;
    }
    float* const to = call.out<float>(0) + i * length;
    if (p.columns) {
      const float* const from = panels + at / width * p.k * width + at % width;
      for (int64_t k = 0; k < p.k; ++k) to[k] = from[k * width];
    } else {
      const float* const from = panels + at * width;
      for (int64_t n = 0; n < p.n; n += width)
        std::memcpy(to + n, from + n * p.k, static_cast<size_t>(std::min(width, p.n - n)) * sizeof(float));
    }
  }
}

}  // namespace

TENON_ONE_ROW(gather_packed, GatherPackedParams, GatherPacked, run_gather_packed)

}  // namespace tenon::kernels
