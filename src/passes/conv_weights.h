// Shared by the passes that change the weights of a convolution.
#pragma once

#include "passes/affine.h"

namespace tenon::passes {

/// A Conv or ConvTranspose with constant float32 weights and bias (or none), without activation or residual, in the same region as the
/// reader at hand, which is its only one.
struct ConvMatch {
  NodeId node;
  bool transposed;
  int64_t filters;
};
std::optional<ConvMatch> match_conv(const Graph& graph, NodeId reader, ValueId value);

/// Replaces node `id`, which computes conv(x) * scale + shift for each filter, by one convolution.
Result<bool> scale_conv(Graph& graph, NodeId id, const ConvMatch& conv, const Affine& by);

}  // namespace tenon::passes
