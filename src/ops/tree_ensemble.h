#pragma once

#include <memory>

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

class Forest;  // forest.h

/// The tree ensembles of ai.onnx.ml. Two Forests are never equal, however alike.
struct TreeEnsemble {
  std::shared_ptr<const Forest> forest;

  bool operator==(const TreeEnsemble&) const = default;
};

/// (x: float32 or float64 [rows, features], of the forest's dtype) -> (scores: float32, or float64, [rows, targets], class?: int64 [rows],
/// of a forest that classifies).
Result<Types> infer(const TreeEnsemble&, const Types& in);
Result<Step> bind(const TreeEnsemble&, const BindContext&);

}  // namespace tenon::ops
