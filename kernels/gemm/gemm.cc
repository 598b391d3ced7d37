#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/gemm.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/dot-inl.h"
#include "kernels/gemm/part-inl.h"
#include "kernels/gemm/tile-inl.h"
#include "kernels/movement/copy.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

template <class T>
const T* PanelsOf(const GemmParams& p, const Call& call) {
  return p.shared_b ? reinterpret_cast<const T*>(call.shared) : call.in<T>(p.swapped ? 0 : 1);
}

/// What a product's tiles take for its operands: elements of T as they are.
template <class T>
struct Elements {
  using Element = T;
  using Product = MultiplyAdd;
  /// How many make a row of A.
  static int64_t Depth(const GemmParams& p) { return p.k; }
  /// Row k of a panel of the matrix that begins `part` elements into packed B.
  static const T* At(const GemmParams& p, const T* b, int64_t part, int64_t panel, int64_t k) {
    return b + part + (panel * p.k + k) * kPanelOf<T>;
  }
  static bool InPlace(const GemmParams& p) { return IsOf<T>(p.dtype) && p.a_k == 1; }
  static void LoadRow(const GemmParams& p, const void* a, int64_t from, T* to) { HWY_NAMESPACE::LoadRow(p.dtype, a, from, p.a_k, p.k, to); }
  static RowsOf<T> Rows(const GemmParams& p, const void* a, int64_t from, int64_t begin, int64_t end, T* packed) {
    return TakeRows(p, a, from, begin, end, packed);
  }
};

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
/// B of float16 as it is, two elements in the place of a float, A widened.
struct HalfElements : Elements<float> {
  using Product = WidenMultiplyAdd;
  static const float* At(const GemmParams& p, const float* b, int64_t part, int64_t panel, int64_t k) {
    return b + (part + (panel * packed_rows(p.format, p.k) + k) * kPanel) / 2;
  }
};
#endif

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
/// Pairs of bfloat16, each in the place of a float.
struct Pairs {
  using Element = float;
  using Product = MultiplyAddPairs;
  static int64_t Depth(const GemmParams& p) { return (p.k + 1) / 2; }
  static const float* At(const GemmParams& p, const float* b, int64_t part, int64_t panel, int64_t k) {
    return b + part / 2 + (panel * Depth(p) + k) * kPanel;
  }
  static bool InPlace(const GemmParams&) { return false; }
  static void LoadRow(const GemmParams& p, const void* a, int64_t from, float* to) { LoadPairs(a, from, p.a_k, p.k, to); }
  static RowsOf<float> Rows(const GemmParams& p, const void* a, int64_t from, int64_t begin, int64_t end, float* packed) {
    const int64_t depth = block_depth(p), step = row_stride(p);
    const RowsOf<float> result{packed, step, (end - begin) * step};
    for (int64_t r = begin; r < end; ++r, packed += step) {
      float* to = packed;
      for (int64_t k = 0; k < p.k; k += 2 * depth, to += result.block) {
        LoadPairs(a, from + r * p.a_m + k * p.a_k, p.a_k, std::min(2 * depth, p.k - k), to);
      }
    }
    return result;
  }
};
#endif

template <class Operands>
void Panels(const GemmParams& p, const Call& call, Range range) {
  using T = typename Operands::Element;
  constexpr int64_t kPanel = kPanelOf<T>;
  const int64_t depth = Operands::Depth(p), step = block_depth(p);
  const GemmScratch layout = gemm_scratch_layout(p);
  T* const packed = reinterpret_cast<T*>(call.scratch);
  T* const sums = packed + layout.a;
  FinisherOf<T> finisher(p, call, sums + layout.sums);
  const T* const panels = PanelsOf<T>(p, call);
  const int64_t group = group_panels(p);
  int64_t held = -1;
  RowsOf<T> a;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    const int64_t first = tile_row(p, part.tile_begin), rows = tile_row(p, part.tile_end) - first;
    if (held != part.block) {
      a = Operands::Rows(p, call.src[p.swapped ? 1 : 0], part.a, first, first + rows, packed);
      held = part.block;
    }
    const auto slice = [&](int64_t panel, int64_t k) { return Operands::At(p, panels, part.b, panel, k); };
    for (int64_t begin = part.panel_begin; begin < part.panel_end; begin += group) {
      const int64_t end = std::min(begin + group, part.panel_end);
      for (int64_t k = 0; k == 0 || k < depth; k += step) {
        for (int64_t panel = begin; panel < end; ++panel) {
          TileArgsOf<T> t;
          t.k = std::min(step, depth - k);
          t.b = slice(panel, k);
          const bool same = panel + 1 < end;  // slice of the next panel, or the next slice of the first one, or the next group's
          t.ahead = reinterpret_cast<uintptr_t>(same ? slice(panel + 1, k) : k + step < depth ? slice(begin, k + step) : slice(end, 0));
          const auto bytes = static_cast<uintptr_t>(t.k * kPanel) * sizeof(T) / (Operands::Product::kHalf ? 2 : 1);
          MultiplySlice<typename Operands::Product>(p, part, panel, k, depth, a, sums + (panel - begin) * part_rows(p) * kPanel, bytes, t,
                                                    finisher);
        }
      }
    }
  }
}

