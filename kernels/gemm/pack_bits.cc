#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/gemm/bits.h"

namespace tenon::kernels {

namespace {
constexpr int kBitsFlag = 0x8000;
}

// Flag; logarithm of the block, 0: none, in bits 8 to 14; logarithm of bits in 4 and 5, offsets in 3, the panels in 0 to 2.
GemmFormat bits_format(const BitsFormat& f) {
  const int block = f.block == 0 ? 0 : std::countr_zero(static_cast<uint64_t>(f.block));
  const int bits = std::countr_zero(static_cast<unsigned>(f.bits));
  return static_cast<GemmFormat>(kBitsFlag | block << 8 | bits << 4 | (f.offsets ? 8 : 0) | static_cast<int>(f.panels));
}

BitsFormat bits_format(GemmFormat format) {
  const int code = static_cast<int>(format), block = code >> 8 & 0x7f;
  return {.bits = 1 << (code >> 4 & 3),
          .offsets = (code & 8) != 0,
          .block = block == 0 ? 0 : int64_t{1} << block,
          .panels = static_cast<GemmFormat>(code & 7)};
}

void pack_bits(const BitsColumns& from, void* panel) {
  const BitsFormat& f = from.format;
  const int64_t width = panel_width(f.panels), blocks = f.blocks(from.k), rows = f.block_rows(from.k), head = f.offsets ? 2 : 1;
  const int64_t step = (f.block == 0 ? from.k : f.block) * f.bits / 8;  // bytes between blocks, of no interest when there is one
  auto* const out = static_cast<uint32_t*>(panel);
  std::memset(out, 0, static_cast<size_t>(f.panel_words(from.k)) * sizeof(uint32_t));
  for (int64_t b = 0; b < blocks; ++b) {
    uint32_t* const block = out + b * rows * width;
    auto* const scales = reinterpret_cast<float*>(block);
    const auto middle = static_cast<float>(1 << (f.bits - 1));
    for (int64_t c = 0; c < from.columns; ++c) {
      const float scale = from.scales[c * blocks + b];
      scales[c] = scale;
      if (f.offsets) scales[width + c] = (middle - from.zeros[c * blocks + b]) * scale;
    }
    for (int64_t w = 0; w < rows - head; ++w) {
      const int64_t at = b * step + w * 4, bytes = std::min<int64_t>(4, from.column_bytes - at);
      uint32_t* const to = block + (head + w) * width;
      for (int64_t c = 0; c < from.columns && bytes > 0; ++c) {
        uint32_t word = 0;
        std::memcpy(&word, from.codes + c * from.column_bytes + at, static_cast<size_t>(bytes));
        if (f.bits < 8) {
          to[c] = word;
        } else {
          for (int i = 0; i < 4; ++i) reinterpret_cast<uint8_t*>(to)[i * width + c] = static_cast<uint8_t>(word >> 8 * i ^ 0x80);
        }
      }
    }
  }
}

}  // namespace tenon::kernels
