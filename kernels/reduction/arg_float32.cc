// ArgMax and ArgMin of float32 with vectors: along a contiguous line, and of many columns side by side.
#include "kernels/reduction/arg_reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduction/arg_float32.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using DF = hn::ScalableTag<float>;

/// The extreme of a line; NaN when it has one.
template <bool kMin>
float Extreme(const float* src, int64_t n) {
  const DF d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto pick = [](auto a, auto b) HWY_ATTR { return kMin ? hn::Min(a, b) : hn::Max(a, b); };
  if (n < lanes) {
    float best = src[0];
    for (int64_t i = 0; i < n && best == best; ++i) {
      if (src[i] != src[i] || (kMin ? src[i] < best : src[i] > best)) best = src[i];
    }
    return best;
  }
  constexpr int kChains = 4;
  hn::Vec<DF> acc[kChains];
  auto nan = hn::Lt(hn::Zero(d), hn::Zero(d));
  for (int k = 0; k < kChains; ++k) acc[k] = hn::LoadU(d, src);
  int64_t i = 0;
  for (; i + kChains * lanes <= n; i += kChains * lanes) {
#pragma GCC unroll 4
    for (int k = 0; k < kChains; ++k) {
      const auto v = hn::LoadU(d, src + i + k * lanes);
      acc[k] = pick(acc[k], v);
      nan = hn::Or(nan, hn::IsNaN(v));
    }
  }
  for (;; i += lanes) {
    const auto v = hn::LoadU(d, src + (i + lanes <= n ? i : n - lanes));  // the last one may overlap
    acc[0] = pick(acc[0], v);
    nan = hn::Or(nan, hn::IsNaN(v));
    if (i + lanes >= n) break;
  }
  if (!hn::AllFalse(d, nan)) return hn::GetLane(hn::NaN(d));
  const auto all = pick(pick(acc[0], acc[1]), pick(acc[2], acc[3]));
  return hn::GetLane(kMin ? hn::MinOfLanes(d, all) : hn::MaxOfLanes(d, all));
}

/// The first (or last) position of `value`; of the first NaN when it is one.
int64_t PositionOf(const float* src, int64_t n, float value, bool last) {
  const DF d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const bool is_nan = value != value;
  const auto v = hn::Set(d, value);
  const auto found = [&](int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, src + i);
    return !hn::AllFalse(d, is_nan ? hn::IsNaN(x) : hn::Eq(x, v));
  };
  const auto here = [&](int64_t i) { return is_nan ? src[i] != src[i] : src[i] == value; };
  if (last && !is_nan) {
    int64_t i = n;
    while (i >= lanes && !found(i - lanes)) i -= lanes;
    while (i > 1 && !here(i - 1)) --i;
    return i - 1;
  }
  int64_t i = 0;
  while (i + lanes <= n && !found(i)) i += lanes;
  while (i < n - 1 && !here(i)) ++i;
  return i;
}

template <bool kMin>
void Lines(const ArgReduceParams& p, const Call& call, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; ++o) {
    const float* src = call.in<float>(0) + o * p.n;
    call.out<int64_t>(0)[o] = PositionOf(src, p.n, Extreme<kMin>(src, p.n), p.last);
  }
}

/// `count` columns from src on, `inner` apart from row to row.
template <bool kMin, bool kLast>
void Columns(const float* src, int64_t n, int64_t inner, int64_t count, int64_t* dst) {
  constexpr int64_t kColumns = 256;
  const DF d;
  const hn::RebindToSigned<DF> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float best[kColumns];
  HWY_ALIGN int32_t at[kColumns];
  for (int64_t first = 0; first < count; first += kColumns) {
    const int64_t width = count - first < kColumns ? count - first : kColumns;
    const float* column = src + first;
    for (int64_t c = 0; c < width; ++c) best[c] = column[c], at[c] = 0;
    for (int64_t i = 1; i < n; ++i) {
      const float* row = column + i * inner;
      const auto index = hn::Set(di, static_cast<int32_t>(i));
      int64_t c = 0;
      for (; c + lanes <= width; c += lanes) {
        const auto x = hn::LoadU(d, row + c), b = hn::Load(d, best + c);
        const auto better = kLast ? (kMin ? hn::Le(x, b) : hn::Ge(x, b)) : (kMin ? hn::Lt(x, b) : hn::Gt(x, b));
        const auto take = hn::Or(better, hn::AndNot(hn::IsNaN(b), hn::IsNaN(x)));
        hn::Store(hn::IfThenElse(take, x, b), d, best + c);
        hn::Store(hn::IfThenElse(hn::RebindMask(di, take), index, hn::Load(di, at + c)), di, at + c);
      }
      for (; c < width; ++c) {
        const float x = row[c], b = best[c];
        if (b == b && (x != x || (kMin ? x < b : x > b) || (kLast && x == b))) best[c] = x, at[c] = static_cast<int32_t>(i);
      }
    }
    for (int64_t c = 0; c < width; ++c) dst[first + c] = at[c];
  }
}

template <bool kMin, bool kLast>
void ColumnRange(const ArgReduceParams& p, const Call& call, int64_t begin, int64_t end) {
  while (begin < end) {
    const int64_t o = begin / p.inner, first = begin % p.inner;
    const int64_t count = end - begin < p.inner - first ? end - begin : p.inner - first;
    Columns<kMin, kLast>(call.in<float>(0) + o * p.n * p.inner + first, p.n, p.inner, count, call.out<int64_t>(0) + begin);
    begin += count;
  }
}

}  // namespace

void ArgReduceLines(const ArgReduceParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.outer ? range.end * p.chunk : p.outer;
  if (p.min) {
    Lines<true>(p, call, range.begin * p.chunk, end);
  } else {
    Lines<false>(p, call, range.begin * p.chunk, end);
  }
}

void ArgReduceColumns(const ArgReduceParams& p, const Call& call, Range range) {
  const int64_t outputs = p.outer * p.inner;
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < outputs ? range.end * p.chunk : outputs;
  if (p.min) {
    p.last ? ColumnRange<true, true>(p, call, begin, end) : ColumnRange<true, false>(p, call, begin, end);
  } else {
    p.last ? ColumnRange<false, true>(p, call, begin, end) : ColumnRange<false, false>(p, call, begin, end);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/dispatch.h"
namespace tenon::kernels {
TENON_EXPORT(ArgReduceLines);
TENON_EXPORT(ArgReduceColumns);
Kernel<ArgReduceParams> ArgReduceLinesPointer() { return TENON_POINTER(ArgReduceLines); }
Kernel<ArgReduceParams> ArgReduceColumnsPointer() { return TENON_POINTER(ArgReduceColumns); }
}  // namespace tenon::kernels
#endif
