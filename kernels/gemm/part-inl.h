// What kernels of products share around their tiles: rows of A as blocks, and what becomes of the sums. Re-included once per Highway target.
#if defined(TENON_KERNELS_GEMM_PART_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_GEMM_PART_INL_H_
#undef TENON_KERNELS_GEMM_PART_INL_H_
#else
#define TENON_KERNELS_GEMM_PART_INL_H_
#endif

#include <type_traits>

#include "hwy/highway.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/gemm/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {

/// Whether operands of `dtype` are T as they are.
template <class T>
HWY_INLINE bool IsOf(DType dtype) {
  return dtype == (sizeof(T) == sizeof(double) ? DType::kFloat64 : DType::kFloat32);
}

/// Rows of A for tiles: in blocks of block_depth columns.
template <class T>
struct RowsOf {
  const T* at = nullptr;
  int64_t step = 0;   ///< elements between rows
  int64_t block = 0;  ///< elements between blocks
};
using Rows = RowsOf<float>;

/// Rows [begin, end) of A: where they lie, or copied to `packed`, block after block, each holding all rows. Those are read whole, as a
/// stream.
template <class T>
HWY_NOINLINE RowsOf<T> TakeRows(const GemmParams& p, const void* a, int64_t from, int64_t begin, int64_t end, T* packed) {
  const int64_t depth = block_depth(p), stride = row_stride(p);
  if (rows_in_place(p)) return {static_cast<const T*>(a) + from + begin * p.a_m, p.a_m, depth};
  const RowsOf<T> result{packed, stride, (end - begin) * stride};
  if (IsOf<T>(p.dtype) && p.a_m == 1 && p.a_k != 1) {
    for (int64_t k = 0; k < p.k; k += depth, packed += result.block) {
      Transpose(static_cast<const T*>(a) + from + begin + k * p.a_k, p.a_k, end - begin, std::min(depth, p.k - k), packed, stride);
    }
    return result;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (p.a_k == 1) {
      for (int64_t k = 0; k < p.k; k += depth, packed += result.block) {
        LoadRows(p.dtype, a, from + begin * p.a_m + k, p.a_m, end - begin, std::min(depth, p.k - k), packed, stride);
      }
      return result;
    }
  }
  for (int64_t r = begin; r < end; ++r, packed += stride) {
    T* to = packed;
    for (int64_t k = 0; k < p.k; k += depth, to += result.block) {
      LoadRow(p.dtype, a, from + r * p.a_m + k * p.a_k, p.a_k, std::min(depth, p.k - k), to);
    }
  }
  return result;
}

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
/// Whole vectors of results to bfloat16 by one instruction (VCVTNEPS2BF16): as narrow_half does it, but that denormals become zeros, which
/// sums are not while denormals are flushed. As an assembler line because none of this Highway's targets switches it on.
HWY_NOINLINE inline void NarrowSums(const float* src, void* dst, int64_t n) {
  const hn::Rebind<uint16_t, DF> d;
  for (int64_t i = 0; i < n; i += kLanes) {
    hn::Vec<decltype(d)> narrow;
    asm("vcvtneps2bf16 %1, %0" : "=v"(narrow.raw) : "v"(hn::LoadU(DF(), src + i).raw));
    hn::StoreU(narrow, d, static_cast<uint16_t*>(dst) + i);
  }
}
#endif
/// How tiles of results become `dtype`; null for float32.
inline Narrow NarrowFor(DType dtype) {
  if (!is_half(dtype)) return nullptr;
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  if (dtype == DType::kBFloat16 && has_bfloat16_products()) return &NarrowSums;
#endif
  return narrow_half(dtype);
}

/// Gives each tile what is added to its sums and a place to put its results, and moves them on when that place is not C itself.
class Finisher {
 public:
  /// `scratch`: two tiles and a row.
  Finisher(const GemmParams& p, const Call& call, float* scratch)
      : p_(p),
        narrow_(NarrowFor(p.dtype)),
        addend_(p.addend ? call.src[2] : nullptr),
        residual_(p.residual ? call.src[3] : nullptr),
        c_(call.dst[0]),
        init_(scratch),
        out_(init_ + kTileRows * kPanel),
        bias_(out_ + kTileRows * kPanel) {}

