#pragma once

#include "kernels/conv/conv.h"
#include "ops/activation.h"
#include "ops/infer.h"
#include "ops/step.h"
#include "ops/window.h"

namespace tenon::ops {

/// Convolution over the spatial dims of [N, C, spatial...] times the scale, then + residual, then the activation.
struct Conv {
  Window window;
  int64_t group = 1;
  Activation activation = {};

  bool operator==(const Conv&) const = default;
};

/// The shape of a convolution's result, unranked when neither x nor w is ranked. Checks window and group against x, w and bias (unranked: not
/// known, or none), which messages call by `names`.
struct ConvNames {
  const char* x = "input 0";
  const char* w = "input 1";
  const char* bias = "input 2";
};
Result<Shape> conv_shape(const Window& window, int64_t group, const Shape& x, const Shape& w, const Shape& bias,
                         const ConvNames& names = {});

/// (x: float[N, C, ...], w: [M, C/group, kernel...], b?: [M], residual?: as y, scale?: [N, C, 1, ...]) -> (y: [N, M, ...]).
/// w may be packed (Layout::format is a kernels::ConvFormat): then x is channel-blocked, or plain where takes_plain_input(), and y and
/// residual are channel-blocked. Only then may there be a scale, channel-blocked too, and only where takes_input_scale().
Result<Types> infer(const Conv&, const Types& in);
Result<Step> bind(const Conv&, const BindContext&);

/// Whether the weights are packed for a direct 1x1 convolution without groups.
bool takes_input_scale(const Conv& op, const Type& weights);

/// Sizes, window and activation; format, bias and residual are left to the caller. At most 3 spatial dims.
kernels::ConvParams conv_params(const Conv& op, const Dims& x, const Dims& w, const Dims& y);
/// Multiply-adds a nanosecond of the blocked kernels on one core, for estimates.
inline constexpr double kConvSpeed = 50;

/// The channel-blocked layout of the instruction set in use.
Layout blocked_layout();
/// How constant weights [M, C/group, kernel...] of a blocked float32 convolution of `x` are best packed; kNone when the blocked kernels do
/// not cover it. `plain_input`: x is plain and has few channels. `strict`: only formats whose kernels round as the direct sum does. Of x only
/// the rank need be known, its sizes help to choose.
kernels::ConvFormat conv_format(const Conv& op, const Dims& weights, const Shape& x, bool plain_input, bool strict);
/// Weights packed by oneDNN and as what. nullopt where the engine's own kernels are as fast (kernels/onednn/choice.h), where oneDNN has
/// none, or when the sizes of the image x[2..] are not known. `out`: the shape of the result. `own`: what conv_format chose, not kNone.
struct OneDnnWeights {
  Tensor tensor;
  kernels::ConvFormat format;
};
Result<std::optional<OneDnnWeights>> pack_conv_weights_by_onednn(const Conv& op, const Tensor& weights, const Shape& x, const Shape& out,
                                                                 kernels::ConvFormat own, bool bias, bool residual,
                                                                 std::shared_ptr<Allocator> allocator = nullptr);
/// The weights [M, C/group, kernel...] packed as `format`; one dim, of as many floats as the packing takes.
Result<Tensor> pack_conv_weights(const Conv& op, const Tensor& weights, kernels::ConvFormat format,
                                 std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops
