#include "passes/normalized.h"

#include <algorithm>

#include "passes/product.h"

namespace tenon {

namespace {

using B = ops::Binary::Kind;
using U = ops::Unary::Kind;

const std::vector<ValueId>& inputs_of(const Graph& graph, ValueId value) { return graph.node(producer(graph, value)).inputs; }

bool is_binary(const Graph& graph, ValueId value, B kind) {
  const auto* op = graph.producer_as<ops::Binary>(value);
  return op && op->kind == kind;
}

/// value = v^(1/2): v.
ValueId root_of(const Graph& graph, ValueId value) {
  if (const ValueId v = argument_of(graph, value, U::kSqrt); v != kNone) return v;
  if (is_binary(graph, value, B::kPow)) {
    const auto e = scalar_constant(graph, inputs_of(graph, value)[1]);
    if (e && *e == 0.5) return inputs_of(graph, value)[0];
  }
  return kNone;
}

/// value = v^(-1/2): v.
ValueId inverse_root_of(const Graph& graph, ValueId value) {
  if (const ValueId v = argument_of(graph, value, U::kReciprocal); v != kNone) return root_of(graph, v);
  if (is_binary(graph, value, B::kDiv)) {
    const auto one = scalar_constant(graph, inputs_of(graph, value)[0]);
    return one && *one == 1 ? root_of(graph, inputs_of(graph, value)[1]) : kNone;
  }
  if (is_binary(graph, value, B::kPow)) {
    const auto e = scalar_constant(graph, inputs_of(graph, value)[1]);
    if (e && *e == -0.5) return inputs_of(graph, value)[0];
  }
  return kNone;
}

/// value = mean of something over the last k axes, kept: that something and k. Dims that were dropped may have been put back.
struct Mean {
  ValueId of = kNone;
  int64_t axes = 0;
};
Mean mean_of(const Graph& graph, ValueId value) {
  const Type& kept = graph.type(value);
  const bool put_back = graph.producer_as<ops::Unsqueeze>(value) != nullptr || graph.producer_as<ops::Reshape>(value) != nullptr;
  if (put_back) value = inputs_of(graph, value)[0];
  const auto* op = graph.producer_as<ops::Reduce>(value);
  if (!op || op->kind != ops::Reduce::Kind::kMean || op->keepdims == put_back) return {};
  const auto& in = inputs_of(graph, value);
  const Tensor* axes_tensor = in.size() > 1 ? constant(graph, in[1]) : nullptr;
  const Type& type = graph.type(in[0]);
  if (!axes_tensor || !type.ranked() || (put_back && (!kept.ranked() || kept.rank() != type.rank()))) return {};
  std::vector<int64_t> axes = axes_tensor->to_ints();
  for (int64_t& a : axes) a = a < 0 ? a + type.rank() : a;
  std::sort(axes.begin(), axes.end());
  const auto k = static_cast<int64_t>(axes.size());
  for (int64_t i = 0; i < k; ++i)
    if (axes[i] != type.rank() - k + i) return {};
  for (int64_t i = 0; put_back && i < type.rank(); ++i) {
    const Dim &have = kept.shape[static_cast<size_t>(i)], &of = type.shape[static_cast<size_t>(i)];
    if (i < type.rank() - k ? !(have == of) : !have.is(1)) return {};
  }
  return k > 0 ? Mean{in[0], k} : Mean{};
}

/// What is squared under variance = mean(d^2) + epsilon.
ValueId deviation_of(const Graph& graph, ValueId variance) {
  if (!is_binary(graph, variance, B::kAdd)) return kNone;
  for (const ValueId term : inputs_of(graph, variance)) {
    const Mean mean = mean_of(graph, term);
    if (mean.of != kNone && graph.producer_as<ops::Binary>(mean.of) != nullptr) return inputs_of(graph, mean.of)[0];
  }
  return kNone;
}

bool same_difference(const Graph& graph, ValueId a, ValueId b);

/// v where value = v^2, else kNone.
ValueId square_root_of(const Graph& graph, ValueId value) {
  const auto* square = graph.producer_as<ops::Binary>(value);
  if (!square) return kNone;
  const auto& factors = inputs_of(graph, value);
  const auto exponent = square->kind == B::kPow ? scalar_constant(graph, factors[1]) : std::nullopt;
  const bool squares = square->kind == B::kMul ? same_difference(graph, factors[0], factors[1]) : exponent && *exponent == 2;
  return squares ? factors[0] : kNone;
}

/// x where value = max(x, 0), else the value itself.
ValueId without_bound(const Graph& graph, ValueId value) {
  if (const ValueId x = argument_of(graph, value, U::kRelu); x != kNone) return x;
  const auto zero = [&](ValueId v) { return scalar_constant(graph, v) == 0.0; };
  if (is_binary(graph, value, B::kMax)) {
    const auto& in = inputs_of(graph, value);
    return zero(in[1]) ? in[0] : zero(in[0]) ? in[1] : value;
  }
  if (graph.producer_as<ops::Clip>(value) == nullptr) return value;
  const Node& clip = graph.node(producer(graph, value));
  return given(clip, 1) && zero(clip.inputs[1]) && !given(clip, 2) ? clip.inputs[0] : value;
}

/// d = x - mean(x) and variance = mean(x^2) - mean(x)^2, maybe bounded by 0: LayerNormalization squares differences, and gives none
/// that is negative.
Mean fast_variance(const Graph& graph, ValueId d, ValueId variance) {
  variance = without_bound(graph, variance);
  if (!is_binary(graph, variance, B::kSub) || !is_binary(graph, d, B::kSub)) return {};
  const ValueId x = inputs_of(graph, d)[0], m = inputs_of(graph, d)[1];
  const Mean squares = mean_of(graph, inputs_of(graph, variance)[0]), centre = mean_of(graph, m);
  const bool matches = squares.of != kNone && centre.of == x && centre.axes == squares.axes && square_root_of(graph, squares.of) == x &&
                       square_root_of(graph, inputs_of(graph, variance)[1]) == m;
  return matches ? centre : Mean{};
}

/// a and b are one value, or two differences of the same two values.
bool same_difference(const Graph& graph, ValueId a, ValueId b) {
  if (a == b) return true;
  return is_binary(graph, a, B::kSub) && is_binary(graph, b, B::kSub) && inputs_of(graph, a) == inputs_of(graph, b);
}

Normalized match(const Graph& graph, ValueId d, ValueId variance) {
  const auto* sum = graph.producer_as<ops::Binary>(variance);
  if (!sum || sum->kind != B::kAdd) return {};
  for (int side = 0; side < 2; ++side) {
    const auto epsilon = scalar_constant(graph, inputs_of(graph, variance)[1 - side]);
    if (!epsilon || !(*epsilon >= 0)) continue;
    if (const Mean fast = fast_variance(graph, d, inputs_of(graph, variance)[side]); fast.of != kNone)
      return {fast.of, fast.axes, *epsilon, true};
    const Mean mean = mean_of(graph, inputs_of(graph, variance)[side]);
    const ValueId root = mean.of != kNone ? square_root_of(graph, mean.of) : kNone;
    if (root == kNone || !same_difference(graph, root, d)) continue;
    Normalized out{d, mean.axes, *epsilon, false};
    if (is_binary(graph, d, B::kSub)) {
      const auto& in = inputs_of(graph, d);
      const Mean centre = mean_of(graph, in[1]);
      if (centre.of == in[0] && centre.axes == mean.axes) out = {in[0], mean.axes, *epsilon, true};
    }
    return out;
  }
  return {};
}

/// value = r * scale, where r = variance^(-1/2).
struct ScaledRoot {
  ValueId r = kNone, scale = kNone, variance = kNone;
};
ScaledRoot scaled_root(const Graph& graph, ValueId value) {
  if (!is_binary(graph, value, B::kMul)) return {};
  const auto& in = inputs_of(graph, value);
  for (size_t side = 0; side < 2; ++side)
    if (const ValueId v = inverse_root_of(graph, in[side]); v != kNone) return {in[side], in[1 - side], v};
  return {};
}

/// x * a + (bias - m * a) with a = r * scale.
Regrouped shifted_by_mean(const Graph& graph, ValueId product, ValueId rest) {
  if (!is_binary(graph, product, B::kMul) || !is_binary(graph, rest, B::kSub)) return {};
  const ValueId bias = inputs_of(graph, rest)[0], shift = inputs_of(graph, rest)[1];
  if (!is_binary(graph, shift, B::kMul)) return {};
  for (size_t i = 0; i < 2; ++i) {
    const ValueId x = inputs_of(graph, product)[i], a = inputs_of(graph, product)[1 - i];
    const auto& of_mean = inputs_of(graph, shift);
    const ValueId m = of_mean[0] == a ? of_mean[1] : of_mean[1] == a ? of_mean[0] : kNone;
    const ScaledRoot root = scaled_root(graph, a);
    if (m == kNone || root.r == kNone) continue;
    const ValueId d = deviation_of(graph, root.variance);
    if (!is_binary(graph, d, B::kSub) || inputs_of(graph, d) != std::vector<ValueId>{x, m} || !match(graph, d, root.variance).centred)
      continue;
    return {d, root.r, root.scale, bias, false};
  }
  return {};
}

}  // namespace

Regrouped regrouped(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* op = std::get_if<ops::Binary>(&node.op);
  if (!op || node.outputs[0] == kNone || !is_float(graph.type(node.outputs[0]).dtype)) return {};
  Regrouped found;
  for (size_t side = 0; side < 2 && found.d == kNone; ++side) {
    const ValueId a = node.inputs[side], b = node.inputs[1 - side];
    if (op->kind == B::kMul) {
      const ScaledRoot root = scaled_root(graph, b);
      if (root.r != kNone && match(graph, a, root.variance).x != kNone) found = {a, root.r, root.scale, kNone, false};
    } else if (op->kind == B::kDiv && side == 0 && is_binary(graph, a, B::kMul)) {
      const ValueId variance = root_of(graph, b);
      const auto& in = inputs_of(graph, a);
      for (size_t i = 0; i < 2 && variance != kNone && found.d == kNone; ++i)
        if (match(graph, in[i], variance).x != kNone) found = {in[i], b, in[1 - i], kNone, true};
    } else if (op->kind == B::kAdd) {
      found = shifted_by_mean(graph, a, b);
    }
  }
  return found.d != kNone && same_type(graph, found.d, node.outputs[0]) ? found : Regrouped{};
}

Normalized normalized(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* op = std::get_if<ops::Binary>(&node.op);
  if (!op || node.outputs[0] == kNone) return {};
  Normalized found;
  if (op->kind == B::kDiv) {
    const ValueId variance = root_of(graph, node.inputs[1]);
    if (variance != kNone) found = match(graph, node.inputs[0], variance);
  } else if (op->kind == B::kMul) {
    for (int side = 0; side < 2 && found.x == kNone; ++side) {
      const ValueId variance = inverse_root_of(graph, node.inputs[side]);
      if (variance != kNone) found = match(graph, node.inputs[1 - side], variance);
    }
  }
  if (found.x != kNone &&
      (!is_float(graph.type(found.x).dtype) || !graph.type(found.x).layout.plain() || !same_type(graph, found.x, node.outputs[0])))
    return {};
  return found;
}

namespace {
template <class T>
Tensor filled(Dims dims) {
  Tensor t;
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  if constexpr (std::is_arithmetic_v<T>) t = Tensor::of<T>(std::move(dims), std::vector<T>(static_cast<size_t>(n), T(1)));
  else t = Tensor::of<T>(std::move(dims), std::vector<T>(static_cast<size_t>(n), T(1.0f)));
  return t;
}
}  // namespace

Tensor ones_for(const Graph& graph, ValueId x, int64_t axes) {
  constexpr int64_t kMostElements = 1 << 20;
  const Type& type = graph.type(x);
  Dims dims;
  int64_t count = 1;
  for (int64_t i = type.rank() - axes; i < type.rank(); ++i) {
    const Dim& d = type.shape[static_cast<size_t>(i)];
    if (!d.is_const() || d.value() <= 0 || d.value() > kMostElements / count) {
      dims = {1};
      break;
    }
    dims.push_back(d.value());
    count *= d.value();
  }
  switch (type.dtype) {
    case DType::kFloat64: return filled<double>(dims);
    case DType::kFloat16: return filled<Float16>(dims);
    case DType::kBFloat16: return filled<BFloat16>(dims);
    default: return filled<float>(dims);
  }
}

ValueId narrowed(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* cast = std::get_if<ops::Cast>(&node.op);
  if (!cast || (cast->to != DType::kFloat16 && cast->to != DType::kBFloat16) || !graph.single_use(node.inputs[0])) return kNone;
  const NodeId source = producer(graph, node.inputs[0]);
  if (source == kNone || graph.node(source).region != node.region || graph.node(source).inputs.size() < 2) return kNone;
  const auto& in = graph.node(source).inputs;
  if (given(graph.node(source), 2) || !all_ones(graph, in[1]) || graph.producer_as<ops::Cast>(in[0]) == nullptr) return kNone;
  const ValueId x = inputs_of(graph, in[0])[0];
  return graph.type(x).dtype == cast->to && graph.type(x).ranked() ? x : kNone;
}

bool all_ones(const Graph& graph, ValueId value) {
  const Tensor* t = constant(graph, value);
  if (!t || !is_float(t->dtype())) return false;
  for (const double v : t->to_doubles())
    if (v != 1) return false;
  return true;
}

bool within_last_axes(const Graph& graph, ValueId value, ValueId x, int64_t axes) {
  const Type& type = graph.type(value);
  if (!type.is_static() || !type.layout.plain() || !graph.type(x).ranked() || type.rank() > graph.type(x).rank()) return false;
  for (int64_t i = 0; i < type.rank() - axes; ++i)
    if (!type.shape[static_cast<size_t>(i)].is(1)) return false;
  // A dim of its own where x's is 1 or unknown would enlarge the result.
  for (int64_t back = 1; back <= std::min<int64_t>(axes, type.rank()); ++back) {
    const Dim &own = type.shape[static_cast<size_t>(type.rank() - back)],
              &of_x = graph.type(x).shape[static_cast<size_t>(graph.type(x).rank() - back)];
    if (!own.is(1) && !(own == of_x)) return false;
  }
  return true;
}

}  // namespace tenon
