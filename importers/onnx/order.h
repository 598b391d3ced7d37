// The order in which the nodes of a graph can be computed.
#pragma once

#include <vector>

#include <google/protobuf/repeated_field.h>

#include "base/status.h"
#include "importers/onnx/onnx.pb.h"

namespace tenon::onnx {

/// Indices of `nodes` such that each comes after the nodes whose outputs it, or a subgraph of it, reads. ONNX asks files to be sorted
/// so already; files that are not are sorted here, changing as little as possible. A cycle is a load error that names its nodes.
Result<std::vector<int>> computing_order(const google::protobuf::RepeatedPtrField<onnxpb::NodeProto>& nodes);

/// A node's name for messages and for the graph: its own, or operator and position.
std::string node_name(const onnxpb::NodeProto& node, int index);

}  // namespace tenon::onnx
