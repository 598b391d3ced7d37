#include "kernels/onednn/choice.h"

#include "kernels/dispatch.h"
#include "kernels/onednn/onednn.h"

namespace tenon::kernels::onednn {

const char* slower(const ConvParams& p) {
  if (float_lanes() < 8) return "not measured on this instruction set";
  if (p.format == ConvFormat::kWinograd4) return "Winograd's method is faster";
  const bool avx512 = float_lanes() == 16;
  const Epilogue& e = p.epilogue;
  const bool finishes =
      e.residual || e.tile != nullptr || e.low > -std::numeric_limits<float>::infinity() || e.high < std::numeric_limits<float>::infinity();
  if (p.channels == p.groups && p.filters == p.groups && p.groups > 1) {
    // Our time by oneDNN's: AVX-512 1.3 to 1.8, but 1.0 to 1.1 with stride 1 and a pass for the activation; AVX2 1.2 to 1.9.
    return avx512 && finishes && p.stride[2] == 1 ? "not faster for a depthwise convolution with an activation" : nullptr;
  }
  if (p.groups != 1) return "not faster for groups";
  // 3x3 with stride 2: 1.2 to 1.3 on both; 7x7: 1.0.
  if (p.format == ConvFormat::kPlainInput) return p.stride[2] == 2 && p.taps() == 9 ? nullptr : "not faster for the first layer";
  // One block of filters: 1.5 to 1.8 with AVX-512. Other pointwise and larger windows gain 2 to 8 %, or lose, once a clamp follows.
  if (p.taps() == 1 && p.filters <= channel_block() && !finishes) return nullptr;
  return "not faster for these sizes";
}

const char* slower(const GemmParams& p) {
  // float32: 0.9 to 1.1 wherever B fits the cache.
  if (p.dtype != DType::kBFloat16) return "not faster for this type";
  if (float_lanes() < 16) return "not faster on this instruction set";
  // Up to 4 rows, which live on reading B, 1.2 to 2.2: ours reads it as float32. With 16 rows and more 0.4 to 0.9.
  if (p.m > kFewRows) return "not faster with more than 4 rows";
  return nullptr;
}

const char* refusal(const char* slower) {
  if (slower != nullptr) return slower;
  if (module() == nullptr) return "the oneDNN module is not there (see `tenon version`)";
  return "switched off, without a kernel for it, or the image's size was not known at load";
}

}  // namespace tenon::kernels::onednn
