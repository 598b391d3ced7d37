// Counting the elements that an elementwise kernel walks, and cutting them into parts.
#pragma once

#include "ops/step.h"
#include "ops/type.h"

namespace tenon::ops {

/// The dims as they lie in memory: those of the type when plain, [N, C/block, spatial..., block] when channel-blocked.
Dims physical_dims(const Dims& dims, const Layout& layout);
/// Elements in memory, the padding of channel-blocked layouts included.
int64_t physical_count(const Dims& dims, const Layout& layout);
/// INT64_MAX where the product does not fit.
int64_t count_of(const Dims& dims);

/// Parts of about 20 microseconds, each of `chunk` units (a multiple of `multiple`, the last part shorter). Depends on the arguments
/// alone.
struct Cut {
  int64_t chunk = 1;
  int64_t parts = 1;
  double nanoseconds = 0;
};
Cut cut(int64_t units, double nanoseconds_each, int64_t multiple = 1);

}  // namespace tenon::ops
