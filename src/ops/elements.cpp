#include "ops/elements.h"

#include <algorithm>

namespace tenon::ops {

Dims physical_dims(const Dims& dims, const Layout& layout) {
  if (layout.kind != Layout::Kind::kChannelBlocked || dims.size() < 2) return dims;
  Dims out = dims;
  out[1] = (dims[1] + layout.block - 1) / layout.block;
  out.push_back(layout.block);
  return out;
}

int64_t count_of(const Dims& dims) {
  int64_t n = 1;
  for (const int64_t d : dims) {
    if (d == 0) return 0;
    if (__builtin_mul_overflow(n, d, &n)) n = INT64_MAX;  // refused when the memory is asked for
  }
  return n;
}

int64_t physical_count(const Dims& dims, const Layout& layout) { return count_of(physical_dims(dims, layout)); }

Cut cut(int64_t units, double nanoseconds_each, int64_t multiple) {
  constexpr double kPartNanoseconds = 20000;
  constexpr int64_t kMostParts = 1024;
  Cut c;
  if (units <= 0) return c;
  c.nanoseconds = static_cast<double>(units) * nanoseconds_each;
  const int64_t wanted = std::clamp<int64_t>(static_cast<int64_t>(c.nanoseconds / kPartNanoseconds), 1, kMostParts);
  c.chunk = (units - 1) / wanted + 1;
  c.chunk = (c.chunk + multiple - 1) / multiple * multiple;
  c.parts = (units - 1) / c.chunk + 1;
  return c;
}

}  // namespace tenon::ops
