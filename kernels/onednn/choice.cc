#include "kernels/onednn/choice.h"

#include "kernels/dispatch.h"
#include "kernels/onednn/onednn.h"

namespace tenon::kernels::onednn {

namespace {
/// Multiply-adds of an image from which on the twentieth that oneDNN saves of a first layer repays its opening, a millisecond or two, after
/// some tens of images.
constexpr double kWorthOpening = 1e8;
constexpr const char* kNotRepaid = "what it saves of so few multiply-adds would not repay opening it";

double multiply_adds(const ConvParams& p) {
  const int64_t filter = p.channels / p.groups * p.taps();
  return static_cast<double>(p.filters * filter) * static_cast<double>(p.out[0] * p.out[1] * p.out[2]);
}
}  // namespace

const char* slower(const ConvParams& p) {
  if (float_lanes() < 8) return "not measured on this instruction set";
  if (winograd_tile(p.format) != 0) return "Winograd's method is faster";
  if (p.channels == p.groups && p.filters == p.groups && p.groups > 1) {
    // Our time by oneDNN's: 0.8 to 1.0, 1.1 in one case; AVX2 0.85 to 1.0.
    return "not faster for a depthwise convolution";
  }
  if (p.groups != 1) return "not faster for groups";
  // 3x3 with stride 2: 1.07 with AVX-512, 1.05 with AVX2; 7x7: 1.0, 1.06; 3x3 with stride 1: 0.8, 0.9.
  if (p.format == ConvFormat::kPlainInput) {
    if (p.stride[2] != 2 || p.taps() != 9) return "not faster for the first layer";
    return multiply_adds(p) >= kWorthOpening ? nullptr : kNotRepaid;
  }
  // 5x5 and 7x7 with AVX2 1.05 to 1.3, on two threads too, most where images are so small that the pads, which it leaves out, are much of
  // them; where filters are an odd number of slices two threads are slower.
  const bool large = p.kernel[0] == 1 && p.kernel[1] >= 5 && p.kernel[2] >= 5;
  if (float_lanes() == 8 && large && p.stride[1] == 1 && p.stride[2] == 1 && p.filters % (8 * channel_block()) == 0) {
    return multiply_adds(p) >= kWorthOpening / 3 ? nullptr : kNotRepaid;
  }
  // 3x3 with stride 2 1.02 to 1.1 on one thread, but cut in another way than the layers around them, which costs two threads more. 1x1: 0.6
  // to 1.05.
  return "not faster for these sizes";
}

const char* refusal(const char* slower) {
  if (slower != nullptr) return slower;
  if (module() == nullptr) return "the oneDNN module is not there (see `tenon version`)";
  return "switched off, without a kernel for it, or the image's size was not known at load";
}

}  // namespace tenon::kernels::onednn
