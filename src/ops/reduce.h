#pragma once

#include "kernels/reduction/reduce.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// A reduction over some axes, opset 18 meaning: the axes are an optional input (the importer makes a constant of the attribute).
/// Without axes all are reduced, or none with noop_with_empty_axes (then only the elementwise part of the kind is applied).
struct Reduce {
  using Kind = kernels::ReduceKind;
  Kind kind = Kind::kSum;
  bool keepdims = true;
  bool noop_with_empty_axes = false;

  bool operator==(const Reduce&) const = default;
};

/// (x: numeric, bool for Max and Min, axes?: int64[n]) -> (y: same dtype).
Result<Types> infer(const Reduce&, const Types& in);
Result<Step> bind(const Reduce&, const BindContext&);

std::string_view name_of(Reduce::Kind kind);

}  // namespace tenon::ops
