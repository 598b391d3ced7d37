// What fused operators apply to a result before it is stored.
#pragma once

#include <limits>

#include "kernels/elementwise/unary.h"

namespace tenon::ops {

/// Clamps to [low, high] (NaN stays NaN), then applies `unary` when it is there.
struct Activation {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool has_unary = false;
  kernels::UnaryKind unary = kernels::UnaryKind::kRelu;
  float alpha = 0;
  float beta = 0;

  bool operator==(const Activation&) const = default;
  bool none() const { return *this == Activation{}; }
};

}  // namespace tenon::ops
