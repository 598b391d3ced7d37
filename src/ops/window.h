// The sliding window of convolution and pooling: attributes shared by Conv, ConvTranspose, MaxPool, AveragePool, LpPool.
#pragma once

#include "ops/infer.h"

namespace tenon::ops {

enum class AutoPad : uint8_t { kNotSet, kSameUpper, kSameLower, kValid };

/// ONNX's attributes; empty lists stand for their defaults (strides 1, dilations 1, pads 0).
struct Window {
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil_mode = false;
  std::vector<int64_t> kernel_shape, strides, dilations;
  std::vector<int64_t> pads;  ///< all begins, then all ends

  bool operator==(const Window&) const = default;

  int64_t stride(int i) const { return strides.empty() ? 1 : strides[i]; }
  int64_t dilation(int i) const { return dilations.empty() ? 1 : dilations[i]; }
};

/// One spatial dim once everything is known.
struct WindowDim {
  int64_t in, out, kernel, stride, dilation, pad, pad_end;
};

/// Lengths of the lists against the number of spatial dims (-1: not known, then only against each other), values in range. An attribute
/// at fault is named.
Status check_window(const Window& w, int spatial);

/// Output size along spatial dim i. Errors when the window does not fit.
Result<Dim> window_output(const Window& w, int i, int64_t kernel, const Dim& in);

/// The window along spatial dim i, pads of auto_pad resolved; `out` as window_output gave it.
WindowDim window_dim(const Window& w, int i, int64_t kernel, int64_t in, int64_t out);

/// Fills the arrays in, out, kernel, stride, dilation and pad of `p` (depth, height, width) for x [N, C, spatial...], weights
/// [M, C/group, kernel...] and y; up to three spatial dims, those that are missing keep what `p` has.
template <class Params>
void set_window(Params& p, const Window& w, const Dims& x, const Dims& weights, const Dims& y) {
  const size_t spatial = x.size() - 2;
  for (size_t i = 0; i < spatial; ++i) {
    const WindowDim d = window_dim(w, static_cast<int>(i), weights[2 + i], x[2 + i], y[2 + i]);
    const size_t at = 3 - spatial + i;
    p.in[at] = d.in, p.out[at] = d.out, p.kernel[at] = d.kernel, p.stride[at] = d.stride, p.dilation[at] = d.dilation, p.pad[at] = d.pad;
  }
}

/// (kernel - 1) * dilation + 1, or an error when that overflows or kernel is below 1.
Result<int64_t> window_extent(int64_t kernel, int64_t dilation);

}  // namespace tenon::ops
