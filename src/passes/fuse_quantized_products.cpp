#include <cmath>
#include <limits>

#include "ops/qlinear_add.h"
#include "ops/qlinear_conv.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

using ops::DequantizeLinear;
using ops::QuantizeLinear;

/// Whether a scale has one element and so has the zero point that may go with it.
bool one_element(const Graph& graph, ValueId v) {
  if (v == kNone) return true;
  const Type& type = graph.type(v);
  return type.ranked() && (type.rank() == 0 || (type.rank() == 1 && type.shape[0].is(1)));
}

/// An 8-bit operand before it was dequantised to float32.
struct Operand {
  ValueId x = kNone, scale = kNone, zero = kNone;
  int64_t axis = -1;  ///< one scale a position there; -1: one scale
  explicit operator bool() const { return x != kNone; }
};
Operand operand(const Graph& graph, ValueId value) {
  const auto* op = graph.producer_as<DequantizeLinear>(value);
  if (op == nullptr || op->block_size != 0 || op->to != DType::kFloat32) return {};
  const auto& in = graph.node(producer(graph, value)).inputs;
  const Type &x = graph.type(in[0]), &scale = graph.type(in[1]);
  if ((x.dtype != DType::kInt8 && x.dtype != DType::kUint8) || !x.ranked() || scale.dtype != DType::kFloat32 || !scale.ranked()) return {};
  Operand found{in[0], in[1], in.size() > 2 ? in[2] : kNone};
  if (one_element(graph, found.scale) && one_element(graph, found.zero)) return found;
  if (scale.rank() != 1) return {};
  found.axis = op->axis < 0 ? op->axis + x.rank() : op->axis;
  return found;
}

/// The bias of a convolution in steps of the sums, which are the products of the operands' steps; nothing where these are not known, or the
/// sums would not hold it.
std::optional<Tensor> bias_of(const Graph& graph, ValueId value, const Operand& x, const Operand& w) {
  const Tensor *x_scale = constant(graph, x.scale), *w_scale = constant(graph, w.scale), *bias = constant(graph, value);
  std::vector<double> numbers;
  if (bias != nullptr) {
    numbers = bias->to_doubles();
  } else if (graph.producer_as<DequantizeLinear>(value) != nullptr) {
    const auto& in = graph.node(producer(graph, value)).inputs;
    const Tensor *steps = constant(graph, in[0]), *scale = constant(graph, in[1]);
    const Tensor* zero = in.size() > 2 && in[2] != kNone ? constant(graph, in[2]) : nullptr;
    if (steps == nullptr || scale == nullptr || (in.size() > 2 && in[2] != kNone && zero == nullptr)) return std::nullopt;
    const std::vector<double> scales = scale->to_doubles(), zeros = zero != nullptr ? zero->to_doubles() : std::vector<double>{0};
    numbers = steps->to_doubles();
    if ((scales.size() != 1 && scales.size() != numbers.size()) || (zeros.size() != 1 && zeros.size() != numbers.size()))
      return std::nullopt;
    for (size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = (numbers[i] - zeros[zeros.size() == 1 ? 0 : i]) * scales[scales.size() == 1 ? 0 : i];
    }
  }
  if (x_scale == nullptr || w_scale == nullptr || numbers.empty()) return std::nullopt;
  const double step = x_scale->to_doubles()[0];
  const std::vector<double> steps = w_scale->to_doubles();
  if (steps.size() != 1 && steps.size() != numbers.size()) return std::nullopt;
  std::vector<int32_t> sums;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double sum = std::nearbyint(numbers[i] / (step * steps[steps.size() == 1 ? 0 : i]));
    if (!(std::fabs(sum) < std::numeric_limits<int32_t>::max())) return std::nullopt;
    sums.push_back(static_cast<int32_t>(sum));
  }
  const auto count = static_cast<int64_t>(sums.size());
  return Tensor::of<int32_t>({count}, sums);
}

bool plain_product(const ops::MatMul& op) { return !op.matrices && !op.trans_b && op.alpha == 1 && op.activation.none(); }

/// Whether two values are the same, or constants of one equal element each.
bool same_element(const Graph& graph, ValueId a, ValueId b) {
  if (a == b) return true;
  if (a == kNone || b == kNone) return false;
  const Tensor *x = constant(graph, a), *y = constant(graph, b);
  return x != nullptr && y != nullptr && x->dtype() == y->dtype() && x->count() == 1 && y->count() == 1 &&
         x->to_doubles()[0] == y->to_doubles()[0];
}

/// The largest of numbers in steps of one positive size is the largest number of steps.
bool keeps_order(const Graph& graph, const ops::Pool& pool, const Operand& x, ValueId scale, ValueId zero, DType to) {
  const Tensor* step = constant(graph, scale);
  return pool.kind == ops::Pool::Kind::kMax && x && x.axis < 0 && graph.type(x.x).dtype == to && step != nullptr && step->count() == 1 &&
         step->to_doubles()[0] > 0 && same_element(graph, x.scale, scale) && same_element(graph, x.zero, zero);
}

