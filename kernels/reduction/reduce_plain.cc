// Reductions of every dtype, one element at a time. Floats accumulate in double, integers modulo 2^64.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/reduction/reduce.h"
#include "kernels/reduction/walk.h"

namespace tenon::kernels {
namespace {

template <class T>
double as_double(T x) {
  if constexpr (std::is_arithmetic_v<T>) return static_cast<double>(x);
  else return static_cast<float>(x);
}

template <class T>
T from_double(double x) {
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) {
    return static_cast<T>(x);
  } else if constexpr (std::is_integral_v<T>) {
    // Only in-range results are meant; others (log of 0, mean of nothing) give the smallest value.
    if (!(x > -9.2e18 && x < 1.8e19)) return std::numeric_limits<T>::lowest();
    return x < 0 ? static_cast<T>(static_cast<int64_t>(x)) : static_cast<T>(static_cast<uint64_t>(x));
  } else {
    return T(static_cast<float>(x));
  }
}

template <class T>
T extreme(const ReduceParams& p, const T* src) {
  const bool max = p.kind == ReduceKind::kMax;
  using Limits = std::numeric_limits<T>;
  T best = Limits::has_infinity ? (max ? -Limits::infinity() : Limits::infinity()) : (max ? Limits::lowest() : Limits::max());
  walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) {
    const T x = src[o];
    if (best != best) return;  // NaN stays
    if (x != x || (max ? x > best : x < best)) best = x;
  });
  return best;
}

template <class T>
double floating(const ReduceParams& p, const T* src) {
  const auto each = [&](auto f) {
    walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) { f(as_double(src[o])); });
  };
  double a = p.kind == ReduceKind::kProd ? 1 : 0;
  switch (p.kind) {
    case ReduceKind::kL1: each([&](double x) { a += std::fabs(x); }); return a;
    case ReduceKind::kL2: each([&](double x) { a += x * x; }); return std::sqrt(a);
    case ReduceKind::kLogSum: each([&](double x) { a += x; }); return std::log(a);
    case ReduceKind::kLogSumExp: {
      double shift = -std::numeric_limits<double>::infinity();
      each([&](double x) {
        if (!(shift >= x)) shift = x;
      });
      if (std::isinf(shift)) return shift;
      each([&](double x) { a += std::exp(x - shift); });
      return shift + std::log(a);
    }
    case ReduceKind::kMean: each([&](double x) { a += x; }); return a / static_cast<double>(p.reduced);
    case ReduceKind::kProd: each([&](double x) { a *= x; }); return a;
    case ReduceKind::kSumSquare: each([&](double x) { a += x * x; }); return a;
    case ReduceKind::kMax: each([&](double x) { a = x > a || std::isnan(x) ? x : a; }); return a;
    default: each([&](double x) { a += x; }); return a;
  }
}

template <class T>
T integral(const ReduceParams& p, const T* src) {
  uint64_t a = p.kind == ReduceKind::kProd ? 1 : 0;
  const auto each = [&](auto f) { walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) { f(src[o]); }); };
  switch (p.kind) {
    case ReduceKind::kL1:
      each([&](T x) { a += x < T(0) ? uint64_t(0) - static_cast<uint64_t>(x) : static_cast<uint64_t>(x); });
      return static_cast<T>(a);
    case ReduceKind::kSum: each([&](T x) { a += static_cast<uint64_t>(x); }); return static_cast<T>(a);
    case ReduceKind::kSumSquare: each([&](T x) { a += static_cast<uint64_t>(x) * static_cast<uint64_t>(x); }); return static_cast<T>(a);
    case ReduceKind::kProd: each([&](T x) { a *= static_cast<uint64_t>(x); }); return static_cast<T>(a);
    default: return from_double<T>(floating(p, src));
  }
}

/// NaN-aware order for the narrow floats through float.
template <class T>
T half_extreme(const ReduceParams& p, const T* src) {
  const bool max = p.kind == ReduceKind::kMax;
  float best = max ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
  walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) {
    const auto x = static_cast<float>(src[o]);
    if (best != best) return;
    if (x != x || (max ? x > best : x < best)) best = x;
  });
  return T(best);
}

