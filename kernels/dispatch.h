// Picking the instruction set. A kernel source is re-included once per Highway target (hwy/foreach_target.h) and exports its
// functions with TENON_EXPORT; TENON_POINTER gives the one for the target in use.
#pragma once

#include <cstdint>

#include "hwy/highway.h"

namespace tenon::kernels {

/// Chooses the target. `TENON_MAX_ISA` (environment: sse4, avx2, avx512) caps it for tests on x86; a cap above what
/// the CPU has is ignored here and refused by base/cpu. Cheap after the first call.
void init_dispatch();

/// Limits dispatch to `target` (a single HWY_* bit) until reset with 0; for tests that run a kernel on every target.
void force_target(int64_t target);

/// The targets compiled in and supported by this CPU, best first, as HWY_* bits; returns how many were written (at most 8).
int supported_targets(int64_t* targets);

/// Where the pointer to a function for the target in use stands in a table of TENON_EXPORT.
int target_place();

/// float32 lanes of the best vector of the target in use: 4, 8 or 16. Also the channel block of blocked layouts (at least 8).
int float_lanes();

}  // namespace tenon::kernels

// The table of a function that is compiled for every target, to stand after them at the same namespace level. Highway's own tables
// (HWY_EXPORT) need its shared library, which measures the machine's clock for milliseconds whenever a program loads it.
#define TENON_EXPORT(Function)                                                                                                             \
  static constexpr decltype(&HWY_STATIC_DISPATCH(Function)) Function##OnTargets[] = {HWY_CHOOSE_AVX3(Function), HWY_CHOOSE_AVX2(Function), \
                                                                                     HWY_CHOOSE_SSE4(Function), HWY_CHOOSE_NEON(Function), \
                                                                                     &HWY_STATIC_DISPATCH(Function)}
#define TENON_POINTER(Function) (Function##OnTargets[::tenon::kernels::target_place()])
