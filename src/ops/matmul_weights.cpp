#include <algorithm>

#include "base/load_memory.h"
#include "base/pieces.h"
#include "base/weight_cache.h"
#include "ops/joined_weights.h"

namespace tenon::ops {

namespace {

using kernels::GemmFormat;

constexpr int64_t kPackBytes = 256 << 10;  // of the source packed at a time: what has been read is in L2 when it is packed
constexpr int64_t kFewestRows = 8;         // less at a time scatters lines over the panels

/// Packs a stack of matrices of k rows and n columns piece by piece. In memory as [n, k] when `trans`.
class WeightPacker {
 public:
  WeightPacker(const Tensor& source, bool trans, GemmFormat format, int64_t k, int64_t n, std::byte* packed)
      : source_(source),
        trans_(trans),
        format_(format),
        k_(k),
        n_(n),
        packed_(packed),
        panel_(kernels::panel_width(format, source.dtype())),
        panel_step_(kernels::packed_rows(format, k) * panel_),
        elements_(kernels::packed_elements(format, k, n, source.dtype())) {
    const auto width = static_cast<int64_t>(size_of(source.dtype()));
    columns_ = trans ? panel_ : n;
    const int64_t row = columns_ * width;
    rows_ = std::clamp(kPackBytes / row / 2 * 2, std::min(k, kFewestRows), k);  // whole pairs
    room_ = static_cast<size_t>(rows_ * row);
    blocks_ = (k + rows_ - 1) / rows_;
    strips_ = (n + columns_ - 1) / columns_;
  }

  Status run() {
    const int64_t matrices = source_.count() / (k_ * n_);
    std::shared_ptr<Buffer> rooms;
    if (!source_.in_place()) {
      TENON_ASSIGN(rooms, LoadMemory::passing(room_ * static_cast<size_t>(LoadThreads::threads())));
    }
    return for_each_piece(matrices * blocks_ * strips_, [&](int64_t i, int thread) {
      std::byte* const room = rooms ? rooms->data() + room_ * static_cast<size_t>(thread) : nullptr;
      return piece(i / strips_ / blocks_, i / strips_ % blocks_ * rows_, i % strips_ * columns_, room);
    });
  }

 private:
  Status piece(int64_t matrix, int64_t row, int64_t column, std::byte* room) const {
    const int64_t rows = std::min(rows_, k_ - row), columns = std::min(columns_, n_ - column);
    kernels::GemmPackParams p{
        .dtype = source_.dtype(), .format = format_, .input = 0, .to_shared = false, .panel_step = panel_step_, .k = rows, .n = columns};
    // As in memory: lines of runs.
    const int64_t lines = trans_ ? columns : rows, run = trans_ ? rows : columns, line = trans_ ? k_ : n_;
    const int64_t first = matrix * k_ * n_ + (trans_ ? column * k_ + row : row * n_ + column);
    TENON_ASSIGN(const Lines read, source_lines(first, lines, line, run, room));
    p.b_k = trans_ ? 1 : read.step;
    p.b_n = trans_ ? read.step : 1;
    const void* src[] = {read.data};
    const int64_t to = matrix * elements_ + column / panel_ * panel_step_ + row * panel_;
    void* dst[] = {packed_ + to * kernels::packed_bytes(format_, source_.dtype())};
    kernels::Fault fault;
    kernels::Call call{.src = src, .dst = dst, .fault = &fault};
    kernels::GemmPackPointer()(p, call, {0, p.parts()});
    return {};
  }

  struct Lines {
    const std::byte* data;
    int64_t step;  ///< elements between lines
  };
  Result<Lines> source_lines(int64_t first, int64_t lines, int64_t line, int64_t run, std::byte* room) const {
    const size_t width = size_of(source_.dtype());
    const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements) * width; };
    if (source_.in_place() || run == line) {
      TENON_ASSIGN(const std::byte* data, source_.peek(bytes(first), bytes((lines - 1) * line + run), room));
      return Lines{data, line};
    }
    for (int64_t i = 0; i < lines; ++i) TENON_TRY(source_.peek(bytes(first + i * line), bytes(run), room + bytes(i * run)));
    return Lines{room, run};
  }