  /// Whether tiles of the panel that begins at column `col` go to C as they are, with nothing added. Prepares what they have in common.
  HWY_INLINE bool BeginPlain(int64_t col, TileArgs& t) const {
    if (p_.dtype != DType::kFloat32 || p_.n - col < kPanel || p_.tile != nullptr || addend_ != nullptr || residual_ != nullptr)
      return false;
    t.c_m = p_.c_m;
    t.alpha = p_.alpha;
    t.clamp = p_.clamps();
    t.low = p_.low;
    t.high = p_.high;
    return true;
  }
  HWY_INLINE float* Place(const GemmPart& part, int64_t row, int64_t col) const {
    return static_cast<float*>(c_) + part.c + row * p_.c_m + col;
  }

  /// Prepares the last block of `rows` rows from `row` on and the panel that begins at column `col`, of the matrices of `part`.
  HWY_NOINLINE void Begin(const GemmPart& part, int64_t row, int64_t rows, int64_t col, TileArgs& t) {
    at_ = part.c + row * p_.c_m + col;
    rows_ = rows;
    columns_ = std::min(kPanel, p_.n - col);
    const bool plain = p_.dtype == DType::kFloat32, whole = columns_ == kPanel;
    direct_ = plain && whole && p_.tile == nullptr;
    t.c = direct_ ? static_cast<float*>(c_) + at_ : out_;
    t.c_m = direct_ ? p_.c_m : kPanel;
    t.finish = true;
    t.alpha = p_.alpha;
    t.clamp = p_.clamps();
    t.low = p_.low;
    t.high = p_.high;
    t.bias = t.init = nullptr;
    t.init_m = kPanel;
    bool built = false;
    if (addend_ != nullptr) {
      const int64_t from = part.d + row * p_.d_m + col * p_.d_n;
      const bool as_is = plain && whole && p_.beta == 1 && p_.d_n == 1;
      if (p_.d_m == 0 && p_.d_n == 1 && p_.beta == 1) {
        t.bias = as_is ? static_cast<const float*>(addend_) + from : bias_;
        if (!as_is) LoadRow(p_.dtype, addend_, from, 1, columns_, bias_);
      } else if (as_is && residual_ == nullptr) {
        t.init = static_cast<const float*>(addend_) + from;
        t.init_m = p_.d_m;
      } else {
        for (int64_t r = 0; r < rows; ++r) {
          float* to = init_ + r * kPanel;
          LoadRow(p_.dtype, addend_, from + r * p_.d_m, p_.d_n, columns_, to);
          for (int64_t i = 0; i < columns_; ++i) to[i] *= p_.beta;
        }
        t.init = init_;
        built = true;
      }
    }
    if (residual_ == nullptr) return;
    if (plain && whole && !built) {
      t.init = static_cast<const float*>(residual_) + at_;
      t.init_m = p_.c_m;
      return;
    }
    float row_buffer[kPanel];
    for (int64_t r = 0; r < rows; ++r) {
      float* to = init_ + r * kPanel;
      LoadRow(p_.dtype, residual_, at_ + r * p_.c_m, 1, columns_, built ? row_buffer : to);
      if (built) {
        for (int64_t i = 0; i < columns_; ++i) to[i] += row_buffer[i];
      }
    }
    t.init = init_;
  }

  /// `skip`: leading columns that are not stored because another panel did.
  HWY_NOINLINE void End(int64_t skip = 0) {
    if (direct_) return;
    if (p_.tile != nullptr) p_.tile(p_.tile_alpha, p_.tile_beta, out_, out_, rows_ * kPanel);
    if (narrow_ == nullptr) {
      StoreRows(out_ + skip, static_cast<float*>(c_) + skip, columns_ - skip);
      return;
    }
    uint16_t narrowed[kTileRows * kPanel];
    narrow_(out_, narrowed, rows_ * kPanel);
    StoreRows(narrowed + skip, static_cast<uint16_t*>(c_) + skip, columns_ - skip);
  }

  /// Makes the next Begin..End go through the tile buffer even where C could be written directly.
  void Detour(TileArgs& t) {
    direct_ = false;
    t.c = out_;
    t.c_m = kPanel;
  }

