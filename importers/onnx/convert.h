// How one ONNX operator becomes nodes of the graph: a row per operator, and the context its converter sees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "graph/graph.h"
#include "ops/op.h"

namespace tenon::onnx {

/// One node of the file being converted. All attribute getters check the type that the file says, and remember that the attribute was
/// read: an attribute the converter never asks for, or of the wrong type, is a load error made by the caller.
class NodeContext {
 public:
  virtual ~NodeContext() = default;

  virtual int64_t opset() const = 0;  ///< version of this node's domain
  virtual int inputs() const = 0;
  virtual int outputs() const = 0;  ///< including trailing unwanted ones ("")
  virtual bool has_input(int i) const = 0;
  virtual bool has_output(int i) const = 0;
  virtual ValueId input(int i) const = 0;     ///< kNone when left out
  virtual const Type& type(int i) const = 0;  ///< of input i, Type::none() when left out

  virtual bool has_attribute(std::string_view name) = 0;
  virtual Result<int64_t> int_attribute(std::string_view name, std::optional<int64_t> otherwise = {}) = 0;
  virtual Result<float> float_attribute(std::string_view name, std::optional<float> otherwise = {}) = 0;
  virtual Result<std::string> string_attribute(std::string_view name, std::optional<std::string> otherwise = {}) = 0;
  virtual Result<std::vector<int64_t>> ints_attribute(std::string_view name, std::optional<std::vector<int64_t>> otherwise = {}) = 0;
  virtual Result<std::vector<float>> floats_attribute(std::string_view name, std::optional<std::vector<float>> otherwise = {}) = 0;
  virtual Result<std::vector<std::string>> strings_attribute(std::string_view name,
                                                             std::optional<std::vector<std::string>> otherwise = {}) = 0;
  virtual Result<Tensor> tensor_attribute(std::string_view name) = 0;
  /// Converts the subgraph into a region of the graph whose input types are `inputs` (declared types where shorter).
  virtual Result<RegionId> graph_attribute(std::string_view name, const Types& inputs = {}) = 0;

  // Building.
  virtual Result<std::vector<ValueId>> add(Op op, const std::vector<ValueId>& inputs, int outputs = 1) = 0;
  /// The common case: one output.
  Result<ValueId> add1(Op op, const std::vector<ValueId>& inputs) {
    TENON_ASSIGN(auto out, add(std::move(op), inputs, 1));
    return out[0];
  }
  virtual ValueId constant(Tensor tensor) = 0;
  ValueId ints(const std::vector<int64_t>& values) { return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values)); }
  /// Opens a region inside the current one and gives its inputs, of these types. Until end_region(), the functions above build in it, and
  /// bodies of graph_attribute() are inside it.
  virtual Result<std::vector<ValueId>> begin_region(std::string_view name, const Types& inputs) = 0;
  virtual Result<RegionId> end_region(const std::vector<ValueId>& outputs) = 0;
  /// Says which values the node's outputs are, in order.
  virtual Status set_outputs(const std::vector<ValueId>& values) = 0;
  /// set_outputs(add(op, all inputs of the node, as many outputs as the node has)).
  virtual Status become(Op op) = 0;
  virtual const Graph& graph() const = 0;
};

/// One ONNX operator. `since` is the first opset whose meaning the converter knows; a converter branches on opset() for the versions
/// in between (attributes that became inputs, changed defaults), so an operator is one row.
struct Operator {
  const char* domain;  ///< "" for ai.onnx
  const char* name;
  int64_t since;  ///< 1 unless the operator is younger
  int min_inputs;
  int max_inputs;  ///< INT32_MAX for variadic
  int max_outputs;
  Status (*convert)(NodeContext&);
  /// Inputs may be sequences and optionals. The converters of all others see tensors only.
  bool any_structure = false;
};

/// The families' tables, one per file in convert/. find() searches all of them.
const Operator* find(std::string_view domain, std::string_view name);
std::vector<const Operator*> all_operators();

std::span<const Operator> elementwise_operators();
std::span<const Operator> reduction_operators();
std::span<const Operator> normalization_operators();
std::span<const Operator> linear_operators();
std::span<const Operator> attention_operators();
std::span<const Operator> convolution_operators();
std::span<const Operator> recurrent_operators();
std::span<const Operator> quantization_operators();
std::span<const Operator> movement_operators();
std::span<const Operator> indexing_operators();
std::span<const Operator> shape_operators();
std::span<const Operator> vision_operators();
std::span<const Operator> tree_operators();
std::span<const Operator> control_operators();
std::span<const Operator> fused_operators();

}  // namespace tenon::onnx
