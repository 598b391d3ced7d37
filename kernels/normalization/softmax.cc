#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/normalization/softmax.cc"
#include "hwy/foreach_target.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/cache_control.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/math-inl.h"
#include "kernels/elementwise/math64-inl.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/normalization/softmax.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

/// exp(x) for x <= 0; the smallest results are 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOf(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(float)) return ExpFast(d, x);
  else return ExpFast64(x);
}

/// x = exp(x) of a few vectors.
template <int kVectors, class D>
HWY_INLINE void ExpOf(D d, hn::Vec<D>* x) {
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(float)) {
    ExpFast<kVectors>(d, x);
  } else {
    for (int v = 0; v < kVectors; ++v) x[v] = ExpFast64(x[v]);
  }
}

template <class T>
T MaxOf(const T* src, size_t n) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  constexpr size_t kChains = 4;
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  hn::Vec<decltype(d)> acc[kChains] = {lowest, lowest, lowest, lowest};
  size_t i = 0;
  for (; i + kChains * lanes <= n; i += kChains * lanes) {
#pragma GCC unroll 4
    for (size_t k = 0; k < kChains; ++k) acc[k] = hn::Max(acc[k], hn::LoadU(d, src + i + k * lanes));
  }
  for (; i + lanes <= n; i += lanes) acc[0] = hn::Max(acc[0], hn::LoadU(d, src + i));
  if (i < n) acc[1] = hn::Max(acc[1], hn::IfThenElse(hn::FirstN(d, n - i), LoadPart(d, src + i, n - i), lowest));
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(acc[0], acc[1]), hn::Max(acc[2], acc[3]))));
}

/// The sum of exp(src - shift). Meanwhile as much of what is at `next` is fetched: the processor itself looks ahead only as far as a row is
/// read at once.
template <class T>
T SumExp(const T* src, size_t n, T shift, const T* next) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  const auto m = hn::Set(d, shift);
  auto s0 = hn::Zero(d), s1 = s0;
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    for (size_t line = 0; line < 2 * lanes; line += 64 / sizeof(T)) hwy::Prefetch(next + i + line);
    const auto a = ExpOf(d, hn::Sub(hn::LoadU(d, src + i), m));
    const auto b = ExpOf(d, hn::Sub(hn::LoadU(d, src + i + lanes), m));
    s0 = hn::Add(s0, a);
    s1 = hn::Add(s1, b);
  }
  for (; i < n; i += lanes) {
    const size_t k = n - i < lanes ? n - i : lanes;
    const auto a = ExpOf(d, hn::Sub(LoadPart(d, src + i, k), m));
    s0 = hn::Add(s0, hn::IfThenElseZero(hn::FirstN(d, k), a));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
}

/// Rows of more than kVectors - 1 and up to kVectors vectors, which stay in registers.
template <int kVectors>
void ShortRows(const SoftmaxParams& p, const float* src, float* dst, int64_t rows) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int kLast = kVectors - 1;
  const size_t lanes = hn::Lanes(d), left = static_cast<size_t>(p.n) - kLast * lanes;
  const bool whole = left == lanes;
  const auto inside = hn::FirstN(d, left);
  for (int64_t r = 0; r < rows; ++r, src += p.n, dst += p.n) {
    V x[kVectors], e[kVectors];
    for (int v = 0; v < kLast; ++v) x[v] = hn::LoadU(d, src + v * lanes);
    x[kLast] =
        whole ? hn::LoadU(d, src + kLast * lanes) : hn::IfThenElse(inside, LoadPart(d, src + kLast * lanes, left), hn::Neg(hn::Inf(d)));
    V shift = x[0];
    for (int v = 1; v < kVectors; ++v) shift = hn::Max(shift, x[v]);
    shift = hn::MaxOfLanes(d, shift);
    for (int v = 0; v < kVectors; ++v) x[v] = hn::Sub(x[v], shift), e[v] = ExpFast(d, x[v]);
    V sum = e[0];
    for (int v = 1; v < kVectors; ++v) sum = hn::Add(sum, e[v]);
    const float total = hn::GetLane(hn::SumOfLanes(d, sum));
    if (p.kind == SoftmaxKind::kSoftmax) {
      const V scale = hn::Set(d, 1.0f / total);
      for (int v = 0; v < kVectors; ++v) x[v] = hn::Mul(e[v], scale);
    } else {
      const V log_sum = hn::Set(d, std::log(total));
      for (int v = 0; v < kVectors; ++v) x[v] = hn::Sub(x[v], log_sum);
    }
    for (int v = 0; v < kLast; ++v) hn::StoreU(x[v], d, dst + v * lanes);
    if (whole) hn::StoreU(x[kLast], d, dst + kLast * lanes);
    else StorePart(x[kLast], d, dst + kLast * lanes, left);
  }
}

