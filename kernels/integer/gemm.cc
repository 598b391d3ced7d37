#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/gemm.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/integer/blocking.h"
#include "kernels/integer/finish-inl.h"
#include "kernels/integer/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// The rows of A of one part, packed, with what goes with each.
template <class Rows>
class PackedRows {
 public:
  PackedRows(const IntegerGemmParams& p, const Call& call, std::byte* scratch, const IntegerScratch& layout)
      : p_(p),
        call_(call),
        packed_(reinterpret_cast<typename Rows::Group*>(scratch)),
        centred_(reinterpret_cast<int32_t*>(scratch + layout.packed)),
        zeros_(centred_ + layout.rows),
        scales_(reinterpret_cast<float*>(zeros_ + layout.rows)) {}

  void hold(const ProductPart& part) {
    first_ = tile_row(p_, part.tile_begin);
    if (held_ == part.block) return;
    held_ = part.block;
    const uint8_t* a = call_.in<uint8_t>(0) + batch_offset(p_, part, p_.a_batch);
    const int64_t zero = batch_offset(p_, part, p_.a_zeros.batch), scale = batch_offset(p_, part, p_.a_scales.batch);
    for (int64_t tile = part.tile_begin; tile < part.tile_end; ++tile) {
      const int64_t begin = tile_row(p_, tile), end = tile_row(p_, tile + 1);
      PackTile(a + begin * p_.k, to_signed(p_.a), p_.k, end - begin, tile_at(begin), centred_ + begin - first_);
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r - first_;
        zeros_[at] = p_.a_zero ? signed_zero(p_.a, call_.src[2], zero + r * p_.a_zeros.step) : p_.a == DType::kUint8 ? -128 : 0;
        centred_[at] = static_cast<int32_t>(static_cast<uint32_t>(centred_[at]) - wrapping_mul(static_cast<int32_t>(p_.k), zeros_[at]));
        scales_[at] = 1;
        if (p_.c != DType::kInt32) LoadRow(p_.scale, call_.src[1], scale + r * p_.a_scales.step, 1, 1, scales_ + at);
      }
    }
  }

  /// The packed tile that begins with row `row` of A.
  typename Rows::Group* tile_at(int64_t row) const { return packed_ + (row - first_) * groups_of(p_.k); }
  /// What goes with it.
  RowsFinish finish_at(int64_t row) const { return {zeros_ + row - first_, centred_ + row - first_, scales_ + row - first_}; }

 private:
  const IntegerGemmParams& p_;
  const Call& call_;
  typename Rows::Group* packed_;
  int32_t* centred_;
  int32_t* zeros_;
  float* scales_;
  int64_t held_ = -1, first_ = 0;
};

/// What the columns of one panel bring along.
class Columns {
 public:
  /// `room`: three rows of a panel.
  Columns(const IntegerGemmParams& p, const Call& call, int32_t* room)
      : p_(p), call_(call), zeros_(room), scales_(reinterpret_cast<float*>(room + kPanel)), bias_(scales_ + kPanel) {
    if (p.c != DType::kInt8 && p.c != DType::kUint8) return;
    LoadRow(p.scale, call.src[6], 0, 1, 1, &finish_.divisor);
    if (p.c_zero) finish_.zero = p.c == DType::kInt8 ? *call.in<int8_t>(7) : *call.in<uint8_t>(7);
  }

  const PanelFinish& begin(const ProductPart& part, int64_t column, const uint8_t* panel) {
    finish_.column_sums = reinterpret_cast<const int32_t*>(panel + groups_of(p_.k) * kPanel * 4);
    const int64_t n = std::min(kPanel, p_.n - column);
    const int64_t from = batch_offset(p_, part, p_.b_zeros.batch) + column * p_.b_zeros.step;
    if (p_.b_zero && p_.b_zeros.step != 0) {
      for (int64_t i = 0; i < kPanel; ++i) zeros_[i] = i < n ? unsigned_zero(p_.b, call_.src[5], from + i * p_.b_zeros.step) : 0;
      finish_.column_zeros = zeros_;
    } else {
      finish_.column_zero = p_.b_zero ? unsigned_zero(p_.b, call_.src[5], from) : p_.b == DType::kInt8 ? 128 : 0;
    }
    if (p_.c == DType::kInt32) return finish_;
    const bool each = p_.b_scales.step != 0;
    if (each) std::memset(scales_, 0, static_cast<size_t>(kPanel) * sizeof(float));
    LoadRow(p_.scale, call_.src[4], batch_offset(p_, part, p_.b_scales.batch) + column * p_.b_scales.step, 1, each ? n : 1, scales_);
    finish_.scales = each ? scales_ : nullptr;
    finish_.scale = scales_[0];
    if (!p_.bias) return finish_;
    std::memset(bias_, 0, static_cast<size_t>(kPanel) * sizeof(float));
    std::memcpy(bias_, call_.in<float>(8) + column, static_cast<size_t>(n) * sizeof(float));
    finish_.bias = bias_;
    return finish_;
  }

 private:
  const IntegerGemmParams& p_;
  const Call& call_;
  PanelFinish finish_;
  int32_t* zeros_;
  float* scales_;
  float* bias_;
};

