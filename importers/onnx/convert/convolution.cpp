// Converters of convolution, pooling, and what goes with them.
#include "importers/onnx/convert.h"

namespace tenon::onnx {
namespace {

Result<ops::AutoPad> auto_pad(NodeContext& c) {
  TENON_ASSIGN(const std::string name, c.string_attribute("auto_pad", "NOTSET"));
  if (name == "NOTSET" || name.empty()) return ops::AutoPad::kNotSet;
  if (name == "SAME_UPPER") return ops::AutoPad::kSameUpper;
  if (name == "SAME_LOWER") return ops::AutoPad::kSameLower;
  if (name == "VALID") return ops::AutoPad::kValid;
  return load_error("attribute 'auto_pad' is '", name, "', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID");
}

/// The attributes that every operator with a window has; dilations and ceil_mode where `dilated` and `ceil` say so.
Result<ops::Window> window(NodeContext& c, bool dilated, bool ceil) {
  ops::Window w;
  TENON_ASSIGN(w.auto_pad, auto_pad(c));
  const std::vector<int64_t> none;
  TENON_ASSIGN(w.kernel_shape, c.ints_attribute("kernel_shape", none));
  TENON_ASSIGN(w.strides, c.ints_attribute("strides", none));
  TENON_ASSIGN(w.pads, c.ints_attribute("pads", none));
  if (dilated) {
    TENON_ASSIGN(w.dilations, c.ints_attribute("dilations", none));
  }
  if (ceil) {
    TENON_ASSIGN(const int64_t mode, c.int_attribute("ceil_mode", 0));
    w.ceil_mode = mode != 0;
  }
  return w;
}

Status conv(NodeContext& c) {
  ops::Conv op;
  TENON_ASSIGN(op.window, window(c, true, false));
  TENON_ASSIGN(op.group, c.int_attribute("group", 1));
  return c.become(std::move(op));
}

Result<ops::QLinearConv> quantized_conv(NodeContext& c, DType to) {
  ops::QLinearConv op;
  op.to = to;
  TENON_ASSIGN(op.window, window(c, true, false));
  TENON_ASSIGN(op.group, c.int_attribute("group", 1));
  return op;
}

Status conv_integer(NodeContext& c) {
  TENON_ASSIGN(ops::QLinearConv op, quantized_conv(c, DType::kInt32));
  TENON_ASSIGN(const ValueId y, c.add1(std::move(op), {c.input(0), kNone, c.input(2), c.input(1), kNone, c.input(3)}));
  return c.set_outputs({y});
}

Status qlinear_conv(NodeContext& c) {
  TENON_ASSIGN(ops::QLinearConv op, quantized_conv(c, c.type(7).dtype));
  return c.become(std::move(op));
}

Status conv_transpose(NodeContext& c) {
  ops::ConvTranspose op;
  TENON_ASSIGN(op.window, window(c, true, false));
  TENON_ASSIGN(op.group, c.int_attribute("group", 1));
  TENON_ASSIGN(op.output_padding, c.ints_attribute("output_padding", std::vector<int64_t>{}));
  TENON_ASSIGN(op.output_shape, c.ints_attribute("output_shape", std::vector<int64_t>{}));
  // Some exporters give the whole shape.
  const Type& x = c.type(0);
  if (x.ranked() && x.rank() > 2 && static_cast<int>(op.output_shape.size()) == x.rank()) {
    op.output_shape.erase(op.output_shape.begin(), op.output_shape.begin() + 2);
  }
  return c.become(std::move(op));
}

Status max_pool(NodeContext& c) {
  ops::Pool op;
  op.kind = ops::Pool::Kind::kMax;
  TENON_ASSIGN(op.window, window(c, c.opset() >= 10, c.opset() >= 10));
  if (c.opset() >= 8) {
    TENON_ASSIGN(const int64_t order, c.int_attribute("storage_order", 0));
    if (order != 0 && order != 1) return load_error("attribute 'storage_order' is ", order, ", expected 0 or 1");
    op.column_major = order == 1;
  }
  return c.become(std::move(op));
}

Status average_pool(NodeContext& c) {
  ops::Pool op;
  op.kind = ops::Pool::Kind::kAverage;
  TENON_ASSIGN(op.window, window(c, c.opset() >= 19, c.opset() >= 10));
  TENON_ASSIGN(const int64_t include, c.int_attribute("count_include_pad", 0));
  op.count_include_pad = include != 0;
  return c.become(std::move(op));
}

Status lp_pool(NodeContext& c) {
  ops::Pool op;
  op.kind = ops::Pool::Kind::kLp;
  TENON_ASSIGN(op.window, window(c, c.opset() >= 18, c.opset() >= 18));
  TENON_ASSIGN(op.p, c.int_attribute("p", 2));
  return c.become(std::move(op));
}

template <ops::GlobalPool::Kind kind>
Status global_pool(NodeContext& c) {
  ops::GlobalPool op{kind};
  if (kind == ops::GlobalPool::Kind::kLp) {
    TENON_ASSIGN(op.p, c.int_attribute("p", 2));
  }
  return c.become(op);
}

Status lrn(NodeContext& c) {
  ops::Lrn op;
  TENON_ASSIGN(op.size, c.int_attribute("size"));
  TENON_ASSIGN(op.alpha, c.float_attribute("alpha", 1e-4f));
  TENON_ASSIGN(op.beta, c.float_attribute("beta", 0.75f));
  TENON_ASSIGN(op.bias, c.float_attribute("bias", 1.0f));
  return c.become(op);
}

Status batch_normalization(NodeContext& c) {
  ops::BatchNormalization op;
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  TENON_ASSIGN(op.momentum, c.float_attribute("momentum", 0.9f));
  if (c.opset() >= 14) {
    TENON_ASSIGN(const int64_t training, c.int_attribute("training_mode", 0));
    op.training = training != 0;
    if (!op.training && (c.has_output(1) || c.has_output(2))) {
      return load_error("has ", c.outputs(), " outputs, expected 1 (running statistics need training_mode = 1)");
    }
  } else {
    // Before opset 14, training is told by the further outputs: running mean, running var, saved mean, saved var.
    for (int i = 1; i < c.outputs(); ++i) op.training = op.training || c.has_output(i);
    if (c.opset() < 7) {
      TENON_TRY(c.int_attribute("is_test", 0));  // says what the outputs say
      if (c.opset() < 6) TENON_TRY(c.ints_attribute("consumed_inputs", std::vector<int64_t>{}));
    }
    if (c.opset() < 9) {
      TENON_ASSIGN(const int64_t spatial, c.int_attribute("spatial", 1));
      op.spatial = spatial != 0;
    }
  }
  return c.become(op);
}

constexpr auto kMaxGlobal = ops::GlobalPool::Kind::kMax;
constexpr auto kAverageGlobal = ops::GlobalPool::Kind::kAverage;
constexpr auto kLpGlobal = ops::GlobalPool::Kind::kLp;

constexpr Operator kOperators[] = {
    {"", "AveragePool", 1, 1, 1, 1, average_pool},
    {"", "BatchNormalization", 1, 5, 5, 5, batch_normalization},
    {"", "Conv", 1, 2, 3, 1, conv},
    {"", "ConvInteger", 10, 2, 4, 1, conv_integer},
    {"", "ConvTranspose", 1, 2, 3, 1, conv_transpose},
    {"", "GlobalAveragePool", 1, 1, 1, 1, global_pool<kAverageGlobal>},
    {"", "GlobalLpPool", 2, 1, 1, 1, global_pool<kLpGlobal>},
    {"", "GlobalMaxPool", 1, 1, 1, 1, global_pool<kMaxGlobal>},
    {"", "LRN", 1, 1, 1, 1, lrn},
    {"", "LpPool", 2, 1, 1, 1, lp_pool},
    {"", "MaxPool", 1, 1, 1, 2, max_pool},
    {"", "QLinearConv", 10, 8, 9, 1, qlinear_conv},
};

}  // namespace

std::span<const Operator> convolution_operators() { return kOperators; }

}  // namespace tenon::onnx