constexpr size_t kFewVectors = 16;
/// Rows of up to kFewVectors vectors of float64, as many at a time as there is room for: their exponentials are taken side by side, without
/// regard to where rows end. Vectors are whole where the rows that follow have room for them; what they hold beyond a row is written again
/// with these.
void FewVectors64(const SoftmaxParams& p, const double* src, double* dst, int64_t count) {
  const D64 d;
  constexpr size_t kRoom = 512;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(p.n), last = (n - 1) / lanes * lanes, left = n - last;
  const bool plain = p.kind == SoftmaxKind::kSoftmax;
  const auto inside = hn::FirstN(d, left);
  const V64 lowest = hn::Neg(hn::Inf(d));
  HWY_ALIGN double x[kRoom + hn::MaxLanes(d)] = {}, e[kRoom + hn::MaxLanes(d)];
  const double* const y = plain ? e : x;
  for (size_t rows = static_cast<size_t>(count), m = 0; rows > 0; rows -= m, src += m * n, dst += m * n) {
    m = kRoom / n < rows ? kRoom / n : rows;
    for (size_t r = 0; r < m; ++r) {
      const double* const from = src + r * n;
      const V64 end = (rows - r) * n < last + lanes ? LoadPart(d, from + last, left) : hn::LoadU(d, from + last);
      V64 shift = hn::IfThenElse(inside, end, lowest);
      for (size_t i = 0; i < last; i += lanes) shift = hn::Max(shift, hn::LoadU(d, from + i));
      shift = hn::MaxOfLanes(d, shift);
      for (size_t i = 0; i < last; i += lanes) hn::StoreU(hn::Sub(hn::LoadU(d, from + i), shift), d, x + r * n + i);
      hn::StoreU(hn::Sub(end, shift), d, x + r * n + last);
    }
    for (size_t i = 0; i < m * n; i += lanes) hn::Store(ExpFast64(hn::Load(d, x + i)), d, e + i);
    for (size_t at = 0; at < m * n; at += n) {
      V64 sum = hn::IfThenElseZero(inside, hn::LoadU(d, e + at + last));
      for (size_t i = 0; i < last; i += lanes) sum = hn::Add(sum, hn::LoadU(d, e + at + i));
      const double total = hn::GetLane(hn::SumOfLanes(d, sum));
      const V64 factor = hn::Set(d, plain ? 1 / total : std::log(total));
      const auto result = [&](size_t i) HWY_ATTR {
        const V64 v = hn::LoadU(d, y + at + i);
        return plain ? hn::Mul(v, factor) : hn::Sub(v, factor);
      };
      for (size_t i = 0; i < last; i += lanes) hn::StoreU(result(i), d, dst + at + i);
      if (at + last + lanes <= m * n) hn::StoreU(result(last), d, dst + at + last);
      else StorePart(result(last), d, dst + at + last, left);
    }
  }
}

/// A row that is being done, and what is known of it.
template <class T>
struct Row {
  T* dst;
  T largest, sum;
};

