// Reductions of float32: along the contiguous axis (inner), or across it (outer).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduction/reduce.cc"
#include "hwy/foreach_target.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/elementwise/math-inl.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/reduction/reduce.h"
#include "kernels/reduction/walk.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

// Sums run in float over blocks of this many vectors (inner) or elements (outer), then in double (inner) or in a second float (outer),
// so that the error does not grow with the length.
constexpr int64_t kBlock = 256;

enum class Fold : uint8_t { kSum, kProduct, kMax, kMin };

struct Identity {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return x;
  }
  static float One(float x) { return x; }
};
struct Absolute {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Abs(x);
  }
  static float One(float x) { return std::fabs(x); }
};
struct Square {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Mul(x, x);
  }
  static float One(float x) { return x * x; }
};
/// exp(x - shift)
struct ShiftedExp {
  float shift;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return ExpFast(d, hn::Sub(x, hn::Set(d, shift)));
  }
  float One(float x) const { return std::exp(x - shift); }
};

template <Fold fold, class V>
HWY_INLINE V Combine(V a, V b) {
  if constexpr (fold == Fold::kSum) return hn::Add(a, b);
  else if constexpr (fold == Fold::kProduct) return hn::Mul(a, b);
  else if constexpr (fold == Fold::kMax) return MaxNan(a, b);
  else return MinNan(a, b);
}
template <Fold fold>
HWY_INLINE double CombineScalar(double a, double b) {
  if constexpr (fold == Fold::kSum) return a + b;
  else if constexpr (fold == Fold::kProduct) return a * b;
  else if constexpr (fold == Fold::kMax) return std::isnan(a) || a > b ? a : b;
  else return std::isnan(a) || a < b ? a : b;
}
template <Fold fold>
constexpr float Neutral() {
  if constexpr (fold == Fold::kSum) return 0;
  else if constexpr (fold == Fold::kProduct) return 1;
  else if constexpr (fold == Fold::kMax) return -std::numeric_limits<float>::infinity();
  else return std::numeric_limits<float>::infinity();
}

/// Folds the lanes of a vector without NaN, or of one whose lanes are summed or multiplied; sums in double.
template <Fold fold, class D, class V>
HWY_INLINE double FoldLanes(D d, V v) {
  if constexpr (fold == Fold::kSum) {
    const hn::Repartition<double, D> dd;
    const hn::Half<D> half;
    const auto low = hn::PromoteTo(dd, hn::LowerHalf(half, v)), high = hn::PromoteTo(dd, hn::UpperHalf(half, v));
    return hn::GetLane(hn::SumOfLanes(dd, hn::Add(low, high)));
  } else if constexpr (fold == Fold::kProduct) {
    HWY_ALIGN float lane[hn::MaxLanes(d)];
    hn::Store(v, d, lane);
    double total = 1;
    for (size_t l = 0; l < hn::Lanes(d); ++l) total *= lane[l];
    return total;
  } else {
    return hn::GetLane(fold == Fold::kMax ? hn::MaxOfLanes(d, v) : hn::MinOfLanes(d, v));
  }
}

/// Folds n contiguous elements.
template <Fold fold, class Map>
double FoldRun(const float* src, int64_t count, Map map) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const V neutral = hn::Set(d, Neutral<fold>());
  double total = Neutral<fold>();
  int64_t i = 0;
  if (count <= 8) {
    for (; i < count; ++i) total = CombineScalar<fold>(total, map.One(src[i]));
    return total;
  }
  // Of an extreme and NaN the extreme stays: it is the second operand, or the number. That there was NaN is kept beside it.
  auto nan = hn::FirstN(d, 0);
  const auto join = [&nan](V& acc, V x) HWY_ATTR {
    if constexpr (fold == Fold::kMax || fold == Fold::kMin) {
      nan = hn::Or(nan, hn::IsNaN(x));
      acc = fold == Fold::kMax ? hn::Max(x, acc) : hn::Min(x, acc);
    } else {
      acc = Combine<fold>(acc, x);
    }
  };
  while (i < count) {
    V a0 = neutral, a1 = neutral, a2 = neutral, a3 = neutral;
    int64_t block = (count - i) / lanes;
    if (block > kBlock) block = kBlock;
    int64_t k = 0;
    for (; k + 4 <= block; k += 4, i += 4 * lanes) {
      join(a0, map(d, hn::LoadU(d, src + i)));
      join(a1, map(d, hn::LoadU(d, src + i + lanes)));
      join(a2, map(d, hn::LoadU(d, src + i + 2 * lanes)));
      join(a3, map(d, hn::LoadU(d, src + i + 3 * lanes)));
    }
    for (; k < block; ++k, i += lanes) join(a0, map(d, hn::LoadU(d, src + i)));
    if (i < count && count - i < lanes) {
      const size_t left = static_cast<size_t>(count - i);
      join(a1, hn::IfThenElse(hn::FirstN(d, left), map(d, LoadPart(d, src + i, left)), neutral));
      i = count;
    }
    join(a0, a1), join(a2, a3), join(a0, a2);
    total = CombineScalar<fold>(total, FoldLanes<fold>(d, a0));
  }
  return hn::AllFalse(d, nan) ? total : std::numeric_limits<double>::quiet_NaN();
}

