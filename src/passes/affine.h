// Nodes that scale and shift each channel by constants, and weights that take such scales in.
#pragma once

#include "passes/pass.h"

namespace tenon {

/// scale * x + shift, with one number of each for every channel.
struct Affine {
  std::vector<double> scale, shift;
};

/// Where channels lie: along axes of these sizes, of which `axis` is the first.
struct Channels {
  int axis = 0;
  Dims sizes;
};

/// What node `id` does to the channels of its float32 input `side`: BatchNormalization, or Mul, Div, Add or Sub with a constant that
/// broadcasts to them and has a dim of its own along no other axis. nullopt when it does something else, or a number is not finite.
std::optional<Affine> affine(const Graph& graph, NodeId id, size_t side, const Channels& channels);

/// Float32 weights of which element i is multiplied by factors[i / run % factors.size()] when it is read.
Result<Tensor> scaled_weights(Graph& graph, const Tensor& weights, std::vector<double> factors, size_t run);

}  // namespace tenon
