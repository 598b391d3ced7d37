#pragma once

#include <vector>

#include "kernels/elementwise/program.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// A chain of elementwise operators computed in one pass over memory (made by the pass fuse_elementwise). Each step is a unary, binary,
/// clip or where over registers: the inputs, then the results of the steps before. The last result is the output.
struct Elementwise {
  using Step = kernels::ProgramStep;
  std::vector<Step> steps;

  bool operator==(const Elementwise&) const = default;
};

/// (float32 or, for truth values, bool, ...) -> (y: float32, all inputs broadcast together). Channel-blocked: every input in the
/// same layout with the same channels, or plain with a single element.
Result<Types> infer(const Elementwise&, const Types& in);
Result<Step> bind(const Elementwise&, const BindContext&);

}  // namespace tenon::ops