/// Folds everything one output element covers.
template <Fold fold, class Map>
double FoldInner(const ReduceParams& p, const float* src, Map map) {
  if (p.reduced == 0) return Neutral<fold>();
  if (p.reduced_rank == 0) return FoldRun<fold>(src, 1, map);
  const int64_t n = p.reduced_dims[p.reduced_rank - 1];
  double total = Neutral<fold>();
  walk(p.reduced_dims, p.reduced_strides, p.reduced_rank - 1, 0, p.reduced / n,
       [&](int64_t offset) { total = CombineScalar<fold>(total, FoldRun<fold>(src + offset, n, map)); });
  return total;
}

template <Fold fold, class Map, class Finish>
void Inner(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end, Map map, Finish finish) {
  int64_t o = begin;
  walk(p.kept_dims, p.kept_strides, p.kept_rank, begin, end,
       [&](int64_t offset) { dst[o++] = static_cast<float>(finish(FoldInner<fold>(p, src + offset, map))); });
}

void InnerLogSumExp(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end) {
  int64_t o = begin;
  walk(p.kept_dims, p.kept_strides, p.kept_rank, begin, end, [&](int64_t offset) {
    double shift = FoldInner<Fold::kMax>(p, src + offset, Identity());
    if (std::isinf(shift)) {
      dst[o++] = static_cast<float>(shift);
      return;
    }
    dst[o++] = static_cast<float>(shift + std::log(FoldInner<Fold::kSum>(p, src + offset, ShiftedExp{static_cast<float>(shift)})));
  });
}

/// acc[c] joined with the rows at src[0..count), column by column, in their order.
template <Fold fold, int kRows, class Map>
HWY_INLINE void JoinRows(const float* const* src, float* acc, int64_t n, Map map) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= n; c += lanes) {
    auto a = hn::LoadU(d, acc + c);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) a = Combine<fold>(a, map(d, hn::LoadU(d, src[r] + c)));
    hn::StoreU(a, d, acc + c);
  }
  if (c == n) return;
  const size_t m = static_cast<size_t>(n - c);
  auto a = LoadPart(d, acc + c, m);
  for (int r = 0; r < kRows; ++r) a = Combine<fold>(a, map(d, LoadPart(d, src[r] + c, m)));
  StorePart(a, d, acc + c, m);
}

/// Folds `n` columns that lie side by side: dst[c] over all reduced elements at src + c. Whole stretches of rows are read, in the order
/// in which they lie.
template <Fold fold, class Map>
void FoldColumns(const ReduceParams& p, const float* src, float* dst, int64_t n, Map map) {
  constexpr int64_t kColumns = 2048;
  constexpr int kRows = 4;
  HWY_ALIGN float acc[kColumns];
  for (int64_t c = 0; c < n; c += kColumns) {
    const int64_t width = n - c < kColumns ? n - c : kColumns;
    for (int64_t i = 0; i < width; ++i) dst[c + i] = Neutral<fold>();
    for (int64_t r = 0; r < p.reduced; r += kBlock) {
      for (int64_t i = 0; i < width; ++i) acc[i] = Neutral<fold>();
      const float* rows[kRows];
      int waiting = 0;
      walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, r, r + kBlock < p.reduced ? r + kBlock : p.reduced,
           [&](int64_t offset) HWY_ATTR {
             rows[waiting++] = src + offset + c;
             if (waiting == kRows) JoinRows<fold, kRows>(rows, acc, width, map), waiting = 0;
           });
      for (int i = 0; i < waiting; ++i) JoinRows<fold, 1>(rows + i, acc, width, map);
      const float* const block[] = {acc};
      JoinRows<fold, 1>(block, dst + c, width, Identity());
    }
  }
}

