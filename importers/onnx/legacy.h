// Nodes of models older than opset 7, brought to opset 7 meaning before their converter sees them.
#pragma once

#include <vector>

#include "base/status.h"
#include "importers/onnx/attributes.h"
#include "importers/onnx/onnx.pb.h"
#include "importers/onnx/scope.h"

namespace tenon::onnx {

inline constexpr int64_t kOldestOpset = 7;

/// Handles what opset 7 changed: `broadcast` and `axis` of the binary operators became numpy's broadcasting (the second input gets dims of
/// 1 at its end here), PRelu's slope along the channels likewise; `is_test` and `consumed_inputs` went.
Status adapt_legacy(const onnxpb::NodeProto& node, Graph& graph, RegionId region, std::vector<ValueId>& inputs, Attributes& attributes);

}  // namespace tenon::onnx