/// Whether x >= 0 holds of everything that 8 bits with this zero point can say: then a Relu before them changes nothing.
bool holds_no_negative(const Graph& graph, ValueId zero, DType to) {
  if (zero == kNone) return to == DType::kUint8;
  const Tensor* z = constant(graph, zero);
  return z != nullptr && z->count() == 1 && z->to_ints()[0] == (to == DType::kUint8 ? 0 : -128);
}

}  // namespace

/// QuantizeLinear(MatMul or Conv of DequantizeLinear(8-bit operands)) -> the product of the 8-bit operands, where weights are constant and
/// results of the float product have no other reader. Add of two of one shape likewise, and MaxPool where scales and zero points are the
/// same. A Relu between that the quantised result implies goes. What sums are exact in 32 bits differs from float32 by its rounding, so a
/// result may be the neighbouring step.
Result<bool> fuse_quantized_products(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* quantize = std::get_if<QuantizeLinear>(&node.op);
  if (quantize == nullptr || (quantize->to != DType::kInt8 && quantize->to != DType::kUint8) || quantize->block_size != 0) return false;
  if (quantize->precision != DType::kUndefined && quantize->precision != DType::kFloat32) return false;
  const ValueId scale = node.inputs[1], zero = node.inputs.size() > 2 ? node.inputs[2] : kNone;
  if (!one_element(graph, scale) || !one_element(graph, zero) || graph.type(scale).dtype != DType::kFloat32) return false;
  ValueId y = node.inputs[0];
  if (const auto* relu = graph.producer_as<ops::Unary>(y);
      relu != nullptr && relu->kind == ops::Unary::Kind::kRelu && graph.single_use(y) && holds_no_negative(graph, zero, quantize->to)) {
    y = graph.node(producer(graph, y)).inputs[0];
  }
  const NodeId source = producer(graph, y);
  if (source == kNone || !graph.single_use(y) || graph.node(source).region != node.region || graph.type(y).dtype != DType::kFloat32)
    return false;
  const std::vector<ValueId> in = graph.node(source).inputs;
  const auto* product = std::get_if<ops::MatMul>(&graph.node(source).op);
  const auto* conv = std::get_if<ops::Conv>(&graph.node(source).op);
  if (const auto* pool = std::get_if<ops::Pool>(&graph.node(source).op)) {
    const auto outputs = static_cast<int>(graph.node(source).outputs.size());
    const Operand x = operand(graph, in[0]);
    if (is_read(graph, graph.node(source), 1) || !keeps_order(graph, *pool, x, scale, zero, quantize->to)) return false;
    const ValueId old = node.outputs[0];
    Patch patch(graph, id);
    TENON_ASSIGN(const auto made, patch.add(ops::Pool(*pool), {x.x}, outputs));
    patch.replace(old, made[0]);
    return patch.apply();
  }
  const auto* sum = std::get_if<ops::Binary>(&graph.node(source).op);
  if (sum != nullptr && sum->kind != ops::Binary::Kind::kAdd) return false;
  if (product == nullptr && conv == nullptr && sum == nullptr) return false;
  const Operand a = operand(graph, in[0]), b = operand(graph, in[1]);
  if (sum != nullptr) {
    if (!a || !b || a.axis >= 0 || b.axis >= 0 || !(graph.type(a.x).shape == graph.type(b.x).shape)) return false;
    return become(graph, id, ops::QLinearAdd{quantize->to}, {a.x, a.scale, a.zero, b.x, b.scale, b.zero, scale, zero});
  }
  if (!a || !b || a.axis >= 0 || constant(graph, b.x) == nullptr) return false;
  const bool has_third = in.size() > 2 && in[2] != kNone;
  if (in.size() > 3) return false;
  Patch patch(graph, id);
  std::vector<ValueId> inputs{a.x, a.scale, a.zero, b.x, b.scale, b.zero, scale, zero};
  const int rank = graph.type(b.x).rank();
  if (product != nullptr) {
    if (!plain_product(*product) || has_third || rank < 2 || (b.axis >= 0 && b.axis != rank - 1)) return false;
    return patch.apply(ops::QLinearMatMul{quantize->to}, std::move(inputs));
  }
  if (!conv->activation.none() || b.axis > 0 || rank < 3 || rank > 5) return false;
  if (has_third) {
    auto bias = bias_of(graph, in[2], a, b);
    if (!bias) return false;
    inputs.push_back(patch.constant(*std::move(bias)));
  }
  return patch.apply(ops::QLinearConv{.window = conv->window, .group = conv->group, .to = quantize->to}, std::move(inputs));
}

}  // namespace tenon::passes