/// Outputs that lie side by side, over rows in the order in which they lie: dst = finish(step(... step(start, x0) ..., xn)).
template <class T, class Acc, class Step, class Finish>
void columns(const ReduceParams& p, const T* src, T* dst, int64_t begin, int64_t end, Acc start, Step step, Finish finish) {
  constexpr int64_t kColumns = 256;
  walk_runs(p.kept_dims, p.kept_strides, p.kept_rank, begin, end, [&](int64_t at, int64_t offset, int64_t n) {
    for (int64_t c = 0; c < n; c += kColumns) {
      const int64_t width = std::min(kColumns, n - c);
      Acc acc[kColumns];
      std::fill_n(acc, width, start);
      walk(p.reduced_dims, p.reduced_strides, p.reduced_rank, 0, p.reduced, [&](int64_t o) {
        const T* x = src + offset + c + o;
        for (int64_t i = 0; i < width; ++i) acc[i] = step(acc[i], x[i]);
      });
      for (int64_t i = 0; i < width; ++i) dst[at + c + i] = finish(acc[i]);
    }
  });
}

/// The common reductions of float64, int32 and int64 across the contiguous axis; false when it is another.
template <class T>
bool across(const ReduceParams& p, const T* src, T* dst, int64_t begin, int64_t end) {
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>) {
    if (p.kept_rank == 0 || p.kept_strides[p.kept_rank - 1] != 1 || p.reduced_rank == 0) return false;
    using Limits = std::numeric_limits<T>;
    using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    const double count = static_cast<double>(p.reduced);
    const auto same = [](T x) { return x; };
    switch (p.kind) {
      case ReduceKind::kMax:
        return columns<T, T>(
                   p, src, dst, begin, end, Limits::has_infinity ? -Limits::infinity() : Limits::lowest(),
                   [](T a, T x) { return x > a || x != x ? x : a; }, same),
               true;
      case ReduceKind::kMin:
        return columns<T, T>(
                   p, src, dst, begin, end, Limits::has_infinity ? Limits::infinity() : Limits::max(),
                   [](T a, T x) { return x < a || x != x ? x : a; }, same),
               true;
      case ReduceKind::kSum:
        return columns<T, Sum>(
                   p, src, dst, begin, end, 0, [](Sum a, T x) { return a + static_cast<Sum>(x); }, [](Sum a) { return static_cast<T>(a); }),
               true;
      case ReduceKind::kMean:
        return columns<T, double>(
                   p, src, dst, begin, end, 0, [](double a, T x) { return a + static_cast<double>(x); },
                   [count](double a) { return from_double<T>(a / count); }),
               true;
      default: return false;
    }
  }
  return false;
}

void ReducePlain(const ReduceParams& p, const Call& call, Range range) {
  const int64_t begin = range.begin * p.chunk, end = range.end * p.chunk < p.outputs ? range.end * p.chunk : p.outputs;
  const bool extremes = p.kind == ReduceKind::kMax || p.kind == ReduceKind::kMin;
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, bool>(
      p.dtype, [&](auto t) {
        using T = decltype(t);
        const T* src = call.in<T>(0);
        T* dst = call.out<T>(0);
        if (across(p, src, dst, begin, end)) return;
        int64_t o = begin;
        walk(p.kept_dims, p.kept_strides, p.kept_rank, begin, end, [&](int64_t offset) {
          if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
            dst[o++] = extremes ? half_extreme(p, src + offset) : from_double<T>(floating(p, src + offset));
          } else if constexpr (std::is_same_v<T, bool>) {
            dst[o++] = extreme(p, src + offset);
          } else if constexpr (std::is_integral_v<T>) {
            dst[o++] = extremes ? extreme(p, src + offset) : integral(p, src + offset);
          } else {
            dst[o++] = extremes ? extreme(p, src + offset) : from_double<T>(floating(p, src + offset));
          }
        });
      });
}

}  // namespace

Kernel<ReduceParams> ReducePlainPointer() { return ReducePlain; }

}  // namespace tenon::kernels
