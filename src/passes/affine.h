// Nodes that scale and shift each channel by constants, and weights that take such scales in.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// scale * x + shift, with one number of each for every channel.
struct Affine {
  std::vector<double> scale, shift;
};

/// What node `id` does to its input `side`, which has float32 elements and `channels` of them along `axis`: BatchNormalization, or Mul, Div,
/// Add or Sub with a constant that has one value a channel, or one in all. nullopt when it does something else, or a number is not finite.
std::optional<Affine> affine(const Graph& graph, NodeId id, size_t side, int axis, int64_t channels);

/// Float32 weights of which element i is multiplied by factors[i / run % factors.size()] when it is read.
Result<Tensor> scaled_weights(Graph& graph, const Tensor& weights, std::vector<double> factors, size_t run);

}  // namespace tenon
