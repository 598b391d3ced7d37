// If, Loop and Scan: operators that run regions of the graph. Region ids refer to the graph the operator is in. Bodies may read values
// of enclosing regions; those are not among the operator's inputs, the plan finds them.
#pragma once

#include <vector>

#include "ops/step.h"
#include "ops/type.h"

namespace tenon::ops {

/// What is known of one output of a control-flow operator: found when the node was made, from the types of its bodies.
struct RegionResult {
  DType dtype = DType::kUndefined;
  Shape shape = Shape::unranked();
  Structure structure = {};
  bool operator==(const RegionResult&) const = default;
};

/// (cond: bool, one element) -> the outputs of the branch taken, of any structure.
struct If {
  int then_region = -1;
  int else_region = -1;
  std::vector<RegionResult> results;
  bool operator==(const If&) const = default;
};
Result<Types> infer(const If&, const Types& in);
Result<Step> bind(const If&, const BindContext&);

/// (max_trip_count: int64?, cond: bool?, carried...) -> (carried..., scan outputs...), opset 13 meaning: the body takes
/// (iteration, cond, carried...) and gives (cond, carried..., scan elements...); scan outputs stack the elements along a new axis 0.
/// Carried values are of any structure.
struct Loop {
  static constexpr bool takes_any_structure(int input) { return input >= 2; }
  int body = -1;
  int carried = 0;
  std::vector<RegionResult> results;  ///< carried, then scan outputs
  bool operator==(const Loop&) const = default;
};
Result<Types> infer(const Loop&, const Types& in);
Result<Step> bind(const Loop&, const BindContext&);

/// (state..., scan inputs...) -> (state..., scan outputs...), opset 9 meaning.
struct Scan {
  int body = -1;
  int states = 0;
  std::vector<int64_t> input_axes, input_directions;    ///< one a scan input; direction 1 is backwards
  std::vector<int64_t> output_axes, output_directions;  ///< one a scan output; axes count in the stacked rank
  std::vector<RegionResult> results;
  bool operator==(const Scan&) const = default;
};
Result<Types> infer(const Scan&, const Types& in);
Result<Step> bind(const Scan&, const BindContext&);

}  // namespace tenon::ops
