#include "ops/window.h"

#include <algorithm>

namespace tenon::ops {

namespace {

/// Values beyond this cannot be meant, and staying below it keeps products of two of them within int64.
constexpr int64_t kMax = int64_t{1} << 31;

Status check_list(std::string_view name, const std::vector<int64_t>& values, int expected, int64_t least) {
  if (values.empty()) return {};
  if (expected >= 0 && static_cast<int>(values.size()) != expected) {
    return shape_error(name, " has ", values.size(), " values ", str(values), ", expected ", expected);
  }
  for (const int64_t v : values) {
    if (v < least) return shape_error(name, " holds ", v, " ", str(values), ", expected ", least, " or more");
    if (v >= kMax) return shape_error(name, " holds ", v, " ", str(values), ", which is too large");
  }
  return {};
}

}  // namespace

Status check_window(const Window& w, int spatial) {
  TENON_TRY(check_list("kernel_shape", w.kernel_shape, spatial, 1));
  TENON_TRY(check_list("strides", w.strides, spatial, 1));
  TENON_TRY(check_list("dilations", w.dilations, spatial, 1));
  return check_list("pads", w.pads, spatial < 0 ? -1 : 2 * spatial, 0);
}

Result<int64_t> window_extent(int64_t kernel, int64_t dilation) {
  if (kernel < 1) return shape_error("kernel_shape holds ", kernel, ", expected 1 or more");
  const auto reach = checked_mul(kernel - 1, dilation);
  const auto extent = reach ? checked_add(*reach, 1) : std::nullopt;
  if (!extent) return shape_error("kernel_shape ", kernel, " with dilations ", dilation, " is too large");
  return *extent;
}

Result<Dim> window_output(const Window& w, int i, int64_t kernel, const Dim& in) {
  const int64_t stride = w.stride(i);
  TENON_ASSIGN(const int64_t extent, window_extent(kernel, w.dilation(i)));
  if (w.auto_pad == AutoPad::kSameUpper || w.auto_pad == AutoPad::kSameLower) return Dim::ceil_div(in, Dim(stride));
  const bool padded = w.auto_pad == AutoPad::kNotSet && !w.pads.empty();
  const int n = static_cast<int>(w.pads.size()) / 2;
  const int64_t before = padded ? w.pads[i] : 0;
  const int64_t after = padded ? w.pads[n + i] : 0;
  if (!in.is_const()) {
    if (!w.ceil_mode || stride == 1) return Dim::floor_div(in + Dim(before + after - extent), Dim(stride)) + Dim(1);
    return Dim::unknown();
  }
  const auto size = checked_add(in.value(), before + after);
  if (!size) return shape_error("pads make spatial dim ", i, " of size ", in.value(), " overflow");
  const int64_t room = *size - extent;
  if (room < 0 && in.value() > 0) {
    return shape_error("kernel_shape ", kernel, " with dilations ", w.dilation(i), " covers ", extent, " of spatial dim ", i,
                       ", which has ", *size, " elements with pads (input ", in.value(), ", pads ", before, " and ", after, ")");
  }
  if (room < 0) return Dim(0);
  int64_t out = room / stride + 1;
  if (w.ceil_mode && room % stride != 0) {
    // A window that would start beyond the input and its leading pads does not count.
    if (out * stride < in.value() + before) ++out;
  }
  return Dim(out);
}

WindowDim window_dim(const Window& w, int i, int64_t kernel, int64_t in, int64_t out) {
  WindowDim d{in, out, kernel, w.stride(i), w.dilation(i), 0, 0};
  if (w.auto_pad == AutoPad::kNotSet) {
    d.pad = w.pads.empty() ? 0 : w.pads[i];
    d.pad_end = w.pads.empty() ? 0 : w.pads[w.pads.size() / 2 + i];
  } else if (w.auto_pad != AutoPad::kValid) {
    const int64_t total = std::max<int64_t>(0, (out - 1) * d.stride + (kernel - 1) * d.dilation + 1 - in);
    d.pad = w.auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
    d.pad_end = total - d.pad;
  }
  return d;
}

}  // namespace tenon::ops
