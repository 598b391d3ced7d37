// What a converter sees of the node it converts.
#pragma once

#include <string>
#include <vector>

#include "importers/onnx/builder.h"
#include "importers/onnx/convert.h"

namespace tenon::onnx {

class FileNode final : public NodeContext {
 public:
  struct Spec {
    const onnxpb::NodeProto& proto;
    std::string name;
    std::string domain;
    int64_t opset = 0;
    std::vector<ValueId> inputs;
    Attributes attributes;
  };
  FileNode(Builder& builder, Scope& scope, Spec spec);

  int64_t opset() const override { return spec_.opset; }
  int inputs() const override { return static_cast<int>(spec_.inputs.size()); }
  int outputs() const override { return spec_.proto.output_size(); }
  bool has_input(int i) const override { return input(i) != kNone; }
  bool has_output(int i) const override { return i >= 0 && i < outputs() && !spec_.proto.output(i).empty(); }
  ValueId input(int i) const override { return i >= 0 && i < inputs() ? spec_.inputs[static_cast<size_t>(i)] : kNone; }
  const Type& type(int i) const override;

  bool has_attribute(std::string_view name) override { return spec_.attributes.has(name); }
  Result<int64_t> int_attribute(std::string_view name, std::optional<int64_t> otherwise) override;
  Result<float> float_attribute(std::string_view name, std::optional<float> otherwise) override;
  Result<std::string> string_attribute(std::string_view name, std::optional<std::string> otherwise) override;
  Result<std::vector<int64_t>> ints_attribute(std::string_view name, std::optional<std::vector<int64_t>> otherwise) override;
  Result<std::vector<float>> floats_attribute(std::string_view name, std::optional<std::vector<float>> otherwise) override;
  Result<std::vector<std::string>> strings_attribute(std::string_view name, std::optional<std::vector<std::string>> otherwise) override;
  Result<Tensor> tensor_attribute(std::string_view name) override;
  Result<RegionId> graph_attribute(std::string_view name, const Types& inputs) override;

  Result<std::vector<ValueId>> add(Op op, const std::vector<ValueId>& inputs, int outputs) override;
  ValueId constant(Tensor tensor) override;
  Result<std::vector<ValueId>> begin_region(std::string_view name, const Types& inputs) override;
  Result<RegionId> end_region(const std::vector<ValueId>& outputs) override;
  Status set_outputs(const std::vector<ValueId>& values) override;
  Status become(Op op) override;
  const Graph& graph() const override { return builder_.graph(); }

  /// Becomes an operator of the application, with all its attributes.
  Status become_custom(std::shared_ptr<const CustomOp> op);

  /// After the converter: every wanted output set, every attribute read.
  Status finish() const;

 private:
  template <class T, class Take>
  Result<T> attribute(std::string_view name, AttributeType type, std::optional<T> otherwise, Take take);
  Result<std::vector<ValueId>> add_named(Op op, const std::vector<ValueId>& inputs, std::vector<std::string> names);

  Builder& builder_;
  Scope& scope_;
  Spec spec_;
  RegionId region_;  ///< that is being built in
  Types types_;      ///< of the inputs; copies, since references into the graph do not outlive add()
  ValueId first_value_;
  bool outputs_set_ = false;
};

}  // namespace tenon::onnx
