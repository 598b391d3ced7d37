#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/gemm/bits.h"

namespace tenon::kernels {

namespace {

constexpr int kBitsFlag = 0x8000;

uint32_t load(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// A word of column c to a row of words.
void put(int bits, uint32_t word, int64_t width, int64_t c, uint32_t* row) {
  if (bits < 8) {
    row[c] = word;
    return;
  }
  for (int i = 0; i < 4; ++i) reinterpret_cast<uint8_t*>(row)[i * width + c] = static_cast<uint8_t>(word >> 8 * i ^ 0x80);
}

}  // namespace

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
    const int64_t at = b * step, words = rows - head, whole = std::clamp<int64_t>((from.column_bytes - at) / 4, 0, words);
    for (int64_t w = 0; w < words; ++w) {
      uint32_t* const to = block + (head + w) * width;
      const uint8_t* const codes = from.codes + at + w * 4;
      if (w < whole) {
        for (int64_t c = 0; c < from.columns; ++c) put(f.bits, load(codes + c * from.column_bytes), width, c, to);
        continue;
      }
      const int64_t bytes = from.column_bytes - at - w * 4;  // fewer than four, perhaps none
      for (int64_t c = 0; c < from.columns && bytes > 0; ++c) {
        uint8_t last[4] = {};
        std::memcpy(last, codes + c * from.column_bytes, static_cast<size_t>(bytes));
        put(f.bits, load(last), width, c, to);
      }
    }
  }
}

}  // namespace tenon::kernels
