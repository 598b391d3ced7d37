// Converters of Softmax and its kin and of the normalisations.
#include "importers/onnx/convert.h"

namespace tenon::onnx {
namespace {

/// Below opset 13 all axes from `axis` (default 1) on are taken together.
template <ops::Softmax::Kind kind>
Status softmax(NodeContext& c) {
  ops::Softmax op{kind};
  op.flatten = c.opset() < 13;
  TENON_ASSIGN(op.axis, c.int_attribute("axis", op.flatten ? 1 : -1));
  return c.become(op);
}

/// stash_type: the dtype of the statistics, 1 (float32) or 16 (bfloat16). The arithmetic is float32 either way, float64 for float64.
Result<DType> stash_type(NodeContext& c) {
  TENON_ASSIGN(const int64_t stash, c.int_attribute("stash_type", 1));
  const auto dtype = static_cast<DType>(stash);
  if (stash != static_cast<int64_t>(DType::kFloat32) && stash != static_cast<int64_t>(DType::kBFloat16) &&
      stash != static_cast<int64_t>(DType::kFloat16) && stash != static_cast<int64_t>(DType::kFloat64)) {
    return load_error("attribute 'stash_type' is ", stash, ", expected 1 (float32) or 16 (bfloat16)");
  }
  return dtype;
}

Status layer_normalization(NodeContext& c) {
  ops::LayerNormalization op;
  TENON_ASSIGN(op.axis, c.int_attribute("axis", -1));
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  TENON_ASSIGN(op.stash, stash_type(c));
  return c.become(op);
}

Status rms_normalization(NodeContext& c) {
  ops::RMSNormalization op;
  TENON_ASSIGN(op.axis, c.int_attribute("axis", -1));
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  TENON_TRY(stash_type(c));
  return c.become(op);
}

Status group_normalization(NodeContext& c) {
  ops::GroupNormalization op;
  TENON_ASSIGN(op.num_groups, c.int_attribute("num_groups"));
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  if (op.num_groups <= 0) return shape_error("attribute 'num_groups' is ", op.num_groups, ", expected a positive number");
  if (c.opset() >= 21) TENON_TRY(stash_type(c));
  op.per_group = c.opset() < 21;
  return c.become(op);
}

Status instance_normalization(NodeContext& c) {
  ops::GroupNormalization op;
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  return c.become(op);
}

Status lp_normalization(NodeContext& c) {
  ops::LpNormalization op;
  TENON_ASSIGN(op.axis, c.int_attribute("axis", -1));
  TENON_ASSIGN(op.p, c.int_attribute("p", 2));
  return c.become(op);
}

/// (x - mean) / (sqrt(mean(x^2) - mean(x)^2) + 1e-9), as the specification's function body has it.
Status mean_variance_normalization(NodeContext& c) {
  using B = ops::Binary::Kind;
  TENON_ASSIGN(std::vector<int64_t> axes, c.ints_attribute("axes", std::vector<int64_t>{0, 2, 3}));
  Tensor epsilon;
  switch (c.type(0).dtype) {
    case DType::kFloat16: epsilon = Tensor::scalar(Float16(1e-9f)); break;
    case DType::kBFloat16: epsilon = Tensor::scalar(BFloat16(1e-9f)); break;
    case DType::kFloat64: epsilon = Tensor::scalar(1e-9); break;
    default: epsilon = Tensor::scalar(1e-9f);
  }
  const ValueId x = c.input(0), axes_value = c.ints(axes), epsilon_value = c.constant(std::move(epsilon));
  const ops::Reduce mean{ops::Reduce::Kind::kMean};
  TENON_ASSIGN(const ValueId mu, c.add1(mean, {x, axes_value}));
  TENON_ASSIGN(const ValueId centred, c.add1(ops::Binary{B::kSub}, {x, mu}));
  TENON_ASSIGN(const ValueId square, c.add1(ops::Binary{B::kMul}, {centred, centred}));
  TENON_ASSIGN(const ValueId variance, c.add1(mean, {square, axes_value}));
  TENON_ASSIGN(const ValueId deviation, c.add1(ops::Unary{ops::Unary::Kind::kSqrt}, {variance}));
  TENON_ASSIGN(const ValueId divisor, c.add1(ops::Binary{B::kAdd}, {deviation, epsilon_value}));
  TENON_ASSIGN(const ValueId y, c.add1(ops::Binary{B::kDiv}, {centred, divisor}));
  return c.set_outputs({y});
}

constexpr Operator kOperators[] = {
    {"", "GroupNormalization", 18, 3, 3, 1, group_normalization},
    {"", "Hardmax", 1, 1, 1, 1, softmax<ops::Softmax::Kind::kHardmax>},
    {"", "InstanceNormalization", 1, 3, 3, 1, instance_normalization},
    {"", "LayerNormalization", 17, 2, 3, 3, layer_normalization},
    {"", "LogSoftmax", 1, 1, 1, 1, softmax<ops::Softmax::Kind::kLogSoftmax>},
    {"", "LpNormalization", 1, 1, 1, 1, lp_normalization},
    {"", "MeanVarianceNormalization", 9, 1, 1, 1, mean_variance_normalization},
    {"", "RMSNormalization", 23, 2, 2, 1, rms_normalization},
    {"", "Softmax", 1, 1, 1, 1, softmax<ops::Softmax::Kind::kSoftmax>},
};

}  // namespace

std::span<const Operator> normalization_operators() { return kOperators; }

}  // namespace tenon::onnx
