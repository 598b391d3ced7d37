#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Local response normalisation across `size` neighbouring channels.
struct Lrn {
  int64_t size = 1;
  float alpha = 1e-4f;
  float beta = 0.75f;
  float bias = 1.0f;

  bool operator==(const Lrn&) const = default;
};

/// (x: float[N, C, ...]) -> (y: same type).
Result<Types> infer(const Lrn&, const Types& in);
Result<Step> bind(const Lrn&, const BindContext&);

}  // namespace tenon::ops
