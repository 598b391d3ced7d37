#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/gemm.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/dot-inl.h"
#include "kernels/gemm/part-inl.h"
#include "kernels/gemm/tile-inl.h"
#include "kernels/onednn/onednn.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

template <class T>
const T* PanelsOf(const GemmParams& p, const Call& call) {
  return p.shared_b ? reinterpret_cast<const T*>(call.shared) : call.in<T>(p.swapped ? 0 : 1);
}

template <class T>
void Panels(const GemmParams& p, const Call& call, Range range) {
  constexpr int64_t kBlockDepth = block_depth(sizeof(T)), kPanel = kPanelOf<T>;
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
      a = TakeRows(p, call.src[p.swapped ? 1 : 0], part.a, first, first + rows, packed);
      held = part.block;
    }
    const auto slice = [&](int64_t panel, int64_t k) { return panels + part.b + (panel * p.k + k) * kPanel; };
    for (int64_t begin = part.panel_begin; begin < part.panel_end; begin += group) {
      const int64_t end = std::min(begin + group, part.panel_end);
      for (int64_t k = 0; k == 0 || k < p.k; k += kBlockDepth) {
        for (int64_t panel = begin; panel < end; ++panel) {
          TileArgsOf<T> t;
          t.k = std::min(kBlockDepth, p.k - k);
          t.b = slice(panel, k);
          const bool same = panel + 1 < end;  // slice of the next panel, or the next slice of the first one, or the next group's
          t.ahead = reinterpret_cast<uintptr_t>(same                    ? slice(panel + 1, k)
                                                : k + kBlockDepth < p.k ? slice(begin, k + kBlockDepth)
                                                                        : slice(end, 0));
          const auto bytes = static_cast<uintptr_t>(t.k * kPanel) * sizeof(T);
          MultiplySlice(p, part, panel, k, a, sums + (panel - begin) * part_rows(p) * kPanel, bytes, t, finisher);
        }
      }
    }
  }
}

template <class T>
void FewRows(const GemmParams& p, const Call& call, Range range) {
  constexpr int64_t kPanel = kPanelOf<T>;
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
    t.k = p.k;
    t.b_k = packed ? kPanel : p.b_k;
    if (IsOf<T>(p.dtype) && p.a_k == 1) {
      t.a = static_cast<const T*>(a) + part.a;
      t.a_m = p.a_m;
    } else {
      t.a = rows;
      t.a_m = p.k;
      if (held != part.block) {
        for (int64_t r = 0; r < p.m; ++r) LoadRow(p.dtype, a, part.a + r * p.a_m, p.a_k, p.k, rows + r * p.k);
        held = part.block;
      }
    }
    const TileFunctionOf<T> tile = kFewTilesOf<T>[p.m];
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      const int64_t col = panel * kPanel;
      if (packed) {
        t.b = b + part.b + panel * p.k * kPanel;
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
  return p.dtype == DType::kFloat64 ? Panels<double>(p, call, range) : Panels<float>(p, call, range);
}

/// At most kFewRows rows: B is streamed once, A is read where it lies.
void GemmFewRows(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? FewRows<double>(p, call, range) : FewRows<float>(p, call, range);
}

/// At most kFewRows rows, and columns of B contiguous: one dot product an element.
void GemmDots(const GemmParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? DotProducts<double>(p, call, range) : DotProducts<float>(p, call, range);
}

/// At most kFewRows rows of bfloat16: sums by oneDNN in float32, a slice of the columns a part; the rest as for every product.
void GemmOneDnn(const GemmParams& p, const Call& call, Range range) {
  const onednn::Slices& slices = *p.slices;
  float* const products = reinterpret_cast<float*>(call.scratch + slices.scratch_bytes());
  float* const tile = products + p.m * slices.largest();
  Finisher finisher(p, call, tile + kTileRows * kPanel);
  for (int64_t index = range.begin; index < range.end; ++index) {
    GemmPart part;
    const int64_t first = slices.begin(index), columns = slices.begin(index + 1) - first;
    if (!slices.execute(index, {call.src[0], call.src[1], nullptr, products, call.scratch})) {
      call.fault->report(Fault::kLength, p.m * columns, 0, -1);  // no memory for oneDNN's own few objects
      return;
    }
    for (int64_t col = 0; col < columns; col += kPanel) {
      for (int64_t r = 0; r < p.m; ++r) std::memcpy(tile + r * kPanel, products + r * columns + col, kPanel * sizeof(float));
      TileArgs t;  // no product of its own, as in GemmDots
      t.a = t.b = t.sums = tile;
      finisher.Begin(part, 0, p.m, first + col, t);
      kFewTiles[p.m](t);
      finisher.End();
    }
  }
}

namespace {

template <class T>
void PackPanels(const GemmPackParams& p, const Call& call, Range range) {
  constexpr int64_t kPanel = kPanelOf<T>, kLanes = kLanesOf<T>;
  const bool as_is = IsOf<T>(p.dtype);
  const void* const src = call.src[p.input];
  T* const dst = (p.to_shared ? reinterpret_cast<T*>(call.shared) : call.out<T>(0)) + p.to;
  const int64_t panels = p.panels();
  const int64_t width = panel_width(p.format, p.dtype);
  const int64_t panel_step = p.panel_step >= 0 ? p.panel_step : p.k * width;
  const int64_t batch_step = p.batch_step >= 0 ? p.batch_step : panels * panel_step;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const int64_t panel = index % panels;
    int64_t batch = index / panels, from = p.from + panel * width * p.b_n;
    T* const to = dst + batch * batch_step + panel * panel_step;
    for (int i = p.batch_rank; i-- > 0;) {
      from += batch % p.batch[i] * p.b_batch[i];
      batch /= p.batch[i];
    }
    const int64_t columns = std::min(width, p.n - panel * width);
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

}  // namespace

void GemmPack(const GemmPackParams& p, const Call& call, Range range) {
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
TENON_EXPORT(GemmOneDnn);
TENON_EXPORT(GemmPack);
TENON_EXPORT(GemmFewPlain);
}  // namespace

Kernel<GemmParams> GemmFewRowsPointer() { return TENON_POINTER(GemmFewRows); }
Kernel<GemmParams> GemmDotsPointer() { return TENON_POINTER(GemmDots); }
Kernel<GemmParams> GemmOneDnnPointer() { return TENON_POINTER(GemmOneDnn); }
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