/// row.dst = exp(src - row.largest), and row.sum. In the same loop what is in `before` is divided by its sum, and the largest of what is at
/// `next` is found, which is returned: what bounds these two is memory and what bounds the first is arithmetic.
template <bool kBefore, class T>
T ExpAndNeighbours(const T* src, Row<T>& row, size_t n, const Row<T>& before, const T* next) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  constexpr size_t kChains = 4;
  T *const dst = row.dst, *const done = before.dst;
  const size_t lanes = hn::Lanes(d);
  const V shift = hn::Set(d, row.largest), scale = hn::Set(d, kBefore ? 1 / before.sum : 0);
  const V lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  V sum = hn::Zero(d), largest = lowest;
  const auto whole = [&](size_t i, auto count) HWY_ATTR {
    constexpr size_t kCount = decltype(count)::value;
    V e[kCount], m[kCount];
    for (size_t k = 0; k < kCount; ++k) e[k] = hn::Sub(hn::LoadU(d, src + i + k * lanes), shift);
    ExpOf<kCount>(d, e);
    for (size_t k = 0; k < kCount; ++k) {
      const size_t at = i + k * lanes;
      hn::StoreU(e[k], d, dst + at);
      if (kBefore) hn::StoreU(hn::Mul(hn::LoadU(d, done + at), scale), d, done + at);
    }
    for (size_t k = 0; k < kCount; ++k) m[k] = hn::LoadU(d, next + i + k * lanes);
    if constexpr (kCount > 1) {
      for (size_t k = 0; k < kCount / 2; ++k) e[k] = hn::Add(e[k], e[k + kCount / 2]), m[k] = hn::Max(m[k], m[k + kCount / 2]);
      if constexpr (kCount == 4) e[0] = hn::Add(e[0], e[1]), m[0] = hn::Max(m[0], m[1]);
    }
    sum = hn::Add(sum, e[0]);
    largest = hn::Max(largest, m[0]);
  };
  size_t i = 0;
  for (; i + kChains * lanes <= n; i += kChains * lanes) whole(i, std::integral_constant<size_t, kChains>());
  for (; i + lanes <= n; i += lanes) whole(i, std::integral_constant<size_t, 1>());
  if (i < n) {
    const size_t left = n - i;
    const auto inside = hn::FirstN(d, left);
    const V e = ExpOf(d, hn::Sub(LoadPart(d, src + i, left), shift));
    StorePart(e, d, dst + i, left);
    if (kBefore) StorePart(hn::Mul(LoadPart(d, done + i, left), scale), d, done + i, left);
    sum = hn::Add(sum, hn::IfThenElseZero(inside, e));
    largest = hn::Max(largest, hn::IfThenElse(inside, LoadPart(d, next + i, left), lowest));
  }
  row.sum = hn::GetLane(hn::SumOfLanes(d, sum));
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

/// Rows that do not stay in registers.
template <class T>
void LongRows(const SoftmaxParams& p, const T* src, T* dst, int64_t rows) {
  const size_t n = static_cast<size_t>(p.n);
  if (rows <= 0) return;
  if (p.kind == SoftmaxKind::kSoftmax) {
    Row<T> before{dst, 0, 1}, row{dst, MaxOf(src, n), 1};
    for (int64_t r = 0; r < rows; ++r, src += p.n) {
      const auto step = r > 0 ? ExpAndNeighbours<true, T> : ExpAndNeighbours<false, T>;
      const T largest = step(src, row, n, before, r + 1 < rows ? src + n : src);
      before = row;
      row = {row.dst + n, largest, 1};
    }
    const T scale = 1 / before.sum;
    MapTile(before.dst, before.dst, p.n, [scale](auto d, auto x) HWY_ATTR { return hn::Mul(x, hn::Set(d, scale)); });
    return;
  }
  for (int64_t r = 0; r < rows; ++r, src += p.n, dst += p.n) {
    const T* next = r + 1 < rows ? src + n : src;
    const T shift = MaxOf(src, n);
    // Subtracting in two steps keeps the accuracy of x - shift.
    const T log_sum = std::log(SumExp(src, n, shift, next));
    MapTile(src, dst, p.n,
            [shift, log_sum](auto d, auto x) HWY_ATTR { return hn::Sub(hn::Sub(x, hn::Set(d, shift)), hn::Set(d, log_sum)); });
  }
}

