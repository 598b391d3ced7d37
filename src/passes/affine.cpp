#include "passes/affine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/sha1.h"

namespace tenon {

namespace {

int64_t count_of(const Channels& channels) {
  return std::accumulate(channels.sizes.begin(), channels.sizes.end(), int64_t{1}, std::multiplies<>());
}

/// The constant as one value a channel of a value of rank `rank`.
std::optional<std::vector<double>> by_channel(const Graph& graph, ValueId value, int rank, const Channels& channels) {
  const Tensor* t = constant(graph, value);
  const int64_t count = count_of(channels);
  if (t == nullptr || t->dtype() != DType::kFloat32 || t->rank() > rank || t->count() == 0 || t->count() > count) return std::nullopt;
  // The constant's stride along each axis of the channels, 0 where it is stretched.
  const int axes = static_cast<int>(channels.sizes.size());
  std::vector<int64_t> strides(channels.sizes.size(), 0);
  int64_t stride = 1;
  for (int i = t->rank(); i-- > 0;) {
    const int64_t dim = t->dims()[static_cast<size_t>(i)];
    const int at = rank - t->rank() + i - channels.axis;
    if (dim == 1) continue;
    if (at < 0 || at >= axes || dim != channels.sizes[static_cast<size_t>(at)]) return std::nullopt;
    strides[static_cast<size_t>(at)] = stride;
    stride *= dim;
  }
  const std::vector<double> own = t->to_doubles();
  std::vector<double> out;
  for (int64_t c = 0; c < count; ++c) {
    int64_t rest = c, from = 0;
    for (size_t i = strides.size(); i-- > 0; rest /= channels.sizes[i]) from += rest % channels.sizes[i] * strides[i];
    out.push_back(own[static_cast<size_t>(from)]);
  }
  return out;
}

std::optional<Affine> affine(const Graph& graph, const Node& node, const ops::BatchNormalization& norm, int64_t channels) {
  if (norm.training || !norm.spatial) return std::nullopt;
  std::vector<double> v[4];  // scale, bias, mean, var
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* t = constant(graph, node.inputs[i + 1]);
    if (t == nullptr || t->count() != channels) return std::nullopt;
    v[i] = t->to_doubles();
  }
  Affine found;
  for (size_t c = 0; c < v[0].size(); ++c) {
    found.scale.push_back(v[0][c] / std::sqrt(v[3][c] + static_cast<double>(norm.epsilon)));
    found.shift.push_back(v[1][c] - v[2][c] * found.scale[c]);
  }
  return found;
}

std::optional<Affine> affine(const Graph& graph, const Node& node, ops::Binary::Kind kind, size_t side, const Channels& channels) {
  using K = ops::Binary::Kind;
  if (side == 1 ? kind != K::kAdd && kind != K::kMul : kind != K::kAdd && kind != K::kMul && kind != K::kSub && kind != K::kDiv)
    return std::nullopt;
  const auto c = by_channel(graph, node.inputs[1 - side], graph.type(node.inputs[side]).rank(), channels);
  if (!c) return std::nullopt;
  Affine found{std::vector<double>(c->size(), 1.0), std::vector<double>(c->size(), 0.0)};
  for (size_t i = 0; i < c->size(); ++i) {
    switch (kind) {
      case K::kAdd: found.shift[i] = (*c)[i]; break;
      case K::kSub: found.shift[i] = -(*c)[i]; break;
      case K::kMul: found.scale[i] = (*c)[i]; break;
      default: found.scale[i] = 1.0 / (*c)[i]; break;
    }
  }
  return found;
}

/// Float32 elements, run after run times the next factor.
class ScaledRuns final : public Contents {
 public:
  ScaledRuns(Tensor weights, std::vector<double> factors, size_t run, std::shared_ptr<ReadFaults> faults)
      : Contents(std::move(faults)), weights_(std::move(weights)), factors_(std::move(factors)), run_(run) {}

  Status read(size_t offset, size_t n, std::byte* to) const override {
    TENON_ASSIGN(const std::byte* from, weights_.peek(offset, n, to));
    if (from != to) std::memcpy(to, from, n);
    auto* w = reinterpret_cast<float*>(to);
    const size_t end = (offset + n) / 4;
    size_t i = offset / 4, run_end = i / run_ * run_, next = i / run_ % factors_.size();
    while (i < end) {
      const double factor = factors_[next];
      next = next + 1 == factors_.size() ? 0 : next + 1;
      run_end += run_;
      for (const size_t stop = std::min(end, run_end); i < stop; ++i, ++w) *w = static_cast<float>(*w * factor);
    }
    return {};
  }

  Origin origin() const override {
    const Contents* contents = weights_.buffer()->contents();
    Origin origin = contents ? contents->origin() : Origin();
    origin.identity +=
        "+" + std::to_string(weights_.offset()) + " runs of " + std::to_string(run_) + " times " + sha1_hex(std::span(factors_));
    return origin;
  }

 private:
  Tensor weights_;
  std::vector<double> factors_;
  size_t run_;
};

}  // namespace

std::optional<Affine> affine(const Graph& graph, NodeId id, size_t side, const Channels& channels) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone || side >= node.inputs.size()) return std::nullopt;
  const Type& x = graph.type(node.inputs[side]);
  if (!x.ranked() || x.dtype != DType::kFloat32) return std::nullopt;
  std::optional<Affine> found;
  if (const auto* norm = std::get_if<ops::BatchNormalization>(&node.op)) {
    if (side == 0 && channels.axis == 1 && channels.sizes.size() == 1) found = affine(graph, node, *norm, channels.sizes[0]);
  } else if (const auto* binary = std::get_if<ops::Binary>(&node.op)) {
    found = affine(graph, node, binary->kind, side, channels);
  }
  const auto finite = [](const std::vector<double>& v) {
    return std::all_of(v.begin(), v.end(), [](double d) { return std::isfinite(d); });
  };
  return found && finite(found->scale) && finite(found->shift) ? found : std::nullopt;
}

Result<Tensor> scaled_weights(Graph& graph, const Tensor& weights, std::vector<double> factors, size_t run) {
  if (weights.count() == 0) return weights;
  if (!graph.faults) graph.faults = std::make_shared<ReadFaults>();
  auto runs = std::make_shared<ScaledRuns>(weights, std::move(factors), run, graph.faults);
  TENON_ASSIGN(auto buffer, Buffer::late(weights.bytes(), std::move(runs)));
  return Tensor::view(DType::kFloat32, weights.dims(), std::move(buffer));
}

}  // namespace tenon
