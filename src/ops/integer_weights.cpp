#include <algorithm>

#include "base/load_memory.h"
#include "base/pieces.h"
#include "base/weight_cache.h"
#include "kernels/integer/integer.h"
#include "ops/qlinear_matmul.h"

namespace tenon::ops {

namespace {

constexpr int64_t kPackBytes = 256 << 10;  // of the source packed at a time: what has been read is in L2 when it is packed

/// Packs a stack of matrices into `to`: some rows of a matrix at a time, read where they are late; then the sums of columns.
Status pack(const Tensor& b, kernels::IntegerPackParams p, int64_t matrices, std::byte* to) {
  const int64_t k = p.k, n = p.n, matrix = kernels::integer_panels_bytes(p.format, k, n);
  const int64_t rows = std::clamp<int64_t>(kPackBytes / n / 4 * 4, std::min<int64_t>(k, 8), k), blocks = (k + rows - 1) / rows;
  const auto room = static_cast<size_t>(rows * n);
  std::shared_ptr<Buffer> rooms;
  if (!b.in_place()) {
    TENON_ASSIGN(rooms, LoadMemory::passing(room * static_cast<size_t>(LoadThreads::threads())));
  }
  kernels::Fault fault;
  TENON_TRY(for_each_piece(matrices * blocks, [&](int64_t i, int thread) -> Status {
    kernels::IntegerPackParams piece = p;
    piece.sum = false;
    piece.row = i % blocks * rows;
    piece.rows = std::min(rows, k - piece.row);
    const auto from = static_cast<size_t>((i / blocks * k + piece.row) * n);
    std::byte* const place = rooms ? rooms->data() + room * static_cast<size_t>(thread) : nullptr;
    TENON_ASSIGN(const std::byte* data, b.peek(from, static_cast<size_t>(piece.rows * n), place));
    const void* src[] = {data};
    void* dst[] = {to + i / blocks * matrix};
    kernels::IntegerPackPointer()(piece, {.src = src, .dst = dst, .fault = &fault}, {0, piece.parts()});
    return {};
  }));
  p.matrices = matrices;
  return for_each_piece(p.parts(), [&](int64_t i, int) -> Status {
    const void* src[] = {nullptr};
    void* dst[] = {to};
    kernels::IntegerPackPointer()(p, {.src = src, .dst = dst, .fault = &fault}, {i, i + 1});
    return {};
  });
}

}  // namespace

Result<std::optional<PackedWeights>> pack_integer_weights(const Tensor& b, std::shared_ptr<Allocator> allocator) {
  const bool packs = b.dtype() == DType::kInt8 || b.dtype() == DType::kUint8;
  if (!packs || b.rank() < 2 || b.count() == 0 || b.dims().back() == 1) return std::optional<PackedWeights>();
  const auto rank = b.dims().size();
  const int64_t k = b.dims()[rank - 2], n = b.dims()[rank - 1], matrices = b.count() / (k * n);
  const kernels::IntegerPackParams p{
      .dtype = b.dtype(), .format = kernels::integer_panels(), .input = 0, .to_shared = false, .k = k, .n = n};
  const auto bytes = checked_mul(kernels::integer_panels_bytes(p.format, k, n), matrices);
  if (!bytes) return limit_error("packing a constant of shape ", str(b.dims()), " overflows");
  const std::string recipe =
      "integer panels " + std::to_string(static_cast<int>(p.format)) + " of " + std::string(name_of(b.dtype())) + str(b.dims());
  TENON_ASSIGN(auto buffer, kept_or_made({&b}, recipe, static_cast<size_t>(*bytes), std::move(allocator),
                                         [&](std::byte* to) { return pack(b, p, matrices, to); }));
  PackedWeights packed{Tensor::view(b.dtype(), b.dims(), std::move(buffer)),
                       {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(p.format)}};
  return std::optional<PackedWeights>(std::move(packed));
}

}  // namespace tenon::ops