 private:
  /// `columns` of every row of a tile, to C.
  template <class T>
  HWY_INLINE void StoreRows(const T* HWY_RESTRICT tile, T* HWY_RESTRICT c, int64_t columns) const {
    for (int64_t r = 0; r < rows_; ++r) {
      T* const to = c + at_ + r * p_.c_m;
      if (columns == kPanel) {
        std::memcpy(to, tile + r * kPanel, kPanel * sizeof(T));
      } else {
        std::memcpy(to, tile + r * kPanel, static_cast<size_t>(columns) * sizeof(T));
      }
    }
  }

  const GemmParams& p_;
  const Narrow narrow_;  ///< null where C is float32
  const void* addend_;
  const void* residual_;
  void* c_;
  float* init_;
  float* out_;
  float* bias_;
  int64_t at_ = 0, rows_ = 0, columns_ = 0;
  bool direct_ = false;
};

/// The same for float64, in two steps: what is added to the sums is added when the tile has been stored.
class Finisher64 {
 public:
  /// `scratch`: a tile.
  Finisher64(const GemmParams& p, const Call& call, double* scratch)
      : p_(p),
        addend_(p.addend ? call.in<double>(2) : nullptr),
        residual_(p.residual ? call.in<double>(3) : nullptr),
        c_(call.out<double>(0)),
        out_(scratch),
        adds_(p.alpha != 1 || p.addend || p.residual || p.clamps()) {}

  HWY_INLINE bool BeginPlain(int64_t col, TileArgsOf<double>& t) const {
    t.c_m = p_.c_m;
    return !adds_ && p_.n - col >= kPanelOf<double>;
  }
  HWY_INLINE double* Place(const GemmPart& part, int64_t row, int64_t col) const { return c_ + part.c + row * p_.c_m + col; }

  HWY_NOINLINE void Begin(const GemmPart& part, int64_t row, int64_t rows, int64_t col, TileArgsOf<double>& t) {
    at_ = part.c + row * p_.c_m + col;
    add_ = part.d + row * p_.d_m + col * p_.d_n;
    rows_ = rows;
    columns_ = std::min(kPanelOf<double>, p_.n - col);
    direct_ = !adds_ && columns_ == kPanelOf<double>;
    t.c = direct_ ? c_ + at_ : out_;
    t.c_m = direct_ ? p_.c_m : kPanelOf<double>;
  }

  HWY_NOINLINE void End(int64_t skip = 0) {
    if (direct_) return;
    for (int64_t r = 0; r < rows_; ++r) {
      double* const row = out_ + r * kPanelOf<double>;
      if (adds_) Finish(r, row);
      std::memcpy(c_ + at_ + r * p_.c_m + skip, row + skip, static_cast<size_t>(columns_ - skip) * sizeof(double));
    }
  }

  void Detour(TileArgsOf<double>& t) {
    direct_ = false;
    t.c = out_;
    t.c_m = kPanelOf<double>;
  }

 private:
  HWY_NOINLINE void Finish(int64_t r, double* HWY_RESTRICT row) const {
    const double alpha = p_.alpha, beta = p_.beta, low = p_.low, high = p_.high;
    for (int64_t i = 0; i < columns_; ++i) row[i] *= alpha;
    if (addend_ != nullptr) {
      const double* const from = addend_ + add_ + r * p_.d_m;
      if (p_.d_n == 1) {
        for (int64_t i = 0; i < columns_; ++i) row[i] += beta * from[i];
      } else {
        for (int64_t i = 0; i < columns_; ++i) row[i] += beta * from[i * p_.d_n];
      }
    }
    if (residual_ != nullptr) {
      for (int64_t i = 0; i < columns_; ++i) row[i] += residual_[at_ + r * p_.c_m + i];
    }
    if (p_.clamps()) {
      for (int64_t i = 0; i < columns_; ++i) row[i] = row[i] < low ? low : row[i] > high ? high : row[i];
    }
  }

  const GemmParams& p_;
  const double* addend_;
  const double* residual_;
  double* c_;
  double* out_;
  bool adds_;
  int64_t at_ = 0, add_ = 0, rows_ = 0, columns_ = 0;
  bool direct_ = false;
};

template <class T>
using FinisherOf = std::conditional_t<sizeof(T) == sizeof(double), Finisher64, Finisher>;