template <class Operands>
void FewRows(const GemmParams& p, const Call& call, Range range) {
  using T = typename Operands::Element;
  constexpr int64_t kPanel = kPanelOf<T>;
  const int64_t depth = Operands::Depth(p);
  const bool packed = p.format != GemmFormat::kNone;
  const void* const a = call.src[p.swapped ? 1 : 0];
  const T* const b = packed ? PanelsOf<T>(p, call) : call.in<T>(p.swapped ? 0 : 1);
  const GemmScratch layout = gemm_scratch_layout(p);
  T* const rows = reinterpret_cast<T*>(call.scratch);
  FinisherOf<T> finisher(p, call, rows + layout.a + layout.sums);
  int64_t held = -1;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    TileArgsOf<T> t;
    t.k = depth;
    t.b_k = packed ? kPanel : p.b_k;
    if (Operands::InPlace(p)) {
      t.a = static_cast<const T*>(a) + part.a;
      t.a_m = p.a_m;
    } else {
      t.a = rows;
      t.a_m = depth;
      if (held != part.block) {
        for (int64_t r = 0; r < p.m; ++r) Operands::LoadRow(p, a, part.a + r * p.a_m, rows + r * depth);
        held = part.block;
      }
    }
    const TileFunctionOf<T> tile = kFewTilesOf<T, typename Operands::Product>[p.m];
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      const int64_t col = panel * kPanel;
      if (packed) {
        t.b = Operands::At(p, b, part.b, panel, 0);
        finisher.Begin(part, 0, p.m, col, t);
        tile(t);
        finisher.End();
      } else {  // the last panel is moved left so that it stays inside B
        const int64_t moved = std::min(col, p.n - kPanel);
        t.b = b + part.b + moved;
        finisher.Begin(part, 0, p.m, moved, t);
        if (moved != col) finisher.Detour(t);
        tile(t);
        finisher.End(col - moved);
      }
    }
  }
}

template <class T>
void DotProducts(const GemmParams& p, const Call& call, Range range) {
  constexpr int64_t kPanel = kPanelOf<T>;
  const T* const a = call.in<T>(p.swapped ? 1 : 0);
  const T* const b = call.in<T>(p.swapped ? 0 : 1);
  T* const products = reinterpret_cast<T*>(call.scratch);
  FinisherOf<T> finisher(p, call, products + kTileRows * kPanel);
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      const int64_t col = panel * kPanel, columns = std::min(kPanel, p.n - col);
      DotRows(p.m, a + part.a, p.a_m, b + part.b + col * p.b_n, p.b_n, p.k, columns, products, kPanel);
      TileArgsOf<T> t;  // no product of its own: the dots come in as sums
      t.a = t.b = products;
      t.sums = products;
      finisher.Begin(part, 0, p.m, col, t);
      kFewTilesOf<T>[p.m](t);
      finisher.End();
    }
  }
}

}  // namespace

/// B packed. The rows of a part are packed once and stay in L2; a slice of a panel, block_depth deep, stays near while they pass.
void GemmPanels(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? Panels<Elements<double>>(p, call, range) : Panels<Elements<float>>(p, call, range);
}

/// At most kFewRows rows: B is streamed once, A is read where it lies.
void GemmFewRows(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? FewRows<Elements<double>>(p, call, range) : FewRows<Elements<float>>(p, call, range);
}

/// At most kFewRows rows, and columns of B contiguous: one dot product an element.
void GemmDots(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? DotProducts<double>(p, call, range) : DotProducts<float>(p, call, range);
}

/// float16 B and few tiles of rows: widened on its way into each of them.
void GemmHalfTiles(const GemmParams& p, const Call& call, Range range) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  return Panels<HalfElements>(p, call, range);
#else
  static_cast<void>(p), static_cast<void>(call), static_cast<void>(range);  // never taken: weights are widened when they are packed
#endif
}

/// bfloat16 B in pairs, multiplied as they are: half the bytes and twice the products of an instruction.
void GemmPairs(const GemmParams& p, const Call& call, Range range) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  return p.m <= kFewRows ? FewRows<Pairs>(p, call, range) : Panels<Pairs>(p, call, range);
#else
  static_cast<void>(p), static_cast<void>(call), static_cast<void>(range);  // never taken (has_bfloat16_products)
