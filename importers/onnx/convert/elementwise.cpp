// Converters of the elementwise operators.
#include <cmath>
#include <limits>

#include "importers/onnx/convert.h"

namespace tenon::onnx {
namespace {

using U = ops::Unary::Kind;
using B = ops::Binary::Kind;

template <U kind>
Status unary(NodeContext& c) {
  return c.become(ops::Unary{kind});
}

template <B kind>
Status binary(NodeContext& c) {
  return c.become(ops::Binary{kind});
}

/// Kinds whose alpha is an attribute of that name with default Numerator / 1e6.
template <U kind, int millionths>
Status with_alpha(NodeContext& c) {
  TENON_ASSIGN(const float alpha, c.float_attribute("alpha", static_cast<float>(millionths * 1e-6)));
  return c.become(ops::Unary{kind, alpha});
}

Status hard_sigmoid(NodeContext& c) {
  TENON_ASSIGN(const float alpha, c.float_attribute("alpha", 0.2f));
  TENON_ASSIGN(const float beta, c.float_attribute("beta", 0.5f));
  return c.become(ops::Unary{U::kHardSigmoid, alpha, beta});
}

Status selu(NodeContext& c) {
  TENON_ASSIGN(const float alpha, c.float_attribute("alpha", 1.67326319217681884765625f));
  TENON_ASSIGN(const float gamma, c.float_attribute("gamma", 1.05070102214813232421875f));
  return c.become(ops::Unary{U::kSelu, alpha, gamma});
}

Status shrink(NodeContext& c) {
  TENON_ASSIGN(const float lambd, c.float_attribute("lambd", 0.5f));
  TENON_ASSIGN(const float bias, c.float_attribute("bias", 0.0f));
  return c.become(ops::Unary{U::kShrink, lambd, bias});
}

Status is_inf(NodeContext& c) {
  TENON_ASSIGN(const int64_t negative, c.int_attribute("detect_negative", 1));
  TENON_ASSIGN(const int64_t positive, c.int_attribute("detect_positive", 1));
  return c.become(ops::Unary{U::kIsInf, negative ? 1.0f : 0.0f, positive ? 1.0f : 0.0f});
}

Status gelu(NodeContext& c) {
  TENON_ASSIGN(const std::string approximate, c.string_attribute("approximate", "none"));
  if (approximate == std::string_view("none")) return c.become(ops::Unary{U::kGelu});
  if (approximate == std::string_view("tanh")) return c.become(ops::Unary{U::kGeluTanh});
  return load_error("attribute 'approximate' is '", approximate, "', expected 'none' or 'tanh'");
}

Status mod(NodeContext& c) {
  TENON_ASSIGN(const int64_t fmod, c.int_attribute("fmod", 0));
  return c.become(ops::Binary{fmod ? B::kFmod : B::kMod});
}

Status bit_shift(NodeContext& c) {
  TENON_ASSIGN(const std::string direction, c.string_attribute("direction"));
  if (direction != "LEFT" && direction != "RIGHT") {
    return load_error("attribute 'direction' is '", direction, "', expected 'LEFT' or 'RIGHT'");
  }
  return c.become(ops::Binary{direction == "LEFT" ? B::kShiftLeft : B::kShiftRight});
}

/// Max, Min and Sum of any number of inputs as a chain of pairs.
Result<ValueId> chain(NodeContext& c, B kind) {
  ValueId sum = c.input(0);
  for (int i = 1; i < c.inputs(); ++i) {
    TENON_ASSIGN(sum, c.add1(ops::Binary{kind}, {sum, c.input(i)}));
  }
  if (c.inputs() == 1) return c.add1(ops::Identity{}, {sum});
  return sum;
}

template <B kind>
Status variadic(NodeContext& c) {
  TENON_ASSIGN(const ValueId value, chain(c, kind));
  return c.set_outputs({value});
}

Result<Tensor> float_scalar(DType dtype, double value) {
  switch (dtype) {
    case DType::kFloat16: return Tensor::scalar(Float16(static_cast<float>(value)));
    case DType::kBFloat16: return Tensor::scalar(BFloat16(static_cast<float>(value)));
    case DType::kFloat32: return Tensor::scalar(static_cast<float>(value));
    case DType::kFloat64: return Tensor::scalar(value);
    default: return shape_error("input 0 has dtype ", name_of(dtype), ", expected a float type");
  }
}

Status mean(NodeContext& c) {
  TENON_ASSIGN(Tensor count, float_scalar(c.type(0).dtype, c.inputs()));
  TENON_ASSIGN(ValueId value, chain(c, B::kAdd));
  TENON_ASSIGN(value, c.add1(ops::Binary{B::kDiv}, {value, c.constant(std::move(count))}));
  return c.set_outputs({value});
}

Status identity(NodeContext& c) { return c.become(ops::Identity{}); }
Status where(NodeContext& c) { return c.become(ops::Where{}); }

Result<DType> cast_target(int64_t to) {
  if (to < 0 || to > std::numeric_limits<int32_t>::max() || !is_valid(static_cast<int32_t>(to))) {
    return load_error("attribute 'to' is ", to, ", which is no data type of this engine");
  }
  return static_cast<DType>(to);
}

Status cast_to(NodeContext& c, DType to) {
  TENON_ASSIGN(const int64_t saturate, c.int_attribute("saturate", 1));
  TENON_ASSIGN(const std::string mode, c.string_attribute("round_mode", "up"));
  ops::Cast op{to, saturate != 0};
  if (mode == "up") op.round = Float8E8M0::Round::kUp;
  else if (mode == "down") op.round = Float8E8M0::Round::kDown;
  else if (mode == "nearest") op.round = Float8E8M0::Round::kNearest;
  else return load_error("attribute 'round_mode' is '", mode, "', expected 'up', 'down' or 'nearest'");
  TENON_ASSIGN(const ValueId value, c.add1(op, {c.input(0)}));
  return c.set_outputs({value});
}

Status cast(NodeContext& c) {
  TENON_ASSIGN(const int64_t to, c.int_attribute("to"));
  TENON_ASSIGN(const DType dtype, cast_target(to));
  return cast_to(c, dtype);
}

Status cast_like(NodeContext& c) { return cast_to(c, c.type(1).dtype); }

/// Opsets below 11 have the bounds as attributes.
Status clip(NodeContext& c) {
  if (c.opset() >= 11) return c.become(ops::Clip{});
  TENON_ASSIGN(const float low, c.float_attribute("min", std::numeric_limits<float>::lowest()));
  TENON_ASSIGN(const float high, c.float_attribute("max", std::numeric_limits<float>::max()));
  TENON_ASSIGN(Tensor low_tensor, float_scalar(c.type(0).dtype, low));
  TENON_ASSIGN(Tensor high_tensor, float_scalar(c.type(0).dtype, high));
  TENON_ASSIGN(const ValueId y, c.add1(ops::Clip{}, {c.input(0), c.constant(std::move(low_tensor)), c.constant(std::move(high_tensor))}));
  return c.set_outputs({y});
}

/// Opset 12 made ratio and training_mode inputs; before, inference was the only mode. Opsets below 10 give the mask x's dtype.
Status dropout(NodeContext& c) {
  ops::Dropout op;
  std::vector<ValueId> inputs{c.input(0)};
  if (c.opset() >= 12) {
    TENON_ASSIGN(op.seed, c.int_attribute("seed", 0));
    const Tensor* training = c.type(2).constant;
    const bool known_off =
        !c.has_input(2) || (training && training->dtype() == DType::kBool && training->count() == 1 && !*training->as<bool>());
    if (!known_off) inputs = {c.input(0), c.input(1), c.input(2)};
  } else {
    TENON_TRY(c.float_attribute("ratio", 0.5f));
  }
  const bool mask = c.outputs() > 1 && c.has_output(1);
  if (!mask && inputs.size() == 1) {
    TENON_ASSIGN(const ValueId y, c.add1(ops::Identity{}, inputs));
    return c.outputs() > 1 ? c.set_outputs({y, kNone}) : c.set_outputs({y});
  }
  TENON_ASSIGN(std::vector<ValueId> out, c.add(op, inputs, mask ? 2 : 1));
  if (mask && c.opset() < 10) {
    TENON_ASSIGN(out[1], c.add1(ops::Cast{c.type(0).dtype}, {out[1]}));
  }
  if (c.outputs() > 1 && !mask) out.push_back(kNone);
  return c.set_outputs(out);
}

constexpr int kAny = std::numeric_limits<int32_t>::max();

constexpr Operator kOperators[] = {
    {"", "Abs", 1, 1, 1, 1, unary<U::kAbs>},
    {"", "Acos", 7, 1, 1, 1, unary<U::kAcos>},
    {"", "Acosh", 9, 1, 1, 1, unary<U::kAcosh>},
    {"", "Add", 1, 2, 2, 1, binary<B::kAdd>},
    {"", "And", 1, 2, 2, 1, binary<B::kAnd>},
    {"", "Asin", 7, 1, 1, 1, unary<U::kAsin>},
    {"", "Asinh", 9, 1, 1, 1, unary<U::kAsinh>},
    {"", "Atan", 7, 1, 1, 1, unary<U::kAtan>},
    {"", "Atanh", 9, 1, 1, 1, unary<U::kAtanh>},
    {"", "BitShift", 11, 2, 2, 1, bit_shift},
    {"", "BitwiseAnd", 18, 2, 2, 1, binary<B::kBitwiseAnd>},
    {"", "BitwiseNot", 18, 1, 1, 1, unary<U::kBitwiseNot>},
    {"", "BitwiseOr", 18, 2, 2, 1, binary<B::kBitwiseOr>},
    {"", "BitwiseXor", 18, 2, 2, 1, binary<B::kBitwiseXor>},
    {"", "Cast", 1, 1, 1, 1, cast},
    {"", "CastLike", 15, 2, 2, 1, cast_like},
    {"", "Ceil", 1, 1, 1, 1, unary<U::kCeil>},
    {"", "Celu", 12, 1, 1, 1, with_alpha<U::kCelu, 1000000>},
    {"", "Clip", 1, 1, 3, 1, clip},
    {"", "Cos", 7, 1, 1, 1, unary<U::kCos>},
    {"", "Cosh", 9, 1, 1, 1, unary<U::kCosh>},
    {"", "Div", 1, 2, 2, 1, binary<B::kDiv>},
    {"", "Dropout", 1, 1, 3, 2, dropout},
    {"", "Elu", 1, 1, 1, 1, with_alpha<U::kElu, 1000000>},
    {"", "Equal", 1, 2, 2, 1, binary<B::kEqual>},
    {"", "Erf", 9, 1, 1, 1, unary<U::kErf>},
    {"", "Exp", 1, 1, 1, 1, unary<U::kExp>},
    {"", "Floor", 1, 1, 1, 1, unary<U::kFloor>},
    {"", "Gelu", 20, 1, 1, 1, gelu},
    {"", "Greater", 1, 2, 2, 1, binary<B::kGreater>},
    {"", "GreaterOrEqual", 12, 2, 2, 1, binary<B::kGreaterOrEqual>},
    {"", "HardSigmoid", 1, 1, 1, 1, hard_sigmoid},
    {"", "HardSwish", 14, 1, 1, 1, unary<U::kHardSwish>},
    {"", "Identity", 1, 1, 1, 1, identity, true},
    {"", "IsInf", 10, 1, 1, 1, is_inf},
    {"", "IsNaN", 9, 1, 1, 1, unary<U::kIsNaN>},
    {"", "LeakyRelu", 1, 1, 1, 1, with_alpha<U::kLeakyRelu, 10000>},
    {"", "Less", 1, 2, 2, 1, binary<B::kLess>},
    {"", "LessOrEqual", 12, 2, 2, 1, binary<B::kLessOrEqual>},
    {"", "Log", 1, 1, 1, 1, unary<U::kLog>},
    {"", "Max", 1, 1, kAny, 1, variadic<B::kMax>},
    {"", "Mean", 1, 1, kAny, 1, mean},
    {"", "Min", 1, 1, kAny, 1, variadic<B::kMin>},
    {"", "Mish", 18, 1, 1, 1, unary<U::kMish>},
    {"", "Mod", 10, 2, 2, 1, mod},
    {"", "Mul", 1, 2, 2, 1, binary<B::kMul>},
    {"", "Neg", 1, 1, 1, 1, unary<U::kNeg>},
    {"", "Not", 1, 1, 1, 1, unary<U::kNot>},
    {"", "Or", 1, 2, 2, 1, binary<B::kOr>},
    {"", "PRelu", 1, 2, 2, 1, binary<B::kPRelu>},
    {"", "Pow", 1, 2, 2, 1, binary<B::kPow>},
    {"", "Reciprocal", 1, 1, 1, 1, unary<U::kReciprocal>},
    {"", "Relu", 1, 1, 1, 1, unary<U::kRelu>},
    {"", "Round", 11, 1, 1, 1, unary<U::kRound>},
    {"", "Selu", 1, 1, 1, 1, selu},
    {"", "Shrink", 9, 1, 1, 1, shrink},
    {"", "Sigmoid", 1, 1, 1, 1, unary<U::kSigmoid>},
    {"", "Sign", 9, 1, 1, 1, unary<U::kSign>},
    {"", "Sin", 7, 1, 1, 1, unary<U::kSin>},
    {"", "Sinh", 9, 1, 1, 1, unary<U::kSinh>},
    {"", "Softplus", 1, 1, 1, 1, unary<U::kSoftplus>},
    {"", "Softsign", 1, 1, 1, 1, unary<U::kSoftsign>},
    {"", "Sqrt", 1, 1, 1, 1, unary<U::kSqrt>},
    {"", "Sub", 1, 2, 2, 1, binary<B::kSub>},
    {"", "Sum", 1, 1, kAny, 1, variadic<B::kAdd>},
    {"", "Swish", 24, 1, 1, 1, with_alpha<U::kSwish, 1000000>},
    {"", "Tan", 7, 1, 1, 1, unary<U::kTan>},
    {"", "Tanh", 1, 1, 1, 1, unary<U::kTanh>},
    {"", "ThresholdedRelu", 10, 1, 1, 1, with_alpha<U::kThresholdedRelu, 1000000>},
    {"", "Where", 9, 3, 3, 1, where},
    {"", "Xor", 1, 2, 2, 1, binary<B::kXor>},
};

}  // namespace

std::span<const Operator> elementwise_operators() { return kOperators; }

}  // namespace tenon::onnx