/// The rows of a part are packed once and stay in L2 while panels of B pass by.
template <class Rows>
void Gemm(const IntegerGemmParams& p, const Call& call, Range range) {
  const IntegerScratch layout = integer_scratch(p);
  PackedRows<Rows> rows(p, call, call.scratch, layout);
  int32_t* const sums = reinterpret_cast<int32_t*>(call.scratch + layout.packed) + 3 * layout.rows;
  Columns columns(p, call, sums + kTileRows * kPanel);
  const uint8_t* const b = p.shared_b ? reinterpret_cast<const uint8_t*>(call.shared) : call.in<uint8_t>(3);
  const int64_t groups = groups_of(p.k), panel_bytes = integer_panel_bytes(kPanel, p.k);
  for (int64_t index = range.begin; index < range.end; ++index) {
    const ProductPart part = product_part(p, index);
    rows.hold(part);
    const uint8_t* const matrix = b + batch_offset(p, part, p.b_batch);
    const int64_t c = batch_offset(p, part, p.c_batch);
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      DotArgs t;
      t.panel = matrix + panel * panel_bytes;
      t.groups = groups;
      t.sums = sums;
      // Each tile fetches its share of the panel that follows, so that B arrives at memory speed behind the multiplications.
      const auto share = static_cast<uintptr_t>(panel_bytes) / static_cast<uintptr_t>(part.tile_end - part.tile_begin);
      t.ahead = reinterpret_cast<uintptr_t>(t.panel) + static_cast<uintptr_t>(panel_bytes);
      t.ahead_k = share / static_cast<uintptr_t>(std::max<int64_t>(1, groups));
      const int64_t column = panel * kPanel, n = std::min(kPanel, p.n - column);
      const PanelFinish& finish = columns.begin(part, column, t.panel);
      for (int64_t tile = part.tile_begin; tile < part.tile_end; ++tile, t.ahead += share) {
        const int64_t row = tile_row(p, tile), height = tile_row(p, tile + 1) - row;
        t.rows = rows.tile_at(row);
        kDotTiles<Rows>[static_cast<size_t>(height)](t);
        const auto done = [&](auto* out) { FinishTile(finish, rows.finish_at(row), height, sums, n, out + c + row * p.n + column, p.n); };
        switch (p.c) {
          case DType::kInt32: done(call.out<int32_t>(0)); break;
          case DType::kFloat32: done(call.out<float>(0)); break;
          case DType::kUint8: done(call.out<uint8_t>(0)); break;
          default: done(call.out<int8_t>(0)); break;
        }
      }
    }
  }
}

}  // namespace

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
void GemmBytes(const IntegerGemmParams& p, const Call& call, Range range) { Gemm<Bytes>(p, call, range); }
#else
void GemmBytes(const IntegerGemmParams& p, const Call& call, Range range) { Gemm<Words>(p, call, range); }
#endif
void GemmWords(const IntegerGemmParams& p, const Call& call, Range range) { Gemm<Words>(p, call, range); }

void IntegerPack(const IntegerPackParams& p, const Call& call, Range range) {
  auto* const to = p.to_shared ? reinterpret_cast<uint8_t*>(call.shared) : call.out<uint8_t>(0);
  const int64_t panels = p.panels(), panel_bytes = integer_panel_bytes(kPanel, p.k), groups = groups_of(p.k);
  const uint8_t flip = to_unsigned(p.dtype);
  uint8_t lines[4][kPanel];
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t panel = part % panels, column = panel * kPanel, n = std::min(kPanel, p.n - column);
    uint8_t* const out = to + part * panel_bytes;
    for (int64_t row = 0; row < p.rows; row += 4) {
      const uint8_t* const src = call.in<uint8_t>(p.input) + (part / panels * p.rows + row) * p.n + column;
      uint8_t* const group = out + (p.row + row) * kPanel;
      if (n == kPanel && row + 4 <= p.rows) {
        PackGroup(src, src + p.n, src + 2 * p.n, src + 3 * p.n, flip, group);
        continue;
      }
      for (int64_t i = 0; i < 4; ++i) {
        std::memset(lines[i], flip, sizeof(lines[i]));
        if (row + i < p.rows) std::memcpy(lines[i], src + i * p.n, static_cast<size_t>(n));
      }
      PackGroup(lines[0], lines[1], lines[2], lines[3], flip, group);
    }
    if (p.sum) SumColumns(out, groups, reinterpret_cast<int32_t*>(out + groups * kPanel * 4));
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(GemmBytes);
TENON_EXPORT(GemmWords);
TENON_EXPORT(IntegerPack);
}  // namespace

Kernel<IntegerGemmParams> IntegerGemmBytesPointer() { return TENON_POINTER(GemmBytes); }
Kernel<IntegerGemmParams> IntegerGemmWordsPointer() { return TENON_POINTER(GemmWords); }
Kernel<IntegerPackParams> IntegerPackPointer() { return TENON_POINTER(IntegerPack); }

namespace {
const Row<IntegerGemmParams> kRows[] = {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(IntegerGemmParams, Name, when, why)
#include "kernels/integer/gemm.inc"
#undef KERNEL
};
}  // namespace
const Table<IntegerGemmParams> integer_gemm{"integer_gemm", kRows, std::size(kRows)};

}  // namespace tenon::kernels
#endif
