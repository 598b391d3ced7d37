// What the converters of control-flow operators share.
#pragma once

#include "importers/onnx/convert.h"

namespace tenon::onnx {

/// What two branches, or two turns of a loop, agree on.
Shape merged(const Shape& a, const Shape& b);

/// The input type of a loop body for a carried value: dims may change from turn to turn, so only dtype and rank are taken for granted, and
/// those only while the body agrees. A sequence may grow by items of another rank.
Type loosened(const Type& t);

Type output_type(const NodeContext& ctx, RegionId region, size_t i);

Status convert_scan(NodeContext& ctx);

}  // namespace tenon::onnx
