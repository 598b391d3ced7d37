// The model without the contents of its tensors: what protobuf parses.
#pragma once

#include <string>

#include "base/status.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/source.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

/// Walks the whole source once and returns a ModelProto of onnx.proto in which each tensor's contents are Payload positions. Fields
/// that onnx.proto does not name are dropped. Checks the wire format, UTF-8 of every text, nesting and node count.
Result<std::string> read_skeleton(Source& source, const Limits& limits, Watch& watch);

}  // namespace tenon::onnx