#endif
}

namespace {

/// Where a part of a packing reads and writes, in elements, and the columns that its panel has.
struct PanelPlace {
  int64_t from, to, columns;
  PanelPlace(const GemmPackParams& p, int64_t part) {
    const int64_t panels = p.panels(), width = panel_width(p.format, p.dtype), panel = part % panels;
    const int64_t panel_step = p.panel_step >= 0 ? p.panel_step : packed_rows(p.format, p.k) * width;
    int64_t batch = part / panels;
    from = p.from + panel * width * p.b_n;
    to = batch * (p.batch_step >= 0 ? p.batch_step : panels * panel_step) + panel * panel_step;
    columns = std::min(width, p.n - panel * width);
    for (int i = p.batch_rank; i-- > 0;) {
      from += batch % p.batch[i] * p.b_batch[i];
      batch /= p.batch[i];
    }
  }
};

template <class T>
void PackPanels(const GemmPackParams& p, const Call& call, Range range) {
  constexpr int64_t kPanel = kPanelOf<T>, kLanes = kLanesOf<T>;
  const bool as_is = IsOf<T>(p.dtype);
  const void* const src = call.src[p.input];
  T* const dst = (p.to_shared ? reinterpret_cast<T*>(call.shared) : call.out<T>(0)) + p.to;
  const int64_t width = panel_width(p.format, p.dtype);
  for (int64_t index = range.begin; index < range.end; ++index) {
    const PanelPlace place(p, index);
    const int64_t from = place.from, columns = place.columns;
    T* const to = dst + place.to;
    if (columns < width) {
      for (int64_t k = 0; k < p.k; ++k) {
        for (int64_t i = columns; i < width; ++i) to[k * width + i] = 0;
      }
    }
    if (as_is && p.b_k == 1 && p.b_n != 1) {
      constexpr int64_t kDepth = 64;  // rows of the panel that stay in L1 while columns are written into them
      for (int64_t k = 0; k < p.k; k += kDepth) {
        Transpose(static_cast<const T*>(src) + from + k, p.b_n, std::min(kDepth, p.k - k), columns, to + k * width, width);
      }
    } else if (p.b_n == 1 && as_is && columns == kPanel) {
      const TileTag<T> d;
      const T* from_row = static_cast<const T*>(src) + from;
      for (int64_t k = 0; k < p.k; ++k, from_row += p.b_k) {
        // Rows are often a multiple of a page apart, where hardware does not prefetch and L1 holds only a few of them.
        if (k + 24 < p.k) {
          __builtin_prefetch(from_row + 24 * p.b_k, 0, 2);
          __builtin_prefetch(from_row + 24 * p.b_k + kPanel - 1, 0, 2);
        }
        hn::StoreU(hn::LoadU(d, from_row), d, to + k * kPanel);
        hn::StoreU(hn::LoadU(d, from_row + kLanes), d, to + k * kPanel + kLanes);
      }
    } else if (p.b_n == 1 && sizeof(T) == sizeof(float)) {
      if constexpr (sizeof(T) == sizeof(float)) LoadRows(p.dtype, src, from, p.b_k, p.k, columns, to, width);
    } else if (p.b_n == 1) {
      for (int64_t k = 0; k < p.k; ++k) LoadRow(p.dtype, src, from + k * p.b_k, 1, columns, to + k * width);
    } else {
      T row[kPanel];
      for (int64_t i = 0; i < columns; ++i) {
        for (int64_t k = 0; k < p.k; k += kPanel) {
          const int64_t n = std::min(kPanel, p.k - k);
          LoadRow(p.dtype, src, from + i * p.b_n + k * p.b_k, p.b_k, n, row);
          for (int64_t j = 0; j < n; ++j) to[(k + j) * width + i] = row[j];
        }
      }
    }
  }
}

/// Runs of `rows` items of `item` elements, from columns b_n elements apart, to rows `width` items apart.
void TransposeRun(const uint16_t* src, int64_t b_n, int64_t item, int64_t rows, int64_t columns, uint16_t* dst, int64_t width) {
  if (rows == 0) return;
  constexpr auto kSize = static_cast<int64_t>(sizeof(uint16_t));
  const int64_t bytes = item * kSize;
  CopyParams copy;
  copy.element = static_cast<int32_t>(bytes);
  copy.k = {rows, bytes, width * bytes};
  copy.l = {columns, b_n * kSize, bytes};
  copy.k_block = rows, copy.l_block = columns;
  const void* const from[] = {src};
  void* const to[] = {dst};
  copy_transposed()(copy, {.src = from, .dst = to}, {0, 1});
}

/// The same with elements of 16 bits, which stay as they are.
void PackHalves(const GemmPackParams& p, const Call& call, Range range) {
  const auto* const src = static_cast<const uint16_t*>(call.src[p.input]);
  uint16_t* const dst = (p.to_shared ? reinterpret_cast<uint16_t*>(call.shared) : call.out<uint16_t>(0)) + p.to;
  const bool pairs = p.dtype == DType::kBFloat16;
  const int64_t width = panel_width(p.format), rows = packed_rows(p.format, p.k);
  for (int64_t index = range.begin; index < range.end; ++index) {
    const PanelPlace place(p, index);
    const int64_t columns = place.columns;
    uint16_t* const to = dst + place.to;
    if (columns < width || rows != p.k) std::memset(to, 0, static_cast<size_t>(rows * width) * sizeof(uint16_t));
    const uint16_t* const first = src + place.from;
    if (pairs && p.b_k == 1) {
      TransposeRun(first, p.b_n, 2, p.k / 2, columns, to, width);
      for (int64_t i = 0; p.k % 2 != 0 && i < columns; ++i) to[(rows - 2) * width + 2 * i] = first[i * p.b_n + p.k - 1];
    } else if (pairs) {
      for (int64_t k = 0; k < p.k; ++k) {
        uint16_t* const row = to + k / 2 * 2 * width + k % 2;
        const uint16_t* const from_row = first + k * p.b_k;
        for (int64_t i = 0; i < columns; ++i) row[2 * i] = from_row[i * p.b_n];
      }
    } else if (p.b_k == 1) {
      TransposeRun(first, p.b_n, 1, p.k, columns, to, width);
    } else {
      for (int64_t k = 0; k < p.k; ++k) CopyRow(first + k * p.b_k, p.b_n, columns, to + k * width);
    }
  }
}

}  // namespace

