#include "kernels/quantize/dequantize_bits.h"

#include <algorithm>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

int code_at(const uint8_t* bytes, int64_t i, int bits) {
  const int64_t bit = i * bits;
  return bytes[bit / 8] >> (bit % 8) & ((1 << bits) - 1);
}

template <class T>
void rows(const DequantizeBitsParams& p, const Call& call, Range range) {
  const int64_t blocks = p.blocks(), row_bytes = blocks * (p.block / 8 * p.bits), zero_bytes = (blocks * p.bits + 7) / 8;
  const auto* const groups = p.groups ? call.in<int32_t>(3) : nullptr;
  for (int64_t n = range.begin * p.chunk; n < std::min(p.n, range.end * p.chunk); ++n) {
    const uint8_t* const codes = call.in<uint8_t>(0) + n * row_bytes;
    const T* const scales = call.in<T>(1) + n * blocks;
    T* const out = call.out<T>(0) + n * p.k;
    for (int64_t k = 0; k < p.k; ++k) {
      const int64_t b = groups != nullptr ? groups[k] : k / p.block;
      if (b < 0 || b >= blocks) {
        call.fault->report(Fault::kIndex, b, blocks, 3);
        return;
      }
      float zero = static_cast<float>(1 << (p.bits - 1));
      if (p.zero == DType::kUint8) zero = static_cast<float>(code_at(call.in<uint8_t>(2) + n * zero_bytes, b, p.bits));
      else if (p.zero != DType::kUndefined) zero = static_cast<float>(call.in<T>(2)[n * blocks + b]);
      out[k] = T((static_cast<float>(code_at(codes, k, p.bits)) - zero) * static_cast<float>(scales[b]));
    }
  }
}

void run_dequantize_bits(const DequantizeBitsParams& p, const Call& call, Range range) {
  dispatch<float, Float16, BFloat16>(p.dtype, [&](auto t) { rows<decltype(t)>(p, call, range); });
}

}  // namespace

TENON_ONE_ROW(dequantize_bits, DequantizeBitsParams, DequantizeBits, run_dequantize_bits)

}  // namespace tenon::kernels
