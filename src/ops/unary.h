#pragma once

#include "kernels/elementwise/unary.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// An elementwise function of one input: Abs ... ThresholdedRelu. What alpha and beta mean is said at each kind.
struct Unary {
  using Kind = kernels::UnaryKind;
  Kind kind = Kind::kRelu;
  float alpha = 0;
  float beta = 0;

  bool operator==(const Unary&) const = default;
};

/// (x) -> (y: same type; bool for IsInf and IsNaN). Any layout: works on the physical buffer.
Result<Types> infer(const Unary&, const Types& in);
Result<Step> bind(const Unary&, const BindContext&);

/// "Relu", "Gelu", ...
std::string_view name_of(Unary::Kind kind);

}  // namespace tenon::ops
