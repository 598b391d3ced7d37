// Shape and Size: numbers that follow from the type of the input alone.
#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// ONNX's Shape: the dims [start, end) of the input, clamped as a slice is.
struct ShapeOf {
  int64_t start = 0;
  int64_t end = INT64_MAX;

  bool operator==(const ShapeOf&) const = default;
};

/// (data) -> (shape: int64[n]). Its contents are carried at load; see shape_arithmetic.h.
Result<Types> infer(const ShapeOf&, const Types& in);
Result<Step> bind(const ShapeOf&, const BindContext&);

/// The first and last-plus-one dim that `op` takes of `rank`.
struct DimRange {
  int64_t begin = 0, end = 0;
};
DimRange dims_taken(const ShapeOf& op, int rank);

/// The number of elements.
struct Size {
  bool operator==(const Size&) const = default;
};

/// (data) -> (size: int64 scalar).
Result<Types> infer(const Size&, const Types& in);
Result<Step> bind(const Size&, const BindContext&);

}  // namespace tenon::ops
