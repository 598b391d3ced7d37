#pragma once

#include "ops/conv.h"

namespace tenon::ops {

/// Transposed convolution over the spatial dims of [N, C, spatial...], then the activation.
struct ConvTranspose {
  Window window;  ///< pads are cropped from the result
  int64_t group = 1;
  std::vector<int64_t> output_padding;
  std::vector<int64_t> output_shape;  ///< of the spatial dims, empty when pads decide
  Activation activation = {};

  bool operator==(const ConvTranspose&) const = default;
};

/// (x: float[N, C, ...], w: [C, M/group, kernel...], b?: [M]) -> (y: [N, M, ...]).
/// w may be packed for channel-blocked x and y.
Result<Types> infer(const ConvTranspose&, const Types& in);
Result<Step> bind(const ConvTranspose&, const BindContext&);

/// Whether the blocked float32 kernels cover it. Needs nothing of x but its rank.
bool has_blocked_kernel(const ConvTranspose& op, int64_t filters, int64_t channels, int64_t spatial);
Result<Tensor> pack_conv_weights(const ConvTranspose& op, const Tensor& weights, std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops
