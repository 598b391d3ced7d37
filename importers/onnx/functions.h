// Model-local functions: looked up by (domain, name, overload), and checked for recursion, depth and size before any is expanded.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/onnx.pb.h"

namespace tenon::onnx {

/// "" for "ai.onnx", which is the same domain.
std::string_view normal_domain(std::string_view domain);

class Functions {
 public:
  static Result<Functions> of(const onnxpb::ModelProto& model, const Limits& limits);
  /// Null when the node does not call a function of the model.
  const onnxpb::FunctionProto* find(const onnxpb::NodeProto& node) const;

 private:
  int index(const onnxpb::NodeProto& node) const;
  std::unordered_map<std::string, int> by_name_;
  std::vector<const onnxpb::FunctionProto*> functions_;
};

}  // namespace tenon::onnx