void GemmPack(const GemmPackParams& p, const Call& call, Range range) {
  if (is_halves(p.format)) return PackHalves(p, call, range);
  return p.dtype == DType::kFloat64 ? PackPanels<double>(p, call, range) : PackPanels<float>(p, call, range);
}

void GemmFewPlain(const FewArgs& f) {
  TileArgs t;
  t.a_m = f.a_m;
  t.k = f.k;
  for (int64_t col = 0; col < f.n; col += kPanel) {
    const int64_t columns = std::min(kPanel, f.n - col);
    const bool whole = columns == kPanel;
    float bias[kPanel];
    if (f.bias != nullptr) {
      if (!whole) {
        std::memset(bias, 0, sizeof(bias));
        std::memcpy(bias, f.bias + col, static_cast<size_t>(columns) * sizeof(float));
      }
      t.bias = whole ? f.bias + col : bias;
    }
    t.b = f.panels + col * f.k;
    for (int64_t row = 0; row < f.m; row += kFewRows) {  // the panel stays in L1
      const int64_t rows = std::min<int64_t>(kFewRows, f.m - row);
      t.a = f.a + row * f.a_m;
      t.c = whole ? f.c + row * f.c_m + col : f.tile;
      t.c_m = whole ? f.c_m : kPanel;
      kFewTiles[rows](t);
      if (whole) continue;
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(f.c + (row + r) * f.c_m + col, f.tile + r * kPanel, static_cast<size_t>(columns) * sizeof(float));
      }
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(GemmFewRows);
TENON_EXPORT(GemmDots);
TENON_EXPORT(GemmPanels);
TENON_EXPORT(GemmHalfTiles);
TENON_EXPORT(GemmPairs);
TENON_EXPORT(GemmPack);
TENON_EXPORT(GemmFewPlain);
}  // namespace

Kernel<GemmParams> GemmFewRowsPointer() { return TENON_POINTER(GemmFewRows); }
Kernel<GemmParams> GemmDotsPointer() { return TENON_POINTER(GemmDots); }
Kernel<GemmParams> GemmHalfTilesPointer() { return TENON_POINTER(GemmHalfTiles); }
Kernel<GemmParams> GemmPairsPointer() { return TENON_POINTER(GemmPairs); }
Kernel<GemmParams> GemmPanelsPointer() { return TENON_POINTER(GemmPanels); }
Kernel<GemmPackParams> GemmPackPointer() { return TENON_POINTER(GemmPack); }
GemmFew gemm_few() { return TENON_POINTER(GemmFewPlain); }

namespace {
const Row<GemmParams> kRows[] = {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(GemmParams, Name, when, why)
#include "kernels/gemm/gemm.inc"
#undef KERNEL
};
}  // namespace
const Table<GemmParams> gemm{"gemm", kRows, std::size(kRows)};

}  // namespace tenon::kernels
#endif
