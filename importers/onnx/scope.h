// Names while a graph or a function body is converted.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "graph/graph.h"
#include "importers/onnx/attributes.h"
#include "importers/onnx/functions.h"
#include "importers/onnx/onnx.pb.h"

namespace tenon::onnx {

/// Versions of operator sets by domain.
using Opsets = std::unordered_map<std::string, int64_t>;

/// One call of a model-local function being expanded.
struct Call {
  const onnxpb::FunctionProto* function = nullptr;
  BoundAttributes attributes;
  Opsets opsets;
  int depth = 1;

  bool declares(std::string_view attribute) const {
    return std::any_of(function->attribute().begin(), function->attribute().end(), [&](const auto& a) { return a == attribute; }) ||
           std::any_of(function->attribute_proto().begin(), function->attribute_proto().end(),
                       [&](const auto& a) { return a.name() == attribute; });
  }
};

/// The values that nodes of one graph, subgraph or function body can read by name.
struct Scope {
  const Scope* parent = nullptr;  ///< of a subgraph; a function body sees only its own names
  const Call* call = nullptr;     ///< the function whose body this is, or is in
  RegionId region = 0;
  int subgraphs = 0;                                     ///< how many subgraphs deep
  std::string prefix;                                    ///< before names of values and nodes, in the body of a function
  std::unordered_map<std::string_view, ValueId> values;  ///< kNone for an optional input of a function that its caller left out
  std::unordered_map<std::string_view, const onnxpb::TypeProto*> declared;

  std::optional<ValueId> find(std::string_view name) const {
    for (const Scope* s = this; s; s = s->parent) {
      if (const auto found = s->values.find(name); found != s->values.end()) return found->second;
    }
    return std::nullopt;
  }
};

}  // namespace tenon::onnx
