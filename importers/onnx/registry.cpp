#include <string>
#include <unordered_map>

#include "importers/onnx/convert.h"

namespace tenon::onnx {

std::vector<const Operator*> all_operators() {
  std::vector<const Operator*> all;
  for (const auto family : {elementwise_operators, reduction_operators, normalization_operators, linear_operators, attention_operators,
                            convolution_operators, recurrent_operators, quantization_operators, movement_operators, indexing_operators,
                            shape_operators, vision_operators, tree_operators, control_operators, fused_operators}) {
    for (const Operator& op : family()) all.push_back(&op);
  }
  return all;
}

const Operator* find(std::string_view domain, std::string_view name) {
  static const std::unordered_map<std::string, const Operator*> table = [] {
    std::unordered_map<std::string, const Operator*> t;
    for (const Operator* op : all_operators()) t.emplace(std::string(op->domain) + ':' + op->name, op);
    return t;
  }();
  const auto found = table.find(std::string(domain) + ':' + std::string(name));
  return found == table.end() ? nullptr : found->second;
}

}  // namespace tenon::onnx
