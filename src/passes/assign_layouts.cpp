#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// One node's way into the channel-blocked layout. A converted node computes the blocked result; a Reorder after it gives readers that
/// are not converted the plain one, and is skipped by those that are.
class Conversion {
 public:
  Conversion(Graph& graph, NodeId id) : graph_(graph), id_(id), patch_(graph, id) {}

  /// The blocked twin of a plain value, when there is one already.
  ValueId twin(ValueId value) const {
    if (value == kNone || graph_.producer_as<ops::Reorder>(value) == nullptr || !graph_.type(value).layout.plain()) return kNone;
    return graph_.node(producer(graph_, value)).inputs[0];
  }

  /// The twin, or a new one.
  Result<ValueId> blocked(ValueId value) {
    if (const ValueId known = twin(value); known != kNone) return known;
    return patch_.add1(ops::Reorder{ops::blocked_layout()}, {value});
  }

  /// A constant that broadcasts against channels [N, C, ...], given rank `rank` and put in blocked layout. kNone when it cannot.
  Result<ValueId> blocked_constant(const Tensor& t, int rank, const Dim& channels) {
    if (t.rank() > rank || t.rank() == 0) return ValueId{kNone};
    Dims dims(static_cast<size_t>(rank), 1);
    std::copy(t.dims().begin(), t.dims().end(), dims.end() - t.rank());
    if (!channels.is(dims[1])) return ValueId{kNone};
    const Tensor shaped = t.reshaped(dims);
    TENON_ASSIGN(auto out, evaluate(ops::Reorder{ops::blocked_layout()}, {&shaped}));
    Type type = Type::of(DType::kFloat32, Shape::of(dims));
    type.layout = ops::blocked_layout();
    return patch_.constant(std::move(out[0]), std::move(type));
  }

  ValueId packed(Tensor tensor, const Tensor& plain, kernels::ConvFormat format) {
    Type type = Type::of(DType::kFloat32, Shape::of(plain.dims()));
    type.layout = Layout{Layout::Kind::kPacked, 0, static_cast<uint16_t>(format)};
    return patch_.constant(std::move(tensor), std::move(type));
  }

  Result<bool> finish(Op op, std::vector<ValueId> inputs) {
    const ValueId old = graph_.node(id_).outputs[0];
    TENON_ASSIGN(const ValueId result, patch_.add1(std::move(op), std::move(inputs)));
    TENON_ASSIGN(const ValueId plain, patch_.add1(ops::Reorder{Layout{}}, {result}));
    patch_.replace(old, plain);
    return patch_.apply();
  }

 private:
  Graph& graph_;
  NodeId id_;
  Patch patch_;
};

bool float32_image(const Type& t) { return t.dtype == DType::kFloat32 && t.layout.plain() && t.ranked() && t.rank() >= 3 && t.rank() <= 5; }

/// Most channels of a plain input that the first-layer kernel takes without a Reorder.
constexpr int64_t kFewChannels = 4;

Result<bool> convert_conv(Graph& graph, NodeId id, const ops::Conv& op) {
  const std::vector<ValueId> inputs = graph.node(id).inputs;
  const Tensor* weights = constant(graph, inputs[1]);
  const Type& x = graph.type(inputs[0]);
  if (weights == nullptr || weights->dtype() != DType::kFloat32 || !float32_image(x) || weights->rank() != x.rank()) return false;
  const int64_t channels = weights->dims()[1] * op.group;
  Conversion c(graph, id);
  const bool plain_input = op.group == 1 && channels <= kFewChannels && c.twin(inputs[0]) == kNone;
  const auto format = ops::conv_format(op, weights->dims(), x.shape, plain_input, graph.strict);
  if (format == kernels::ConvFormat::kNone) return false;
  std::vector<ValueId> to = inputs;
  const auto given = [&](size_t i) { return to.size() > i && to[i] != kNone; };
  std::optional<ops::OneDnnWeights> other;
  if (graph.onednn) {
    const Shape& out = graph.type(graph.node(id).outputs[0]).shape;
    TENON_ASSIGN(other, ops::pack_conv_weights_by_onednn(op, *weights, x.shape, out, format, given(2), given(3)));
  }
  if (other) {
    to[1] = c.packed(std::move(other->tensor), *weights, other->format);
  } else {
    TENON_ASSIGN(Tensor packed, ops::pack_conv_weights(op, *weights, format));
    to[1] = c.packed(std::move(packed), *weights, format);
  }
  if (!plain_input) {
    TENON_ASSIGN(to[0], c.blocked(inputs[0]));
  }
  if (given(3)) {
    TENON_ASSIGN(to[3], c.blocked(inputs[3]));
  }
  return c.finish(op, std::move(to));
}

Result<bool> convert_transposed(Graph& graph, NodeId id, const ops::ConvTranspose& op) {
  const std::vector<ValueId> inputs = graph.node(id).inputs;
  const Tensor* weights = constant(graph, inputs[1]);
  const Type& x = graph.type(inputs[0]);
  if (weights == nullptr || weights->dtype() != DType::kFloat32 || !float32_image(x)) return false;
  // Where pads follow from sizes, so does the packing.
  if (!op.output_shape.empty() || op.window.auto_pad == ops::AutoPad::kSameUpper || op.window.auto_pad == ops::AutoPad::kSameLower)
    return false;
  if (!ops::has_blocked_kernel(op, weights->dims()[1] * op.group, weights->dims()[0], x.rank() - 2)) return false;
  Conversion c(graph, id);
  std::vector<ValueId> to = inputs;
  TENON_ASSIGN(Tensor packed, ops::pack_conv_weights(op, *weights));
  to[1] = c.packed(std::move(packed), *weights, kernels::ConvFormat::kDirect);
  TENON_ASSIGN(to[0], c.blocked(inputs[0]));
  return c.finish(op, std::move(to));
}

