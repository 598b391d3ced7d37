// From the parsed file to the graph.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "importers/onnx/convert.h"
#include "importers/onnx/functions.h"
#include "importers/onnx/load.h"
#include "importers/onnx/onnx.pb.h"
#include "importers/onnx/scope.h"
#include "importers/onnx/tensor_reader.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

class Builder {
 public:
  /// file_size: bytes of the model file, for limits that grow with it.
  Builder(const onnxpb::ModelProto& file, uint64_t file_size, TensorReader& tensors, const LoadOptions& options, Watch& watch,
          ImportedModel& model)
      : file_(file), file_size_(file_size), tensors_(tensors), options_(options), watch_(watch), model_(model) {}

  Status run();

  // For NodeContext.
  Graph& graph() { return model_.graph; }
  /// A tensor or sparse tensor attribute; each is read once, however often the function it is in is called.
  Result<Tensor> tensor(const BoundAttribute& attribute, std::string_view name);
  /// Converts a subgraph of a node in `scope` into a region inside `parent`.
  Result<RegionId> subgraph(const BoundAttribute& attribute, std::string_view name, const Scope& scope, RegionId parent,
                            const Types& inputs);
  /// Counts nodes made against the limit.
  Status count_node();
  /// Refuses a node of constants alone whose outputs are too large: a few bytes of file must not become gigabytes.
  Status check_constant_size(const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs);

 private:
  Status check_header();
  Status main_graph();
  Status extra_output(const std::string& name, const Scope& scope);
  Status graph_inputs(const onnxpb::GraphProto& graph, Scope& scope);
  Status initializers(const onnxpb::GraphProto& graph, Scope& scope);
  Status body(const google::protobuf::RepeatedPtrField<onnxpb::NodeProto>& nodes, Scope& scope);
  Status node(const onnxpb::NodeProto& node, int index, Scope& scope);
  Status operator_node(const onnxpb::NodeProto& node, const std::string& name, std::vector<ValueId> inputs, Attributes attributes,
                       std::string_view domain, int64_t opset, Scope& scope);
  /// The branch that an If takes when its condition is known: its nodes become nodes of the If's own scope. Null when it is not known.
  Result<const BoundAttribute*> known_branch(const std::vector<ValueId>& inputs, Attributes& attributes) const;
  Status inline_branch(const onnxpb::NodeProto& node, const BoundAttribute& branch, const std::string& name, Scope& scope);
  /// Binds an outer name to a value made in an inner scope that is being dissolved into it.
  void adopt(ValueId id, const Scope& inner, Scope& scope, const std::string& name);
  Status call(const onnxpb::NodeProto& node, const onnxpb::FunctionProto& function, const std::string& name,
              const std::vector<ValueId>& inputs, const Attributes& attributes, Scope& scope);
  Status check_declared_type(std::string_view name, ValueId value, const Scope& scope) const;
  Result<Opsets> opsets_of(const google::protobuf::RepeatedPtrField<onnxpb::OperatorSetIdProto>& imports) const;

  const onnxpb::ModelProto& file_;
  uint64_t file_size_;
  TensorReader& tensors_;
  const LoadOptions& options_;
  Watch& watch_;
  ImportedModel& model_;
  Functions functions_;
  Opsets opsets_;
  std::unordered_map<const void*, Tensor> attribute_tensors_;
  std::unordered_set<ValueId> from_constants_;  ///< computed from constants alone
  int64_t nodes_ = 0;
};

}  // namespace tenon::onnx