/// Where the first of the largest is; the first NaN counts as larger than all numbers.
template <class T>
size_t FirstLargest(const T* src, size_t n) {
  const hn::ScalableTag<T> d;
  const size_t lanes = hn::Lanes(d);
  auto largest = hn::Set(d, -std::numeric_limits<T>::infinity());
  auto nan = hn::FirstN(d, 0);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, src + i);
    largest = hn::Max(largest, x);
    nan = hn::Or(nan, hn::IsNaN(x));
  }
  T most = hn::GetLane(hn::MaxOfLanes(d, largest));
  bool any_nan = !hn::AllFalse(d, nan);
  for (; i < n; ++i) {
    if (src[i] > most) most = src[i];
    any_nan |= src[i] != src[i];
  }
  for (i = 0; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, src + i);
    const intptr_t at = hn::FindFirstTrue(d, any_nan ? hn::IsNaN(x) : hn::Eq(x, hn::Set(d, most)));
    if (at >= 0) return i + static_cast<size_t>(at);
  }
  while (i + 1 < n && (any_nan ? src[i] == src[i] : src[i] != most)) ++i;
  return i;
}

template <class T>
void Hardmax(const SoftmaxParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.outer ? range.end * p.chunk : p.outer;
  for (int64_t row = range.begin * p.chunk; row < end; ++row) {
    const size_t at = FirstLargest(call.in<T>(0) + row * p.n, static_cast<size_t>(p.n));
    T* const dst = call.out<T>(0) + row * p.n;
    std::memset(dst, 0, static_cast<size_t>(p.n) * sizeof(T));
    dst[at] = 1;
  }
}
void HardmaxRows(const SoftmaxParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? Hardmax<double>(p, call, range) : Hardmax<float>(p, call, range);
}

void SoftmaxRows(const SoftmaxParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.outer ? range.end * p.chunk : p.outer;
  const size_t n = static_cast<size_t>(p.n);
  if (p.dtype == DType::kFloat64) {
    const auto rows = n <= kFewVectors * hn::Lanes(D64()) ? FewVectors64 : LongRows<double>;
    return rows(p, call.in<double>(0) + begin * p.n, call.out<double>(0) + begin * p.n, end - begin);
  }
  const float* src = call.in<float>(0) + begin * p.n;
  float* dst = call.out<float>(0) + begin * p.n;
  switch ((n - 1) / hn::Lanes(hn::ScalableTag<float>())) {
    case 0: return ShortRows<1>(p, src, dst, end - begin);
    case 1: return ShortRows<2>(p, src, dst, end - begin);
    case 2: return ShortRows<3>(p, src, dst, end - begin);
    case 3: return ShortRows<4>(p, src, dst, end - begin);
    case 4: return ShortRows<5>(p, src, dst, end - begin);
    case 5: return ShortRows<6>(p, src, dst, end - begin);
    case 6: return ShortRows<7>(p, src, dst, end - begin);
    case 7: return ShortRows<8>(p, src, dst, end - begin);
    default: return LongRows(p, src, dst, end - begin);
  }
}

