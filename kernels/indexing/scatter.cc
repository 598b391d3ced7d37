#include <complex>
#include <cstring>
#include <type_traits>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

using indexing::with_element;

void run_copy_all(const CopyAllParams& p, const Call& call, Range range) {
  if (call.dst[0] == call.src[0]) return;
  const int64_t begin = range.begin * p.kPartBytes;
  const int64_t end = range.end * p.kPartBytes < p.bytes ? range.end * p.kPartBytes : p.bytes;
  std::memcpy(call.out<char>(0) + begin, call.in<char>(0) + begin, static_cast<size_t>(end - begin));
}

template <class T>
constexpr bool kNarrow = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;
template <class T>
constexpr bool kComplex = std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

template <Reduction R, class T>
T combine(T a, T b) {
  if constexpr (kNarrow<T>) {
    return T(combine<R>(static_cast<float>(a), static_cast<float>(b)));
  } else if constexpr (std::is_same_v<T, bool>) {
    return R == Reduction::kAdd || R == Reduction::kMax ? (a || b) : (a && b);
  } else if constexpr (std::is_integral_v<T>) {
    using U = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;  // wraps, as numpy does
    if (R == Reduction::kAdd) return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    if (R == Reduction::kMul) return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
    return (R == Reduction::kMax) == (a > b) ? a : b;
  } else if constexpr (kComplex<T>) {
    return R == Reduction::kAdd ? a + b : T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  } else {
    if (R == Reduction::kAdd) return a + b;
    if (R == Reduction::kMul) return a * b;
    if (a != a) return a;
    if (b != b) return b;
    return (R == Reduction::kMax) == (a > b) ? a : b;
  }
}

/// f(op) with op(T, T) -> T for the reduction.
template <class T, class F>
void with_reduction(Reduction r, F&& f) {
  switch (r) {
    case Reduction::kAdd: f([](T a, T b) { return combine<Reduction::kAdd>(a, b); }); break;
    case Reduction::kMul: f([](T a, T b) { return combine<Reduction::kMul>(a, b); }); break;
    case Reduction::kMax: f([](T a, T b) { return combine<Reduction::kMax>(a, b); }); break;
    default: f([](T a, T b) { return combine<Reduction::kMin>(a, b); }); break;
  }
}

/// f(T{}) for the C++ type that reductions of `dtype` are done in. The operator refuses other dtypes.
template <class F>
void with_number(DType dtype, F&& f) {
  if (dtype == DType::kComplex64) {
    f(std::complex<float>{});
  } else if (dtype == DType::kComplex128) {
    f(std::complex<double>{});
  } else {
    dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, bool>(dtype, f);
  }
}

void run_scatter_elements(const ScatterElementsParams& p, const Call& call, Range range) {
  if (p.reduction == Reduction::kNone) {
    with_element(static_cast<int64_t>(size_of(p.dtype)), [&](auto t) {
      using T = decltype(t);
      const T* updates = call.in<T>(2);
      T* dst = call.out<T>(0);
      indexing::walk_lines(p.walk, call.src[1], range, call.fault, [&](int64_t at, int64_t n, const int64_t* offsets) {
        for (int64_t i = 0; i < n; ++i) dst[offsets[i]] = updates[at + i];
      });
    });
    return;
  }
  with_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T* updates = call.in<T>(2);
    T* dst = call.out<T>(0);
    indexing::walk_lines(p.walk, call.src[1], range, call.fault, [&](int64_t at, int64_t n, const int64_t* offsets) {
      with_reduction<T>(p.reduction, [&](auto op) {
        for (int64_t i = 0; i < n; ++i) dst[offsets[i]] = op(dst[offsets[i]], updates[at + i]);
      });
    });
  });
}

/// Visits, in order, the tuples that address a slice of the owners in `range`: f(slice, tuple).
template <class F>
void walk_tuples(const ScatterNDParams& p, const Call& call, Range range, F&& f) {
  const int64_t per_owner = (p.slices + p.owners - 1) / p.owners;
  const int64_t first = range.begin * per_owner, last = range.end * per_owner;
  for (int64_t t = 0; t < p.index.tuples; ++t) {
    const int64_t slice = indexing::resolve_tuple(p.index, call.src[1], t, call.fault);
    if (slice >= first && slice < last) f(slice, t);
  }
}

void run_scatter_nd(const ScatterNDParams& p, const Call& call, Range range) {
  const int64_t n = p.index.slice;
  if (p.reduction == Reduction::kNone) {
    with_element(static_cast<int64_t>(size_of(p.dtype)), [&](auto t) {
      using T = decltype(t);
      walk_tuples(p, call, range, [&](int64_t slice, int64_t tuple) {
        if (n == 1) {
          call.out<T>(0)[slice] = call.in<T>(2)[tuple];
        } else if (n > 0) {
          std::memcpy(call.out<T>(0) + slice * n, call.in<T>(2) + tuple * n, static_cast<size_t>(n) * sizeof(T));
        }
      });
    });
    return;
  }
  with_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    with_reduction<T>(p.reduction, [&](auto op) {
      walk_tuples(p, call, range, [&](int64_t slice, int64_t tuple) {
        T* dst = call.out<T>(0) + slice * n;
        const T* update = call.in<T>(2) + tuple * n;
        for (int64_t i = 0; i < n; ++i) dst[i] = op(dst[i], update[i]);
      });
    });
  });
}

}  // namespace

TENON_ONE_ROW(copy_all, CopyAllParams, CopyAll, run_copy_all)
TENON_ONE_ROW(scatter_elements, ScatterElementsParams, ScatterElements, run_scatter_elements)
TENON_ONE_ROW(scatter_nd, ScatterNDParams, ScatterND, run_scatter_nd)

}  // namespace tenon::kernels
