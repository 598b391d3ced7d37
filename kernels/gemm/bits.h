// Weights of 2, 4 and 8 bits: how they are packed for the products that decode them in the kernel.
#pragma once

#include "kernels/gemm/gemm.h"

namespace tenon::kernels {

/// A matrix B of k rows and n columns, each weight (code - zero point) * scale with an unsigned code of so many bits, and scale and zero
/// point of `block` rows of a column (the last block shorter). Packed: panels as wide as those of floats, the last one padded with zeros.
/// A panel is its blocks, one after the other; a block is a row of scales (float32), with `offsets` a row of (middle - zero point) * scale,
/// then its codes in rows of 32-bit words, one for each column. A word of 2 or 4 bits holds the codes of 16 or 8 consecutive rows, the first
/// lowest; with 8 bits a row of words is four rows of bytes, code - 128 each.
struct BitsFormat {
  int bits = 4;
  bool offsets = false;  ///< false: all zero points are the middle, 2^(bits - 1)
  int64_t block = 0;     ///< a power of two from 16 on, or 0: all k rows
  GemmFormat panels = GemmFormat::kNone;

  int64_t per_word() const { return 32 / bits; }
  int64_t block_of(int64_t k) const { return block == 0 ? k : std::min(block, k); }
  int64_t blocks(int64_t k) const { return block == 0 ? 1 : (k + block - 1) / block; }
  /// Rows of 32-bit numbers of a block, and of a panel.
  int64_t block_rows(int64_t k) const { return (offsets ? 2 : 1) + (block_of(k) + per_word() - 1) / per_word(); }
  int64_t panel_rows(int64_t k) const { return blocks(k) * block_rows(k); }
  /// 32-bit numbers of a packed matrix, those that vectors may read past its end included; k and n are at least 1.
  int64_t words(int64_t k, int64_t n) const { return (n + panel_width(panels) - 1) / panel_width(panels) * panel_words(k) + 16; }
  int64_t panel_words(int64_t k) const { return panel_rows(k) * panel_width(panels); }
};

/// A GemmFormat above all others that says this. bits is 2, 4 or 8.
GemmFormat bits_format(const BitsFormat& format);
inline bool is_bits(GemmFormat format) { return static_cast<uint16_t>(format) >= 0x8000; }
BitsFormat bits_format(GemmFormat format);

/// Products with fewer rows decode B in registers, others slice by slice into scratch.
inline constexpr int64_t kFewBitRows = 8;
inline bool takes_few_bits(const GemmParams& p) { return is_bits(p.format) && p.m <= kFewBitRows; }
/// Few rows are brought into an order of their own first, in Call::shared: bits_rows(m) of them, the rest zeros, interleaved, as deep as words
/// and vectors are whole; then, of a single row, the sums of its blocks. A batch after the other, a part each.
inline int64_t bits_rows(int64_t m) { return m <= 2 ? m : m <= 4 ? 4 : 8; }
inline int64_t bits_depth(int64_t k) { return (k + 15) / 16 * 16; }
/// Floats of a batch.
inline int64_t bits_floats(const GemmParams& p) {
  return bits_rows(p.m) * bits_depth(p.k) + (p.m == 1 ? bits_format(p.format).blocks(p.k) : 0);
}
Kernel<GemmParams> GemmBitsRowsPointer();

/// Bytes of scratch that a thread needs beside what every product does.
int64_t bits_scratch(const GemmParams& p);

/// Some columns of a panel, to be packed. Codes of a column follow each other in `column_bytes` bytes from `codes` on, the first lowest, and
/// each block begins at a byte of its own (block * bits / 8 bytes on).
struct BitsColumns {
  BitsFormat format;
  int64_t k = 0;
  int64_t columns = 0;  ///< at most the panel's width; the others become zeros
  const uint8_t* codes = nullptr;
  int64_t column_bytes = 0;
  const float* scales = nullptr;  ///< [columns, blocks]
  const float* zeros = nullptr;   ///< zero points likewise, in terms of the codes; with offsets only
};
void pack_bits(const BitsColumns& from, void* panel);

}  // namespace tenon::kernels
