// Operators whose positions are data: GatherElements to TopK.
#include "importers/onnx/convert.h"

namespace tenon::onnx {

namespace {

Result<ops::Reduction> reduction_of(NodeContext& node) {
  TENON_ASSIGN(const std::string name, node.string_attribute("reduction", "none"));
  if (name == "none") return ops::Reduction::kNone;
  if (name == "add") return ops::Reduction::kAdd;
  if (name == "mul") return ops::Reduction::kMul;
  if (name == "max") return ops::Reduction::kMax;
  if (name == "min") return ops::Reduction::kMin;
  return load_error("attribute reduction is '", name, "', expected none, add, mul, max or min");
}

Status convert_gather_elements(NodeContext& node) {
  TENON_ASSIGN(const int64_t axis, node.int_attribute("axis", 0));
  return node.become(ops::GatherElements{axis});
}

Status convert_gather_nd(NodeContext& node) {
  TENON_ASSIGN(const int64_t batch_dims, node.int_attribute("batch_dims", 0));
  return node.become(ops::GatherND{batch_dims});
}

/// Scatter (opsets 9 and 10) is ScatterElements without a reduction.
Status convert_scatter_elements(NodeContext& node) {
  TENON_ASSIGN(const int64_t axis, node.int_attribute("axis", 0));
  TENON_ASSIGN(const ops::Reduction reduction, reduction_of(node));
  return node.become(ops::ScatterElements{axis, reduction});
}

Status convert_scatter_nd(NodeContext& node) {
  TENON_ASSIGN(const ops::Reduction reduction, reduction_of(node));
  return node.become(ops::ScatterND{reduction});
}

Status convert_one_hot(NodeContext& node) {
  TENON_ASSIGN(const int64_t axis, node.int_attribute("axis", -1));
  return node.become(ops::OneHot{axis});
}

Status convert_compress(NodeContext& node) {
  ops::Compress op;
  if (node.has_attribute("axis")) {
    TENON_ASSIGN(op.axis, node.int_attribute("axis"));
  }
  return node.become(op);
}

Status convert_non_zero(NodeContext& node) { return node.become(ops::NonZero{}); }

/// k is an attribute before opset 10; before opset 11 the largest are meant.
Status convert_top_k(NodeContext& node) {
  ops::TopK op;
  TENON_ASSIGN(op.axis, node.int_attribute("axis", -1));
  TENON_ASSIGN(const int64_t largest, node.int_attribute("largest", 1));
  TENON_TRY(node.int_attribute("sorted", 1));
  op.largest = largest != 0;
  if (node.opset() >= 10) return node.become(op);
  TENON_ASSIGN(const int64_t k, node.int_attribute("k"));
  TENON_ASSIGN(const auto out, node.add(op, {node.input(0), node.ints({k})}, 2));
  return node.set_outputs(out);
}

constexpr Operator kOperators[] = {
    {"", "GatherElements", 11, 2, 2, 1, convert_gather_elements},
    {"", "GatherND", 11, 2, 2, 1, convert_gather_nd},
    {"", "Scatter", 9, 3, 3, 1, convert_scatter_elements},
    {"", "ScatterElements", 11, 3, 3, 1, convert_scatter_elements},
    {"", "ScatterND", 11, 3, 3, 1, convert_scatter_nd},
    {"", "OneHot", 9, 3, 3, 1, convert_one_hot},
    {"", "Compress", 9, 2, 2, 1, convert_compress},
    {"", "NonZero", 9, 1, 1, 1, convert_non_zero},
    {"", "TopK", 1, 1, 2, 2, convert_top_k},
};

}  // namespace

std::span<const Operator> indexing_operators() { return kOperators; }

}  // namespace tenon::onnx
