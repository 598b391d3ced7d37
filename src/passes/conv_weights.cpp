#include "passes/conv_weights.h"

#include <algorithm>
#include <cstring>

#include "base/sha1.h"

namespace tenon::passes {

std::optional<ConvMatch> match_conv(const Graph& graph, NodeId reader, ValueId value) {
  const NodeId id = producer(graph, value);
  if (id == kNone || !graph.single_use(value) || graph.node(id).region != graph.node(reader).region) return std::nullopt;
  const Node& node = graph.node(id);
  const auto* conv = std::get_if<ops::Conv>(&node.op);
  const auto* transposed = std::get_if<ops::ConvTranspose>(&node.op);
  if (conv == nullptr && transposed == nullptr) return std::nullopt;
  if (!(conv != nullptr ? conv->activation : transposed->activation).none()) return std::nullopt;
  if (given(node, 3)) return std::nullopt;
  const Tensor* weights = constant(graph, node.inputs[1]);
  if (weights == nullptr || weights->dtype() != DType::kFloat32 || weights->rank() < 3) return std::nullopt;
  if (given(node, 2) && constant(graph, node.inputs[2]) == nullptr) return std::nullopt;
  const int64_t filters = conv != nullptr ? weights->dims()[0] : weights->dims()[1] * transposed->group;
  return ConvMatch{id, transposed != nullptr, filters};
}

namespace {

/// Rows of float32 weights, each times its factor.
class ScaledRows final : public Contents {
 public:
  ScaledRows(Tensor rows, std::vector<double> factors, std::shared_ptr<ReadFaults> faults)
      : Contents(std::move(faults)),
        rows_(std::move(rows)),
        factors_(std::move(factors)),
        length_(static_cast<size_t>(rows_.count()) / factors_.size()) {}

  Status read(size_t offset, size_t n, std::byte* to) const override {
    TENON_ASSIGN(const std::byte* from, rows_.peek(offset, n, to));
    if (from != to) std::memcpy(to, from, n);
    auto* w = reinterpret_cast<float*>(to);
    for (size_t i = offset / 4, end = (offset + n) / 4; i < end;) {
      const size_t row = i / length_, row_end = std::min(end, (row + 1) * length_);
      const double factor = factors_[row];
      for (; i < row_end; ++i, ++w) *w = static_cast<float>(*w * factor);
    }
    return {};
  }

  Origin origin() const override {
    const Contents* contents = rows_.buffer()->contents();
    Origin origin = contents ? contents->origin() : Origin();
    origin.identity += "+" + std::to_string(rows_.offset()) + " rows times " + sha1_hex(std::span(factors_));
    return origin;
  }

 private:
  Tensor rows_;
  std::vector<double> factors_;
  size_t length_;  ///< elements of a row
};

}  // namespace

Result<bool> scale_conv(Graph& graph, NodeId id, const ConvMatch& conv, const std::vector<double>& scale,
                        const std::vector<double>& shift) {
  const std::vector<ValueId> inputs = graph.node(conv.node).inputs;
  const Op op = graph.node(conv.node).op;
  const Tensor& weights = *constant(graph, inputs[1]);
  const Dims& dims = weights.dims();
  // [M, C/group, taps], or [C, M/group, taps] when transposed.
  std::vector<double> factors = scale;
  if (conv.transposed) {
    const int64_t group = std::get<ops::ConvTranspose>(op).group;
    factors.clear();
    for (int64_t i = 0; i < dims[0]; ++i) {
      for (int64_t j = 0; j < dims[1]; ++j) factors.push_back(scale[static_cast<size_t>(i / (dims[0] / group) * dims[1] + j)]);
    }
  }
  if (!graph.faults) graph.faults = std::make_shared<ReadFaults>();
  Tensor scaled = weights;
  if (weights.count() > 0) {
    TENON_ASSIGN(auto buffer, Buffer::late(weights.bytes(), std::make_shared<ScaledRows>(weights, std::move(factors), graph.faults)));
    scaled = Tensor::view(DType::kFloat32, dims, std::move(buffer));
  }
  const Tensor* old_bias = inputs.size() > 2 ? constant(graph, inputs[2]) : nullptr;
  std::vector<float> bias(static_cast<size_t>(conv.filters));
  for (size_t f = 0; f < bias.size(); ++f) {
    const double b = old_bias != nullptr ? old_bias->as<float>()[f] : 0.0;
    bias[f] = static_cast<float>(b * scale[f] + shift[f]);
  }
  Patch patch(graph, id);
  const ValueId new_weights = patch.constant(std::move(scaled));
  const ValueId new_bias = patch.constant(Tensor::of<float>({conv.filters}, bias));
  return patch.apply(op, {inputs[0], new_weights, new_bias});
}

}  // namespace tenon::passes