/// Convolutions of 8-bit integers read either layout, so there is no Reorder ahead of them.
Result<bool> convert_quantized_conv(Graph& graph, NodeId id, ops::QLinearConv op) {
  std::vector<ValueId> inputs = graph.node(id).inputs;
  const Type& w = graph.type(inputs[ops::kB]);
  if (op.quads || w.layout.kind != Layout::Kind::kPacked || !w.is_static()) return false;
  const Dims dims = w.shape.to_ints();
  if (!ops::gives_quads(op, dims)) return false;
  Conversion c(graph, id);
  const ValueId twin = c.twin(inputs[ops::kA]);
  if (twin != kNone && ops::takes_quads(op, dims)) inputs[ops::kA] = twin;
  op.quads = true;
  return c.finish(std::move(op), std::move(inputs));
}

Result<bool> convert_quantized_add(Graph& graph, NodeId id, const ops::QLinearAdd& op) {
  std::vector<ValueId> inputs = graph.node(id).inputs;
  Conversion c(graph, id);
  for (const int i : {ops::kA, ops::kB}) {
    inputs[static_cast<size_t>(i)] = c.twin(inputs[static_cast<size_t>(i)]);
    if (inputs[static_cast<size_t>(i)] == kNone) return false;
  }
  return c.finish(op, std::move(inputs));
}

/// Operators that work on blocked tensors as on plain ones follow their inputs.
Result<bool> follow(Graph& graph, NodeId id) {
  const std::vector<ValueId> inputs = graph.node(id).inputs;
  const Op op = graph.node(id).op;
  Conversion c(graph, id);
  if (inputs.empty() || inputs[0] == kNone || !float32_image(graph.type(inputs[0]))) return false;
  if (std::holds_alternative<ops::Unary>(op) || std::holds_alternative<ops::Clip>(op) || std::holds_alternative<ops::Pool>(op) ||
      std::holds_alternative<ops::GlobalPool>(op)) {
    std::vector<ValueId> to = inputs;
    to[0] = c.twin(inputs[0]);
    if (to[0] == kNone || graph.type(graph.node(id).outputs[0]).dtype != DType::kFloat32) return false;
    if (const auto* pool = std::get_if<ops::Pool>(&op)) {
      if (pool->kind == ops::Pool::Kind::kLp || is_read(graph, graph.node(id), 1)) return false;
    }
    if (const auto* pool = std::get_if<ops::GlobalPool>(&op); pool != nullptr && pool->kind == ops::GlobalPool::Kind::kLp) return false;
    return c.finish(op, std::move(to));
  }
  if (std::holds_alternative<ops::Concat>(op)) {
    if (std::get<ops::Concat>(op).axis != 1) return false;
    std::vector<ValueId> to;
    for (const ValueId v : inputs) {
      const Type& t = graph.type(v);
      to.push_back(c.twin(v));
      if (to.back() == kNone || !t.ranked() || !t.shape[1].is_const() || t.shape[1].value() % kernels::channel_block() != 0) return false;
    }
    return c.finish(op, std::move(to));
  }
  if (const auto* binary = std::get_if<ops::Binary>(&op)) {
    if (kernels::is_comparison(binary->kind)) return false;
    std::vector<ValueId> to{c.twin(inputs[0]), c.twin(inputs[1])};
    for (size_t i = 0; i < 2; ++i) {
      if (to[i] != kNone) continue;
      const ValueId other = to[1 - i];
      if (other == kNone) return false;
      const Type &t = graph.type(inputs[i]), &u = graph.type(other);
      if (const Tensor* value = constant(graph, inputs[i])) {
        if (value->count() == 1 && value->rank() <= u.rank()) {
          to[i] = inputs[i];
        } else {
          TENON_ASSIGN(to[i], c.blocked_constant(*value, u.rank(), u.shape[1]));
        }
      } else if (float32_image(t) && t.rank() == u.rank() && t.shape[1] == u.shape[1]) {
        TENON_ASSIGN(to[i], c.blocked(inputs[i]));
      }
      if (to[i] == kNone) return false;
    }
    const Type &a = graph.type(to[0]), &b = graph.type(to[1]);
    const bool one = a.layout.plain() || b.layout.plain();
    if (!one && (a.rank() != b.rank() || !(a.shape[1] == b.shape[1]))) return false;
    return c.finish(op, std::move(to));
  }
  return false;
}

}  // namespace

/// Convolutions with constant float32 weights work on channel-blocked tensors with packed weights, and operators between them stay in
/// that layout: op(Reorder(x)) -> Reorder(op(x)). Reorders remain only where a region begins or ends. Convolutions of 8-bit integers with
/// packed weights give quads of channels, and sums of these stay such.
Result<bool> assign_layouts(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone) return false;
  if (const auto* conv = std::get_if<ops::Conv>(&node.op)) return convert_conv(graph, id, ops::Conv(*conv));
  if (const auto* conv = std::get_if<ops::ConvTranspose>(&node.op)) return convert_transposed(graph, id, ops::ConvTranspose(*conv));
  if (const auto* conv = std::get_if<ops::QLinearConv>(&node.op)) return convert_quantized_conv(graph, id, *conv);
  if (const auto* sum = std::get_if<ops::QLinearAdd>(&node.op)) return convert_quantized_add(graph, id, ops::QLinearAdd(*sum));
  return follow(graph, id);
}

}  // namespace tenon::passes