/// Up to one vector of columns side by side: three passes down n strided rows.
template <class T>
void Columns(const SoftmaxParams& p, const Call& call, Range range) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t blocks = (p.inner + p.chunk - 1) / p.chunk;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t o = part / blocks, first = part % blocks * p.chunk;
    const int64_t last = first + p.chunk < p.inner ? first + p.chunk : p.inner;
    for (int64_t c = first; c < last; c += lanes) {
      const size_t k = static_cast<size_t>(last - c < lanes ? last - c : lanes);
      const T* src = call.in<T>(0) + o * p.n * p.inner + c;
      T* dst = call.out<T>(0) + o * p.n * p.inner + c;
      const bool whole = k == static_cast<size_t>(lanes);
      const auto load = [&](const T* at) HWY_ATTR { return whole ? hn::LoadU(d, at) : LoadPart(d, at, k); };
      const auto store = [&](auto v, T* at) HWY_ATTR {
        if (whole) hn::StoreU(v, d, at);
        else StorePart(v, d, at, k);
      };
      auto shift = hn::Set(d, -std::numeric_limits<T>::infinity());
      for (int64_t i = 0; i < p.n; ++i) shift = hn::Max(shift, load(src + i * p.inner));
      auto sum = hn::Zero(d);
      if (p.kind == SoftmaxKind::kSoftmax) {
        for (int64_t i = 0; i < p.n; ++i) {
          const auto e = ExpOf(d, hn::Sub(load(src + i * p.inner), shift));
          store(e, dst + i * p.inner);
          sum = hn::Add(sum, e);
        }
        const auto scale = hn::Div(hn::Set(d, T(1)), sum);
        for (int64_t i = 0; i < p.n; ++i) store(hn::Mul(load(dst + i * p.inner), scale), dst + i * p.inner);
      } else {
        for (int64_t i = 0; i < p.n; ++i) sum = hn::Add(sum, ExpOf(d, hn::Sub(load(src + i * p.inner), shift)));
        HWY_ALIGN T lane[hn::MaxLanes(d)];
        hn::Store(sum, d, lane);
        for (int64_t l = 0; l < lanes; ++l) lane[l] = std::log(lane[l]);
        const auto log_sum = hn::Load(d, lane);
        for (int64_t i = 0; i < p.n; ++i) store(hn::Sub(hn::Sub(load(src + i * p.inner), shift), log_sum), dst + i * p.inner);
      }
    }
  }
}
void SoftmaxColumns(const SoftmaxParams& p, const Call& call, Range range) {
  return p.dtype == DType::kFloat64 ? Columns<double>(p, call, range) : Columns<float>(p, call, range);
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(SoftmaxRows);
TENON_EXPORT(SoftmaxColumns);
TENON_EXPORT(HardmaxRows);
Kernel<SoftmaxParams> SoftmaxRowsPointer() { return TENON_POINTER(SoftmaxRows); }
Kernel<SoftmaxParams> HardmaxRowsPointer() { return TENON_POINTER(HardmaxRows); }
Kernel<SoftmaxParams> SoftmaxColumnsPointer() { return TENON_POINTER(SoftmaxColumns); }

namespace {

template <class T>
double as_double(T x) {
  if constexpr (std::is_arithmetic_v<T>) return x;
  else return static_cast<float>(x);
}
template <class T>
T from_double(double x) {
  if constexpr (std::is_arithmetic_v<T>) return static_cast<T>(x);
  else return T(static_cast<float>(x));
}

template <class T>
void line(const SoftmaxParams& p, const T* src, T* dst) {
  double shift = -std::numeric_limits<double>::infinity();
  int64_t at = 0;
  for (int64_t i = 0; i < p.n; ++i) {
    const double x = as_double(src[i * p.inner]);
    if (x > shift || (x != x && shift == shift)) shift = x, at = i;
  }
  if (p.kind == SoftmaxKind::kHardmax) {
    for (int64_t i = 0; i < p.n; ++i) dst[i * p.inner] = from_double<T>(i == at ? 1 : 0);
    return;
  }
  double sum = 0;
  for (int64_t i = 0; i < p.n; ++i) sum += std::exp(as_double(src[i * p.inner]) - shift);
  const double log_sum = std::log(sum);
  for (int64_t i = 0; i < p.n; ++i) {
    const double x = as_double(src[i * p.inner]) - shift;
    dst[i * p.inner] = from_double<T>(p.kind == SoftmaxKind::kSoftmax ? std::exp(x) / sum : x - log_sum);
  }
}

void SoftmaxPlain(const SoftmaxParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) {
    using T = decltype(t);
    const int64_t blocks = p.inner == 1 ? 1 : (p.inner + p.chunk - 1) / p.chunk;
    for (int64_t part = range.begin; part < range.end; ++part) {
      const int64_t first_row = p.inner == 1 ? part * p.chunk : part / blocks;
      const int64_t last_row = p.inner == 1 ? (first_row + p.chunk < p.outer ? first_row + p.chunk : p.outer) : first_row + 1;
      const int64_t first = p.inner == 1 ? 0 : part % blocks * p.chunk;
      const int64_t last = first + p.chunk < p.inner ? first + p.chunk : p.inner;
      for (int64_t o = first_row; o < last_row; ++o)
        for (int64_t c = first; c < last; ++c) line(p, call.in<T>(0) + o * p.n * p.inner + c, call.out<T>(0) + o * p.n * p.inner + c);
    }
  });
}

}  // namespace

Kernel<SoftmaxParams> SoftmaxPlainPointer() { return SoftmaxPlain; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(SoftmaxParams, Name, when, why)
static const Row<SoftmaxParams> kRows[] = {
#include "kernels/normalization/softmax.inc"
};
#undef KERNEL
const Table<SoftmaxParams> softmax{"softmax", kRows, sizeof(kRows) / sizeof(kRows[0])};
}  // namespace tenon::kernels
#endif