  const Tensor& source_;
  bool trans_;
  GemmFormat format_;
  int64_t k_, n_;
  std::byte* packed_;
  int64_t panel_;            ///< columns of a panel
  int64_t panel_step_;       ///< elements between panels
  int64_t elements_;         ///< of a packed matrix
  int64_t rows_, columns_;   ///< of a piece
  int64_t blocks_, strips_;  ///< pieces along k and n
  size_t room_;              ///< bytes of a piece
};

std::string recipe_of(GemmFormat format, DType dtype, bool trans_b) {
  return "panels " + std::to_string(static_cast<int>(format)) + " " + std::string(name_of(dtype)) + (trans_b ? " transposed" : "");
}

}  // namespace

Result<std::optional<PackedWeights>> pack_matmul_weights(const Tensor& b, bool trans_b, std::shared_ptr<Allocator> allocator) {
  const DType dtype = b.dtype();
  const bool packs = dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 || dtype == DType::kFloat64;
  if (!packs || b.rank() < 2 || b.count() == 0) return std::optional<PackedWeights>();
  Dims dims = b.dims();
  const size_t rank = dims.size();
  if (trans_b) std::swap(dims[rank - 1], dims[rank - 2]);
  const int64_t k = dims[rank - 2], n = dims[rank - 1];
  if (n == 1) return std::optional<PackedWeights>();
  const GemmFormat format = kernels::weights_format(dtype);
  const auto elements = checked_mul(kernels::packed_elements(format, k, n, dtype), b.count() / (k * n));
  const auto bytes = elements ? checked_mul(*elements, kernels::packed_bytes(format, dtype)) : std::nullopt;
  if (!bytes) return limit_error("packing a constant of shape ", str(b.dims()), " overflows");
  const auto pack = [&](std::byte* to) { return WeightPacker(b, trans_b, format, k, n, to).run(); };
  TENON_ASSIGN(auto buffer, kept_or_made({&b}, recipe_of(format, dtype, trans_b), static_cast<size_t>(*bytes), std::move(allocator), pack));
  PackedWeights packed{Tensor::view(dtype, std::move(dims), std::move(buffer)),
                       {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(format)}};
  return std::optional<PackedWeights>(std::move(packed));
}

Result<std::optional<PackedWeights>> pack_joined_weights(std::span<const Tensor* const, 3> b, bool trans_b) {
  const GemmFormat format = kernels::gemm_format();
  int64_t k = -1, n = 0;
  for (const Tensor* t : b) {
    if (t->dtype() != DType::kFloat32 || t->rank() != 2 || t->count() == 0) return std::optional<PackedWeights>();
    const int64_t rows = t->dims()[trans_b ? 1 : 0], columns = t->dims()[trans_b ? 0 : 1];
    if ((k >= 0 && rows != k) || columns % kernels::panel_width(format) != 0) return std::optional<PackedWeights>();
    k = rows;
    n += columns;
  }
  const auto bytes = checked_mul(kernels::packed_floats(format, k, n), 4);
  if (!bytes) return std::optional<PackedWeights>();
  const auto pack = [&](std::byte* to) -> Status {
    for (const Tensor* t : b) {
      const int64_t columns = t->count() / k;
      TENON_TRY(WeightPacker(*t, trans_b, format, k, columns, to).run());
      to += kernels::packed_floats(format, k, columns) * static_cast<int64_t>(sizeof(float));
    }
    return {};
  };
  TENON_ASSIGN(auto buffer,
               kept_or_made({b[0], b[1], b[2]}, recipe_of(format, DType::kFloat32, trans_b), static_cast<size_t>(*bytes), nullptr, pack));
  PackedWeights packed{Tensor::view(DType::kFloat32, {k, n}, std::move(buffer)),
                       {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(format)}};
  return std::optional<PackedWeights>(std::move(packed));
}

}  // namespace tenon::ops
