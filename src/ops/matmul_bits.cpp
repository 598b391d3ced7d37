#include "ops/matmul_bits.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/load_memory.h"
#include "base/pieces.h"
#include "base/weight_cache.h"
#include "kernels/elementwise/cast.h"
#include "kernels/gemm/bits.h"

namespace tenon::ops {

namespace {

using kernels::BitsFormat;

/// A matrix of codes with its scales, column after column.
struct Source {
  BitsFormat format;
  int64_t k = 0, n = 0;
  int64_t column_bytes = 0;
  std::vector<float> scales, zeros;  ///< [n, blocks]
  /// The packed codes of some columns, in place or written to `room` of their size.
  std::function<Result<const uint8_t*>(int64_t column, int64_t columns, uint8_t* room)> codes;
  /// What all of this comes from, zero points only where there are any, and how.
  const Tensor *from = nullptr, *scales_from = nullptr, *zeros_from = nullptr;
  std::string recipe;
};

Result<std::optional<BitsWeights>> pack(Source source, DType dtype, std::shared_ptr<Allocator> allocator) {
  source.format.panels = kernels::gemm_format();
  const auto middle = static_cast<float>(1 << (source.format.bits - 1));
  source.format.offsets = std::any_of(source.zeros.begin(), source.zeros.end(), [&](float z) { return z != middle; });
  const BitsFormat& format = source.format;
  const int64_t width = kernels::panel_width(format.panels), panels = (source.n + width - 1) / width, blocks = format.blocks(source.k);
  const auto all = checked_mul(panels, format.panel_words(source.k) * 4), bytes = checked_add(all.value_or(INT64_MAX), 64),
             room = checked_mul(source.column_bytes, width);
  if (!bytes || !room) return limit_error("packing ", source.n, " columns of ", source.k, " weights overflows");
  const auto pack_panels = [&](std::byte* to) -> Status {
    std::fill_n(to + *all, *bytes - *all, std::byte{0});
    TENON_ASSIGN(const auto rooms, LoadMemory::passing(static_cast<size_t>(*room) * static_cast<size_t>(LoadThreads::threads())));
    return for_each_piece(panels, [&](int64_t panel, int thread) -> Status {
      const int64_t column = panel * width, columns = std::min(width, source.n - column);
      TENON_ASSIGN(const auto codes, source.codes(column, columns, reinterpret_cast<uint8_t*>(rooms->data()) + *room * thread));
      kernels::pack_bits({.format = format,
                          .k = source.k,
                          .columns = columns,
                          .codes = codes,
                          .column_bytes = source.column_bytes,
                          .scales = source.scales.data() + column * blocks,
                          .zeros = format.offsets ? source.zeros.data() + column * blocks : nullptr},
                         to + panel * format.panel_words(source.k) * 4);
      return {};
    });
  };
  const std::string recipe = source.recipe + " as " + std::to_string(static_cast<int>(kernels::bits_format(format)));
  TENON_ASSIGN(auto buffer, kept_or_made({source.from, source.scales_from, source.zeros_from}, recipe, static_cast<size_t>(*bytes),
                                         std::move(allocator), pack_panels));
  BitsWeights packed{Tensor::view(DType::kUint8, {*bytes}, std::move(buffer)), Type::of(dtype, Shape{source.k, source.n})};
  packed.type.layout = {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(kernels::bits_format(format))};
  return std::optional<BitsWeights>(std::move(packed));
}

std::vector<float> to_floats(const Tensor& t) {
  std::vector<float> out(static_cast<size_t>(t.count()));
  kernels::cast_elements({.from = t.dtype(), .to = DType::kFloat32}, t.data(), out.data(), t.count());
  return out;
}

/// Element (n, b) of [n, blocks] from a tensor that has it at n * row + b * step.
std::vector<float> spread(const Tensor& t, int64_t n, int64_t blocks, int64_t row, int64_t step, float plus) {
  const std::vector<float> from = to_floats(t);
  std::vector<float> out;
  out.reserve(static_cast<size_t>(n * blocks));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t b = 0; b < blocks; ++b) out.push_back(from[static_cast<size_t>(i * row + b * step)] + plus);
  }
  return out;
}

/// Which of [n, blocks] scales belong to which columns and rows.
struct Granularity {
  int64_t block = 0;  ///< 0: all rows
  int64_t row = 0, step = 0;
};
std::optional<Granularity> granularity(const DequantizeLinear& op, const Tensor& scales, int64_t k, int64_t n, bool trans) {
  if (op.block_size == 0 && scales.count() == 1) return Granularity{};
  const bool along_k = (op.axis == 1 || op.axis == -1) == trans;
  if (op.block_size == 0) return along_k ? std::nullopt : std::optional(Granularity{.row = 1});
  if (!along_k) return std::nullopt;
  Granularity g;
  if (op.block_size < k) {
    if (op.block_size < 16 || !std::has_single_bit(static_cast<uint64_t>(op.block_size))) return std::nullopt;
    g.block = op.block_size;
  }
  g.row = trans ? (k - 1) / op.block_size + 1 : 1;
  g.step = trans ? 1 : n;
  return g;
}

