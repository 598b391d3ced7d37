// Operators that move elements about: ONNX's versions of them brought to one meaning each.
#include "base/small_float.h"
#include "importers/onnx/convert.h"

namespace tenon::onnx {

namespace {

/// The inputs [0, n) of the node, left-out ones included.
std::vector<ValueId> first_inputs(const NodeContext& ctx, int n) {
  std::vector<ValueId> in;
  for (int i = 0; i < n; ++i) in.push_back(i < ctx.inputs() ? ctx.input(i) : kNone);
  return in;
}

Status finish(NodeContext& ctx, Op op, const std::vector<ValueId>& inputs) {
  TENON_ASSIGN(const ValueId y, ctx.add1(std::move(op), inputs));
  return ctx.set_outputs({y});
}

Status reshape(NodeContext& ctx) {
  if (ctx.opset() < 5) {
    TENON_ASSIGN(auto shape, ctx.ints_attribute("shape"));
    return finish(ctx, ops::Reshape{}, {ctx.input(0), ctx.ints(shape)});
  }
  ops::Reshape op;
  if (ctx.opset() >= 14) {
    TENON_ASSIGN(op.allow_zero, ctx.int_attribute("allowzero", 0));
  }
  return ctx.become(op);
}

Status flatten(NodeContext& ctx) {
  ops::Flatten op;
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", 1));
  return ctx.become(op);
}

Status squeeze(NodeContext& ctx) {
  if (ctx.opset() >= 13 || !ctx.has_attribute("axes")) return ctx.become(ops::Squeeze{});
  TENON_ASSIGN(auto axes, ctx.ints_attribute("axes"));
  return finish(ctx, ops::Squeeze{}, {ctx.input(0), ctx.ints(axes)});
}

Status unsqueeze(NodeContext& ctx) {
  if (ctx.opset() >= 13) return ctx.become(ops::Unsqueeze{});
  TENON_ASSIGN(auto axes, ctx.ints_attribute("axes"));
  return finish(ctx, ops::Unsqueeze{}, {ctx.input(0), ctx.ints(axes)});
}

Status transpose(NodeContext& ctx) {
  ops::Transpose op;
  TENON_ASSIGN(op.perm, ctx.ints_attribute("perm", std::vector<int64_t>()));
  return ctx.become(op);
}

Status slice(NodeContext& ctx) {
  if (ctx.opset() >= 10) return ctx.become(ops::Slice{});
  TENON_ASSIGN(auto starts, ctx.ints_attribute("starts"));
  TENON_ASSIGN(auto ends, ctx.ints_attribute("ends"));
  std::vector<ValueId> in = {ctx.input(0), ctx.ints(starts), ctx.ints(ends)};
  if (ctx.has_attribute("axes")) {
    TENON_ASSIGN(auto axes, ctx.ints_attribute("axes"));
    in.push_back(ctx.ints(axes));
  }
  return finish(ctx, ops::Slice{}, in);
}

Status concat(NodeContext& ctx) {
  ops::Concat op;
  // Opset 1 had a default.
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", ctx.opset() < 4 ? std::optional<int64_t>(1) : std::nullopt));
  return ctx.become(op);
}

Status split(NodeContext& ctx) {
  ops::Split op;
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", 0));
  op.outputs = ctx.outputs();
  op.uneven = ctx.opset() >= 18;
  if (ctx.opset() >= 18 && ctx.has_attribute("num_outputs")) {
    TENON_ASSIGN(const int64_t n, ctx.int_attribute("num_outputs"));
    if (n != op.outputs) return shape_error("num_outputs is ", n, ", but the node has ", op.outputs, " outputs");
    if (ctx.has_input(1)) return shape_error("num_outputs and input 1 'split' are both given, expected one of them");
  }
  std::vector<ValueId> in = first_inputs(ctx, 2);
  if (ctx.opset() < 13 && ctx.has_attribute("split")) {
    TENON_ASSIGN(auto sizes, ctx.ints_attribute("split"));
    in[1] = ctx.ints(sizes);
  }
  TENON_ASSIGN(const auto out, ctx.add(op, in, ctx.outputs()));
  return ctx.set_outputs(out);
}

Status expand(NodeContext& ctx) { return ctx.become(ops::Expand{}); }

Status tile(NodeContext& ctx) {
  if (ctx.opset() < 6) return load_error("opset ", ctx.opset(), " of Tile is not supported, expected 6 or later");
  return ctx.become(ops::Tile{});
}

/// A scalar of a float type.
Result<Tensor> float_scalar(DType dtype, float value) {
  Tensor t;
  dispatch<float, double, Float16, BFloat16>(dtype, [&](auto one) { t = Tensor::scalar(decltype(one)(value)); });
  if (t.empty_handle()) return load_error("input 0 is ", name_of(dtype), ", expected a float type");
  return t;
}

Status pad(NodeContext& ctx) {
  ops::Pad op;
  TENON_ASSIGN(const std::string mode, ctx.string_attribute("mode", "constant"));
  if (mode == "reflect") {
    op.mode = ops::Pad::Mode::kReflect;
  } else if (mode == "edge") {
    op.mode = ops::Pad::Mode::kEdge;
  } else if (mode == "wrap" && ctx.opset() >= 19) {
    op.mode = ops::Pad::Mode::kWrap;
  } else if (mode != "constant") {
    return load_error("mode is '", mode, "', expected constant, reflect, edge", ctx.opset() >= 19 ? " or wrap" : "");
  }
  if (ctx.opset() >= 11) return ctx.become(op);
  TENON_ASSIGN(auto pads, ctx.ints_attribute(ctx.opset() >= 2 ? "pads" : "paddings"));
  TENON_ASSIGN(const float value, ctx.float_attribute("value", 0.0f));
  std::vector<ValueId> in = {ctx.input(0), ctx.ints(pads)};
  if (op.mode == ops::Pad::Mode::kConstant && value != 0) {
    TENON_ASSIGN(Tensor scalar, float_scalar(ctx.type(0).dtype, value));
    in.push_back(ctx.constant(std::move(scalar)));
  }
  return finish(ctx, op, in);
}

Status gather(NodeContext& ctx) {
  ops::Gather op;
  TENON_ASSIGN(op.axis, ctx.int_attribute("axis", 0));
  return ctx.become(op);
}

Result<ops::BlockOrder> block_order(NodeContext& ctx, int64_t since) {
  if (ctx.opset() < since) return ops::BlockOrder::kDcr;
  TENON_ASSIGN(const std::string mode, ctx.string_attribute("mode", "DCR"));
  if (mode == "DCR") return ops::BlockOrder::kDcr;
  if (mode == "CRD") return ops::BlockOrder::kCrd;
  return load_error("mode is '", mode, "', expected DCR or CRD");
}

Status depth_to_space(NodeContext& ctx) {
  ops::DepthToSpace op;
  TENON_ASSIGN(op.block_size, ctx.int_attribute("blocksize"));
  TENON_ASSIGN(op.mode, block_order(ctx, 11));
  return ctx.become(op);
}

Status space_to_depth(NodeContext& ctx) {
  ops::SpaceToDepth op;
  TENON_ASSIGN(op.block_size, ctx.int_attribute("blocksize"));
  TENON_ASSIGN(op.mode, block_order(ctx, 28));
  return ctx.become(op);
}

Status reverse_sequence(NodeContext& ctx) {
  ops::ReverseSequence op;
  TENON_ASSIGN(op.batch_axis, ctx.int_attribute("batch_axis", 1));
  TENON_ASSIGN(op.time_axis, ctx.int_attribute("time_axis", 0));
  return ctx.become(op);
}

Status trilu(NodeContext& ctx) {
  TENON_ASSIGN(const int64_t upper, ctx.int_attribute("upper", 1));
  return ctx.become(ops::Trilu{.upper = upper != 0});
}

constexpr Operator kOperators[] = {
    {"", "Reshape", 1, 1, 2, 1, reshape},
    {"", "Flatten", 1, 1, 1, 1, flatten},
    {"", "Squeeze", 1, 1, 2, 1, squeeze},
    {"", "Unsqueeze", 1, 1, 2, 1, unsqueeze},
    {"", "Transpose", 1, 1, 1, 1, transpose},
    {"", "Slice", 1, 1, 5, 1, slice},
    {"", "Concat", 1, 1, INT32_MAX, 1, concat},
    {"", "Split", 1, 1, 2, INT32_MAX, split},
    {"", "Expand", 8, 2, 2, 1, expand},
    {"", "Tile", 1, 2, 3, 1, tile},
    {"", "Pad", 1, 1, 4, 1, pad},
    {"", "Gather", 1, 2, 2, 1, gather},
    {"", "DepthToSpace", 1, 1, 1, 1, depth_to_space},
    {"", "SpaceToDepth", 1, 1, 1, 1, space_to_depth},
    {"", "ReverseSequence", 10, 2, 2, 1, reverse_sequence},
    {"", "Trilu", 14, 1, 2, 1, trilu},
};

}  // namespace

std::span<const Operator> movement_operators() { return kOperators; }

}  // namespace tenon::onnx
