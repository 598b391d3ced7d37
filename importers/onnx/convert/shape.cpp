// Operators that make tensors from shapes and numbers, and constants.
#include "importers/onnx/convert.h"

namespace tenon::onnx {

namespace {

Status shape(NodeContext& ctx) {
  ops::ShapeOf op;
  if (ctx.opset() >= 15) {
    TENON_ASSIGN(op.start, ctx.int_attribute("start", 0));
    TENON_ASSIGN(op.end, ctx.int_attribute("end", INT64_MAX));
  }
  return ctx.become(op);
}

Status size(NodeContext& ctx) { return ctx.become(ops::Size{}); }

/// The value of a Constant node, in whichever of the eight attributes it is.
Result<Tensor> constant_value(NodeContext& ctx) {
  constexpr std::string_view kNames[] = {"value",     "sparse_value", "value_float",  "value_floats",
                                         "value_int", "value_ints",   "value_string", "value_strings"};
  std::string_view found;
  for (const std::string_view name : kNames) {
    if (!ctx.has_attribute(name)) continue;
    if (!found.empty()) return load_error("attributes ", found, " and ", name, " are both given, expected one value");
    found = name;
  }
  if (found == "value" || found == "sparse_value") return ctx.tensor_attribute(found);
  if (found == "value_float") {
    TENON_ASSIGN(const float value, ctx.float_attribute(found));
    return Tensor::scalar(value);
  }
  if (found == "value_floats") {
    TENON_ASSIGN(const auto values, ctx.floats_attribute(found));
    return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  }
  if (found == "value_int") {
    TENON_ASSIGN(const int64_t value, ctx.int_attribute(found));
    return Tensor::scalar(value);
  }
  if (found == "value_ints") {
    TENON_ASSIGN(const auto values, ctx.ints_attribute(found));
    return Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
  }
  if (found == "value_string") {
    TENON_ASSIGN(const std::string value, ctx.string_attribute(found));
    return Tensor::strings({}, std::span(&value, 1));
  }
  if (found == "value_strings") {
    TENON_ASSIGN(const auto values, ctx.strings_attribute(found));
    return Tensor::strings({static_cast<int64_t>(values.size())}, values);
  }
  return load_error("has no value attribute, expected one of value, sparse_value, value_float(s), value_int(s), value_string(s)");
}

Status constant(NodeContext& ctx) {
  TENON_ASSIGN(Tensor value, constant_value(ctx));
  if (value.empty_handle()) return error(Code::kNoMem, "no memory for the value");
  return ctx.set_outputs({ctx.constant(std::move(value))});
}

/// ConstantOfShape(shape) is Expand(scalar, shape).
Status constant_of_shape(NodeContext& ctx) {
  Tensor value = Tensor::scalar(0.0f);
  if (ctx.has_attribute("value")) {
    TENON_ASSIGN(value, ctx.tensor_attribute("value"));
    if (value.count() != 1) return load_error("value has shape ", str(value.dims()), ", expected one element");
    value = value.reshaped({});
  }
  const ValueId scalar = ctx.constant(std::move(value));
  TENON_ASSIGN(const ValueId y, ctx.add1(ops::Expand{}, {scalar, ctx.input(0)}));
  return ctx.set_outputs({y});
}

Status range(NodeContext& ctx) {
  if (ctx.opset() >= 27) {
    // Small floats are always computed wider here, so only the value is checked.
    TENON_ASSIGN(const int64_t stash, ctx.int_attribute("stash_type", 1));
    if (stash < 0 || stash > INT32_MAX || !is_valid(static_cast<int32_t>(stash)))
      return load_error("stash_type is ", stash, ", expected a dtype");
  }
  return ctx.become(ops::Range{});
}

Status eye_like(NodeContext& ctx) {
  ops::EyeLike op;
  if (ctx.has_attribute("dtype")) {
    TENON_ASSIGN(const int64_t dtype, ctx.int_attribute("dtype"));
    if (dtype < 0 || dtype > INT32_MAX || !is_valid(static_cast<int32_t>(dtype)))
      return load_error("dtype is ", dtype, ", expected an element type");
    op.dtype = static_cast<DType>(dtype);
  }
  TENON_ASSIGN(op.k, ctx.int_attribute("k", 0));
  return ctx.become(op);
}

// clang-format off
constexpr Operator kOperators[] = {
    {"", "Shape", 1, 1, 1, 1, shape},
    {"", "Size", 1, 1, 1, 1, size},
    {"", "Constant", 1, 0, 0, 1, constant},
    {"", "ConstantOfShape", 9, 1, 1, 1, constant_of_shape},
    {"", "Range", 11, 3, 3, 1, range},
    {"", "EyeLike", 9, 1, 1, 1, eye_like},
};
// clang-format on

}  // namespace

std::span<const Operator> shape_operators() { return kOperators; }

}  // namespace tenon::onnx
