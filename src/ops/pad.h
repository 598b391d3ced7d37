#pragma once

#include "kernels/movement/movement.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Adds elements before and after the dims (or cuts them off, where a pad is negative). Opset 18 meaning: pads, value and axes are
/// inputs (the importer makes constants of the attributes of opset 2).
struct Pad {
  using Mode = kernels::PadParams::Mode;  ///< kConstant, kReflect, kEdge, kWrap
  Mode mode = Mode::kConstant;

  bool operator==(const Pad&) const = default;
};

/// (data, pads: int64[2n], value?: data's dtype scalar, axes?: int[n]) -> (output: data's dtype).
Result<Types> infer(const Pad&, const Types& in);
Result<Step> bind(const Pad&, const BindContext&);

}  // namespace tenon::ops