/// StorePart and the full-width store are the same when m is the whole vector; the columns of each output run are folded, then finished.
template <Fold fold, class Map, class Finish>
void Outer(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end, Map map, Finish finish) {
  walk_runs(p.kept_dims, p.kept_strides, p.kept_rank, begin, end, [&](int64_t at, int64_t offset, int64_t n) {
    FoldColumns<fold>(p, src + offset, dst + at, n, map);
    for (int64_t i = 0; i < n; ++i) dst[at + i] = static_cast<float>(finish(dst[at + i]));
  });
}

/// What is subtracted in front of exp: the largest element, unless that is infinite and the result as well.
template <class D, class V>
HWY_INLINE V Shift(D, V largest) {
  return hn::IfThenZeroElse(hn::IsInf(largest), largest);
}
/// `sum` of exp(x - Shift(largest)); NaN where the largest is.
template <class D, class V>
HWY_INLINE V LogSumExp(D d, V largest, V sum) {
  return hn::IfThenElse(hn::IsInf(largest), largest, hn::Add(largest, hn::Log(d, sum)));
}

void OuterLogSumExp(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end) {
  constexpr int64_t kColumns = 128;
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float largest[kColumns], sum[kColumns], result[kColumns];
  walk_runs(p.kept_dims, p.kept_strides, p.kept_rank, begin, end, [&](int64_t at, int64_t offset, int64_t n) HWY_ATTR {
    for (int64_t c = 0; c < n; c += kColumns) {
      const int64_t m = n - c < kColumns ? n - c : kColumns;
      std::fill_n(largest, kColumns, 0.0f);
      FoldColumns<Fold::kMax>(p, src + offset + c, largest, m, Identity());
      std::fill_n(sum, kColumns, 0.0f);
      walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) HWY_ATTR {
        const float* x = src + offset + c + o;
        for (int64_t i = 0; i < m; i += lanes) {
          const auto value = i + lanes <= m ? hn::LoadU(d, x + i) : LoadPart(d, x + i, static_cast<size_t>(m - i));
          hn::Store(hn::Add(hn::Load(d, sum + i), ExpFast(d, hn::Sub(value, Shift(d, hn::Load(d, largest + i))))), d, sum + i);
        }
      });
      for (int64_t i = 0; i < m; i += lanes) hn::Store(LogSumExp(d, hn::Load(d, largest + i), hn::Load(d, sum + i)), d, result + i);
      std::copy_n(result, m, dst + at + c);
    }
  });
}

/// Outputs that lie side by side, each over a run of few elements: neighbours with neighbours, where runs are a power of two long, or lane
/// by lane, element k of every run at once, which takes gathers.
constexpr int64_t kShort = 32;
bool IsShort(const ReduceParams& p) {
  return p.reduced_rank == 1 && p.reduced_strides[0] == 1 && p.reduced <= kShort && p.kept_rank == 1 && p.kept_strides[0] == p.reduced;
}

/// Of kVectors vectors, the folds of every kVectors elements in a row.
template <Fold fold, int kVectors, class D, class Map>
HWY_INLINE hn::Vec<D> FoldNeighbours(D d, const float* src, Map map) {
  if constexpr (kVectors == 1) {
    return map(d, hn::LoadU(d, src));
  } else {
    const auto low = FoldNeighbours<fold, kVectors / 2>(d, src, map);
    const auto high = FoldNeighbours<fold, kVectors / 2>(d, src + kVectors / 2 * static_cast<int64_t>(hn::Lanes(d)), map);
    return Combine<fold>(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
  }
}

/// Runs of n elements from the first on, as many as whole vectors of results hold; returns how many.
template <Fold fold, int n, class Map>
int64_t FoldPowers(const float* src, float* dst, int64_t runs, Map map) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t r = 0;
  for (; r + lanes <= runs; r += lanes) hn::StoreU(FoldNeighbours<fold, n>(d, src + r * n, map), d, dst + r);
  return r;
}

template <Fold fold, class Map>
int64_t FoldPowers(const float* src, float* dst, int64_t runs, int64_t n, Map map) {
  switch (n) {
    case 2: return FoldPowers<fold, 2>(src, dst, runs, map);
    case 4: return FoldPowers<fold, 4>(src, dst, runs, map);
    case 8: return FoldPowers<fold, 8>(src, dst, runs, map);
    case 16: return FoldPowers<fold, 16>(src, dst, runs, map);
    default: return 0;
  }
}

