#pragma once

#include "kernels/pool/pool.h"
#include "ops/infer.h"
#include "ops/step.h"
#include "ops/window.h"

namespace tenon::ops {

/// MaxPool, AveragePool and LpPool over the spatial dims of [N, C, spatial...].
struct Pool {
  using Kind = kernels::PoolKind;
  Kind kind = Kind::kMax;
  Window window;                   ///< kernel_shape is required
  bool count_include_pad = false;  ///< of kAverage
  bool column_major = false;       ///< of kMax: storage_order 1
  int64_t p = 2;                   ///< of kLp

  bool operator==(const Pool&) const = default;
};

/// (x: float[N, C, ...], for kMax also int8 and uint8) -> (y: same type; for kMax also indices: int64, as y). Without indices, float32
/// kMax and kAverage take and give channel-blocked tensors too.
Result<Types> infer(const Pool&, const Types& in);
Result<Step> bind(const Pool&, const BindContext&);

/// GlobalMaxPool, GlobalAveragePool and GlobalLpPool: all spatial dims become 1.
struct GlobalPool {
  using Kind = kernels::PoolKind;
  Kind kind = Kind::kAverage;
  int64_t p = 2;

  bool operator==(const GlobalPool&) const = default;
};

/// (x: float[N, C, ...]) -> (y: [N, C, 1, ...]). float32 kMax and kAverage in channel-blocked layout too.
Result<Types> infer(const GlobalPool&, const Types& in);
Result<Step> bind(const GlobalPool&, const BindContext&);

}  // namespace tenon::ops