/// Codes that lie a byte each, packed: columns one after the other.
template <int kBits>
void pack_codes(const uint8_t* from, int64_t k, int64_t k_step, int64_t columns, int64_t column_step, int flip, uint8_t* to) {
  constexpr int kPerByte = 8 / kBits, kMask = (1 << kBits) - 1;
  const int64_t column_bytes = (k - 1) / kPerByte + 1;
  const auto bytes = [&](int64_t at, int64_t count) {
    for (int64_t c = 0; c < columns; ++c) {
      int byte = 0;
      for (int64_t i = 0; i < count; ++i) byte |= ((from[(at + i) * k_step + c * column_step] ^ flip) & kMask) << (i * kBits);
      to[c * column_bytes + at / kPerByte] = static_cast<uint8_t>(byte);
    }
  };
  int64_t at = 0;
  for (; at + kPerByte <= k; at += kPerByte) bytes(at, kPerByte);
  if (at < k) bytes(at, k - at);
}

int bits_of(DType dtype) {
  switch (dtype) {
    case DType::kUint2:
    case DType::kInt2: return 2;
    case DType::kUint4:
    case DType::kInt4: return 4;
    case DType::kUint8:
    case DType::kInt8: return 8;
    default: return 0;
  }
}

}  // namespace

Result<std::optional<BitsWeights>> pack_bits_weights(const DequantizeBits& op, const Tensor& codes, const Tensor& scales,
                                                     const Tensor* zeros, std::shared_ptr<Allocator> allocator) {
  if (op.n == 1) return std::optional<BitsWeights>();
  const int64_t blocks = op.blocks();
  Source source;
  source.format = {.bits = static_cast<int>(op.bits), .block = op.block_size};
  source.k = op.k;
  source.n = op.n;
  source.column_bytes = codes.count() / op.n;
  source.from = &codes, source.scales_from = &scales, source.zeros_from = zeros;
  source.recipe = "MatMulNBits";
  for (const int64_t x : {op.k, op.n, op.bits, op.block_size}) source.recipe += " " + std::to_string(x);
  source.scales = to_floats(scales);
  if (zeros != nullptr && zeros->dtype() != DType::kUint8) {
    source.zeros = to_floats(*zeros);
  } else if (zeros != nullptr) {
    const auto* packed = zeros->as<const uint8_t>();
    const int64_t row = zeros->count() / op.n;
    for (int64_t n = 0; n < op.n; ++n) {
      for (int64_t b = 0; b < blocks; ++b) {
        source.zeros.push_back(static_cast<float>(packed[n * row + b * op.bits / 8] >> (b * op.bits % 8) & ((1 << op.bits) - 1)));
      }
    }
  }
  source.codes = [&](int64_t column, int64_t columns, uint8_t* room) -> Result<const uint8_t*> {
    const auto each = static_cast<size_t>(codes.count() / op.n);
    TENON_ASSIGN(const std::byte* data,
                 codes.peek(static_cast<size_t>(column) * each, static_cast<size_t>(columns) * each, reinterpret_cast<std::byte*>(room)));
    return reinterpret_cast<const uint8_t*>(data);
  };
  return pack(std::move(source), scales.dtype(), std::move(allocator));
}

Result<std::optional<BitsWeights>> pack_bits_weights(const DequantizeLinear& op, const Tensor& x, const Tensor& scales, const Tensor* zeros,
                                                     bool trans, std::shared_ptr<Allocator> allocator) {
  const int bits = bits_of(x.dtype());
  if (bits == 0 || x.rank() != 2 || x.count() == 0 || !is_any_float(scales.dtype())) return std::optional<BitsWeights>();
  const int64_t k = x.dims()[trans ? 1 : 0], n = x.dims()[trans ? 0 : 1];
  const auto g = granularity(op, scales, k, n, trans);
  if (n == 1 || !g) return std::optional<BitsWeights>();
  Source source;
  source.format = {.bits = bits, .block = g->block};
  source.k = k;
  source.n = n;
  source.column_bytes = (k - 1) / (8 / bits) + 1;
  source.from = &x, source.scales_from = &scales, source.zeros_from = zeros;
  source.recipe = "DequantizeLinear";
  for (const int64_t part : {op.axis, op.block_size, int64_t{trans}}) source.recipe += " " + std::to_string(part);
  const int64_t blocks = source.format.blocks(k);
  // Codes are unsigned: those of signed integers are as much larger as the middle, and so are their zero points.
  const bool is_signed = x.dtype() == DType::kInt2 || x.dtype() == DType::kInt4 || x.dtype() == DType::kInt8;
  const int middle = 1 << (bits - 1), flip = is_signed ? middle : 0;
  source.scales = spread(scales, n, blocks, g->row, g->step, 0);
  if (zeros != nullptr) source.zeros = spread(*zeros, n, blocks, g->row, g->step, static_cast<float>(flip));
  else if (!is_signed) source.zeros.assign(static_cast<size_t>(n * blocks), 0.0f);
  source.codes = [=, &x](int64_t column, int64_t columns, uint8_t* room) -> Result<const uint8_t*> {
    const uint8_t* const first = x.as<const uint8_t>() + column * (trans ? k : 1);
    const int64_t k_step = trans ? 1 : n, column_step = trans ? k : 1;
    if (bits == 2) pack_codes<2>(first, k, k_step, columns, column_step, flip, room);
    else if (bits == 4) pack_codes<4>(first, k, k_step, columns, column_step, flip, room);
    else pack_codes<8>(first, k, k_step, columns, column_step, flip, room);
    return room;
  };
  return pack(std::move(source), op.to, std::move(allocator));
}

}  // namespace tenon::ops