template <Fold fold, class Map>
void FoldShort(const float* src, float* dst, int64_t runs, int64_t n, Map map) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto index = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(n)));
  int64_t r = FoldPowers<fold>(src, dst, runs, n, map);
  for (; r + lanes <= runs; r += lanes) {
    auto acc = hn::Set(d, Neutral<fold>());
    for (int64_t k = 0; k < n; ++k) acc = Combine<fold>(acc, map(d, hn::GatherIndex(d, src + r * n + k, index)));
    hn::StoreU(acc, d, dst + r);
  }
  for (; r < runs; ++r) {
    double acc = Neutral<fold>();
    for (int64_t k = 0; k < n; ++k) acc = CombineScalar<fold>(acc, map.One(src[r * n + k]));
    dst[r] = static_cast<float>(acc);
  }
}

void ShortLogSumExp(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), n = p.reduced;
  if (end - begin < lanes) return InnerLogSumExp(p, src, dst, begin, end);
  const auto index = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(n)));
  for (int64_t o = begin; o < end; o += lanes) {
    if (o + lanes > end) o = end - lanes;  // over the vector before
    const float* runs = src + o * n;
    auto largest = hn::Set(d, Neutral<Fold::kMax>());
    for (int64_t k = 0; k < n; ++k) largest = Combine<Fold::kMax>(largest, hn::GatherIndex(d, runs + k, index));
    const auto shift = Shift(d, largest);
    auto sum = hn::Zero(d);
    for (int64_t k = 0; k < n; ++k) sum = hn::Add(sum, ExpFast(d, hn::Sub(hn::GatherIndex(d, runs + k, index), shift)));
    hn::StoreU(LogSumExp(d, largest, sum), d, dst + o);
  }
}

template <Fold fold, class Map, class Finish>
void Short(const ReduceParams& p, const float* src, float* dst, int64_t begin, int64_t end, Map map, Finish finish) {
  FoldShort<fold>(src + begin * p.reduced, dst + begin, end - begin, p.reduced, map);
  for (int64_t i = begin; i < end; ++i) dst[i] = static_cast<float>(finish(dst[i]));
}

void ReduceFloat32(const ReduceParams& p, const Call& call, Range range) {
  const float* src = call.in<float>(0);
  float* dst = call.out<float>(0);
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.outputs ? range.end * p.chunk : p.outputs;
  if (begin >= end) return;
  const bool outer = p.kept_rank > 0 && p.kept_strides[p.kept_rank - 1] == 1 && p.reduced_rank > 0;
  const auto same = [](double x) { return x; };
  const auto root = [](double x) { return std::sqrt(x); };
  const auto logarithm = [](double x) { return std::log(x); };
  const double n = static_cast<double>(p.reduced);
  const auto average = [n](double x) { return x / n; };
  const bool is_short = IsShort(p);
#define TENON_REDUCE(fold, map, finish)                                         \
  return outer      ? Outer<Fold::fold>(p, src, dst, begin, end, map(), finish) \
         : is_short ? Short<Fold::fold>(p, src, dst, begin, end, map(), finish) \
                    : Inner<Fold::fold>(p, src, dst, begin, end, map(), finish)
  switch (p.kind) {
    case ReduceKind::kL1: TENON_REDUCE(kSum, Absolute, same);
    case ReduceKind::kL2: TENON_REDUCE(kSum, Square, root);
    case ReduceKind::kLogSum: TENON_REDUCE(kSum, Identity, logarithm);
    case ReduceKind::kLogSumExp:
      return outer      ? OuterLogSumExp(p, src, dst, begin, end)
             : is_short ? ShortLogSumExp(p, src, dst, begin, end)
                        : InnerLogSumExp(p, src, dst, begin, end);
    case ReduceKind::kMax: TENON_REDUCE(kMax, Identity, same);
    case ReduceKind::kMean: TENON_REDUCE(kSum, Identity, average);
    case ReduceKind::kMin: TENON_REDUCE(kMin, Identity, same);
    case ReduceKind::kProd: TENON_REDUCE(kProduct, Identity, same);
    case ReduceKind::kSum: TENON_REDUCE(kSum, Identity, same);
    case ReduceKind::kSumSquare: TENON_REDUCE(kSum, Square, same);
  }
#undef TENON_REDUCE
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(ReduceFloat32);
Kernel<ReduceParams> ReduceFloat32Pointer() { return TENON_POINTER(ReduceFloat32); }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(ReduceParams, Name, when, why)
static const Row<ReduceParams> kRows[] = {
#include "kernels/reduction/reduce.inc"
};
#undef KERNEL
const Table<ReduceParams> reduce{"reduce", kRows, sizeof(kRows) / sizeof(kRows[0])};
}  // namespace tenon::kernels
#endif