/// Tiles of a part's rows with a slice of a panel that starts at row k of `depth` of B: its rows are t.b, t.k of them. Sums wait in
/// `sums` until the last slice. Each tile fetches its share of the `ahead` bytes from t.ahead on, so that what follows arrives at memory
/// speed behind the multiplications.
template <class Product = MultiplyAdd, class T>
HWY_INLINE void MultiplySlice(const GemmParams& p, const GemmPart& part, int64_t panel, int64_t k, int64_t depth, const RowsOf<T>& from,
                              T* sums, uintptr_t ahead, TileArgsOf<T> t, FinisherOf<T>& finisher) {
  constexpr int64_t kPanel = kPanelOf<T>;
  const int64_t first = tile_row(p, part.tile_begin), step = block_depth(p);
  constexpr bool kHasHalves = std::is_same_v<Product, MultiplyAdd>;
  const auto& tiles = kHasHalves && p.n - panel * kPanel <= kLanesOf<T> ? kHalfTilesOf<T> : kPackedTilesOf<T, Product>;
  const T* const block = from.at + k / step * from.block + k % step;
  t.a_m = from.step;
  const bool last = k + t.k >= depth, plain = last && finisher.BeginPlain(panel * kPanel, t);
  const auto share = ahead / static_cast<uintptr_t>(part.tile_end - part.tile_begin);
  t.ahead_k = share / static_cast<uintptr_t>(std::max<int64_t>(1, t.k));
  int64_t end = first;
  for (int64_t tile = part.tile_begin; tile < part.tile_end; ++tile) {
    const int64_t row = end;
    end = tile_row(p, tile + 1);
    const int64_t height = end - row;
    t.a = block + (row - first) * from.step;
    T* const partial = sums + (row - first) * kPanel;
    t.sums = k > 0 ? partial : nullptr;
    if (plain) {
      t.c = finisher.Place(part, row, panel * kPanel);
      tiles[static_cast<size_t>(height)](t);
    } else if (last) {
      finisher.Begin(part, row, height, panel * kPanel, t);
      tiles[static_cast<size_t>(height)](t);
      finisher.End();
    } else {
      t.finish = false;
      t.c = partial;
      t.c_m = kPanel;
      tiles[static_cast<size_t>(height)](t);
    }
    t.ahead += share;
  }
}

/// Panels of B to be decoded.
struct Coded {
  const std::byte* b = nullptr;  ///< the first panel of a part's matrix 0
  int64_t element_bytes = 0;     ///< of a packed matrix, where there are several
  int64_t panel_bytes = 0;
  /// Rows [begin, end) of the panel at `panel` as floats, kPanel apart.
  void (*decode)(const GemmParams& p, const std::byte* panel, int64_t begin, int64_t end, float* to) = nullptr;
};

/// Products with panels that are decoded: a slice of a panel, decoded_rows(p) deep, once for all rows of a part, near which it stays while
/// they pass. Scratch is that of gemm_scratch_layout, and a slice behind it.
HWY_NOINLINE inline void MultiplyDecoded(const GemmParams& p, const Call& call, Range range, const Coded& coded) {
  const GemmScratch layout = gemm_scratch_layout(p);
  float* const packed = reinterpret_cast<float*>(call.scratch);
  float* const sums = packed + layout.a;
  Finisher finisher(p, call, sums + layout.sums);
  float* const slice = packed + layout.total();
  const int64_t step = decoded_rows(p);
  int64_t held = -1;
  Rows a;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const GemmPart part = gemm_part(p, index);
    const int64_t first = tile_row(p, part.tile_begin), rows = tile_row(p, part.tile_end) - first;
    if (held != part.block) {
      a = TakeRows(p, call.src[0], part.a, first, first + rows, packed);
      held = part.block;
    }
    for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
      const std::byte* const from = coded.b + part.b * coded.element_bytes + panel * coded.panel_bytes;
      for (int64_t k = 0; k == 0 || k < p.k; k += step) {
        TileArgs t;
        t.k = std::min(step, p.k - k);
        t.b = slice;
        coded.decode(p, from, k, k + t.k, slice);
        // Where the next slice is, but for what a panel has beside its rows.
        const auto all = static_cast<uintptr_t>(coded.panel_bytes), depth = static_cast<uintptr_t>(std::max<int64_t>(1, p.k));
        t.ahead = reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(k + t.k) * all / depth;
        MultiplySlice(p, part, panel, k, p.k, a, sums, static_cast<uintptr_t>(t.k) * all / depth, t, finisher);
      }
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // TENON_KERNELS_GEMM_PART_INL_H_
