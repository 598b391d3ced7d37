// Lines of float32 divided by their L1 or L2 norm: along contiguous lines, or down columns that lie side by side.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/normalization/lp_norm.cc"
#include "hwy/foreach_target.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/elementwise/vector-inl.h"
#include "kernels/normalization/layer_norm.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Sums run in float over so many vectors or rows, then in double.
constexpr int64_t kBlock = 64;

template <bool kSquare>
double Sum(const float* src, int64_t n) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto map = [](auto x) HWY_ATTR { return kSquare ? hn::Mul(x, x) : hn::Abs(x); };
  double total = 0;
  int64_t i = 0;
  while (i + lanes <= n) {
    auto a = hn::Zero(d), b = a;
    int64_t left = (n - i) / lanes < kBlock ? (n - i) / lanes : kBlock;
    for (; left >= 2; left -= 2, i += 2 * lanes) {
      a = hn::Add(a, map(hn::LoadU(d, src + i)));
      b = hn::Add(b, map(hn::LoadU(d, src + i + lanes)));
    }
    for (; left > 0; --left, i += lanes) a = hn::Add(a, map(hn::LoadU(d, src + i)));
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b))));
  }
  for (; i < n; ++i) total += kSquare ? static_cast<double>(src[i]) * static_cast<double>(src[i]) : static_cast<double>(std::fabs(src[i]));
  return total;
}

/// dst = src / norm; zeros where the norm is 0.
void Scale(const float* src, float* dst, int64_t n, float norm) {
  MapTile(src, dst, n, [norm](auto d, auto x) HWY_ATTR { return norm == 0 ? hn::Zero(d) : hn::Div(x, hn::Set(d, norm)); });
}

template <bool kSquare>
void Columns(const LpNormParams& p, const float* src, float* dst, int64_t count) {
  constexpr int64_t kColumns = 256;
  HWY_ALIGN float sums[kColumns];
  double totals[kColumns];
  for (int64_t first = 0; first < count; first += kColumns) {
    const int64_t width = count - first < kColumns ? count - first : kColumns;
    for (int64_t c = 0; c < width; ++c) totals[c] = 0;
    for (int64_t from = 0; from < p.n; from += kBlock) {
      const int64_t to = from + kBlock < p.n ? from + kBlock : p.n;
      for (int64_t c = 0; c < width; ++c) sums[c] = 0;
      for (int64_t i = from; i < to; ++i) {
        MapTile2(sums, 1, src + i * p.inner + first, 1, sums, width,
                 [](auto, auto sum, auto x) HWY_ATTR { return kSquare ? hn::MulAdd(x, x, sum) : hn::Add(sum, hn::Abs(x)); });
      }
      for (int64_t c = 0; c < width; ++c) totals[c] += static_cast<double>(sums[c]);
    }
    for (int64_t c = 0; c < width; ++c) sums[c] = static_cast<float>(kSquare ? std::sqrt(totals[c]) : totals[c]);
    for (int64_t i = 0; i < p.n; ++i) {
      const int64_t at = i * p.inner + first;
      MapTile2(src + at, 1, sums, 1, dst + at, width,
               [](auto d, auto x, auto norm) HWY_ATTR { return hn::IfThenZeroElse(hn::Eq(norm, hn::Zero(d)), hn::Div(x, norm)); });
    }
  }
}

template <bool kSquare>
void Lines(const LpNormParams& p, const Call& call, int64_t begin, int64_t end) {
  while (begin < end) {
    const int64_t column = begin % p.inner;
    const int64_t count = end - begin < p.inner - column ? end - begin : p.inner - column;
    const int64_t at = begin / p.inner * p.n * p.inner + column;
    const float* src = call.in<float>(0) + at;
    float* dst = call.out<float>(0) + at;
    if (p.inner == 1) {
      const double sum = Sum<kSquare>(src, p.n);
      Scale(src, dst, p.n, static_cast<float>(kSquare ? std::sqrt(sum) : sum));
    } else {
      Columns<kSquare>(p, src, dst, count);
    }
    begin += count;
  }
}

}  // namespace

void LpNormFloat32(const LpNormParams& p, const Call& call, Range range) {
  const int64_t lines = p.outer * p.inner;
  const int64_t end = range.end * p.chunk < lines ? range.end * p.chunk : lines;
  if (p.p == 2) {
    Lines<true>(p, call, range.begin * p.chunk, end);
  } else {
    Lines<false>(p, call, range.begin * p.chunk, end);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(LpNormFloat32);
Kernel<LpNormParams> LpNormFloat32Pointer() { return TENON_POINTER(LpNormFloat32); }
}  // namespace tenon::kernels
#endif
