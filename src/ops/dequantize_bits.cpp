#include "ops/dequantize_bits.h"

#include <bit>

#include "kernels/quantize/dequantize_bits.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

Status expect_count(const Types& in, int i, std::string_view what, int64_t rows, int64_t each) {
  if (!in[i].ranked()) return {};
  const auto want = checked_mul(rows, each);
  const Dim count = in[i].shape.count();
  if (want && (!count.is_const() || count.is(*want))) return {};
  return input_error(i, "(", what, ") has shape ", in[i].shape.str(), ", expected [", rows, ", ", each, "]");
}

Status expect_attributes(const DequantizeBits& op) {
  if (op.bits != 2 && op.bits != 4 && op.bits != 8) return shape_error("attribute 'bits' is ", op.bits, ", expected 2, 4 or 8");
  if (op.n < 1) return shape_error("attribute 'N' is ", op.n, ", expected 1 or more");
  if (op.k < 1) return shape_error("attribute 'K' is ", op.k, ", expected 1 or more");
  constexpr int64_t kMostBlock = int64_t{1} << 32;
  if (op.block_size < 16 || op.block_size > kMostBlock || !std::has_single_bit(static_cast<uint64_t>(op.block_size))) {
    return shape_error("attribute 'block_size' is ", op.block_size, ", expected a power of two from 16 on");
  }
  return {};
}

}  // namespace

Result<Types> infer(const DequantizeBits& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 4));
  TENON_TRY(expect_attributes(op));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 0, {DType::kUint8}));
  TENON_TRY(expect_dtype(in, 1, {DType::kFloat32, DType::kFloat16, DType::kBFloat16}));
  const int64_t blocks = op.blocks(), want[] = {op.n, blocks, op.block_size / 8 * op.bits};
  TENON_TRY(expect_rank(in, 0, 3));
  for (size_t i = 0; in[0].ranked() && i < 3; ++i) {
    if (dims_equal(in[0].shape[i], want[i]) != false) continue;
    return input_error(0, "(weights) has shape ", in[0].shape.str(), ", expected [", want[0], ", ", want[1], ", ", want[2], "]: N rows of ",
                       op.k, " codes of ", op.bits, " bits in blocks of ", op.block_size);
  }
  TENON_TRY(expect_count(in, 1, "scales", op.n, blocks));
  if (has(in, 2)) {
    TENON_TRY(expect_dtype(in, 2, {DType::kUint8, in[1].dtype}));
    const bool packed = in[2].dtype == DType::kUint8;
    const int64_t per_byte = 8 / op.bits;
    TENON_TRY(expect_count(in, 2, "zero points", op.n, packed ? (blocks - 1) / per_byte + 1 : blocks));
  }
  if (has(in, 3)) {
    TENON_TRY(expect_dtype(in, 3, {DType::kInt32}));
    TENON_TRY(expect_count(in, 3, "groups", 1, op.k));
  }
  return Types{Type::of(in[1].dtype, Shape{op.n, op.k})};
}

Result<Step> bind(const DequantizeBits& op, const BindContext& ctx) {
  kernels::DequantizeBitsParams p{.dtype = ctx.dtype(1), .bits = static_cast<int>(op.bits), .n = op.n, .k = op.k, .block = op.block_size};
  if (ctx.has_input(2)) p.zero = ctx.dtype(2);
  p.groups = ctx.has_input(3);
  const Cut c = cut(op.n, 2 * static_cast<double>(op.k));
  p.chunk = c.chunk;
  return ctx.choose(kernels::dequantize_bits, p, c.parts, c.nanoseconds);
}

}  // namespace tenon::ops
