// Normalisations of every float dtype and every broadcast of scale and bias, in double.
#include <cmath>
#include <type_traits>

#include "kernels/normalization/layer_norm.h"

namespace tenon::kernels {
namespace {

template <class T>
double load(const void* p, int64_t i) {
  if constexpr (std::is_arithmetic_v<T>) return static_cast<const T*>(p)[i];
  else return static_cast<float>(static_cast<const T*>(p)[i]);
}
template <class T>
void store(void* p, int64_t i, double x) {
  if constexpr (std::is_arithmetic_v<T>) static_cast<T*>(p)[i] = static_cast<T>(x);
  else static_cast<T*>(p)[i] = T(static_cast<float>(x));
}
using Load = double (*)(const void*, int64_t);
using Store = void (*)(void*, int64_t, double);

Load loader(DType d) {
  switch (d) {
    case DType::kFloat64: return load<double>;
    case DType::kFloat16: return load<Float16>;
    case DType::kBFloat16: return load<BFloat16>;
    default: return load<float>;
  }
}
Store storer(DType d) {
  switch (d) {
    case DType::kFloat64: return store<double>;
    case DType::kFloat16: return store<Float16>;
    case DType::kBFloat16: return store<BFloat16>;
    default: return store<float>;
  }
}

struct Statistics {
  double mean, inverse;
};
Statistics statistics(Load get, const void* x, int64_t first, int64_t n, bool rms, double epsilon) {
  double mean = 0, square = 0;
  if (!rms) {
    for (int64_t i = 0; i < n; ++i) mean += get(x, first + i);
    mean /= static_cast<double>(n);
  }
  for (int64_t i = 0; i < n; ++i) square += (get(x, first + i) - mean) * (get(x, first + i) - mean);
  return {mean, 1 / std::sqrt(square / static_cast<double>(n) + epsilon)};
}

void LayerNormPlain(const LayerNormParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.rows ? range.end * p.chunk : p.rows;
  const Load get = loader(p.dtype), get_scale = loader(p.scale_dtype);
  const Store put = storer(p.out_dtype), put_stash = storer(p.stash_dtype);
  const int64_t ss = p.shape.strides[0][p.shape.rank - 1], sb = p.shape.strides[1][p.shape.rank - 1];
  for (int64_t r = range.begin * p.chunk; r < end; ++r) {
    const Statistics s = statistics(get, call.src[0], r * p.n, p.n, p.rms, p.epsilon);
    for_each_row(p.shape, r * p.n, (r + 1) * p.n, [&](int64_t at, const int64_t* offset, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        double y = (get(call.src[0], at + i) - s.mean) * s.inverse * get_scale(call.src[1], offset[0] + i * ss);
        if (p.has_bias) y += get_scale(call.src[2], offset[1] + i * sb);
        put(call.dst[0], at + i, y);
      }
    });
    if (p.wants_mean) put_stash(call.dst[1], r, s.mean);
    if (p.wants_inverse) put_stash(call.dst[2], r, s.inverse);
  }
}

void GroupNormPlain(const GroupNormParams& p, const Call& call, Range range) {
  const int64_t all = p.batch * p.groups;
  const int64_t end = range.end * p.chunk < all ? range.end * p.chunk : all;
  const int64_t members = p.channels / p.groups;
  const Load get = loader(p.dtype);
  const Store put = storer(p.dtype);
  for (int64_t g = range.begin * p.chunk; g < end; ++g) {
    const int64_t first = g * members * p.inner, group = g % p.groups;
    const Statistics s = statistics(get, call.src[0], first, members * p.inner, false, p.epsilon);
    for (int64_t i = 0; i < members * p.inner; ++i) {
      const int64_t at = p.per_group ? group : group * members + i / p.inner;
      put(call.dst[0], first + i, (get(call.src[0], first + i) - s.mean) * s.inverse * get(call.src[1], at) + get(call.src[2], at));
    }
  }
}

void LpNormPlain(const LpNormParams& p, const Call& call, Range range) {
  const int64_t lines = p.outer * p.inner;
  const int64_t end = range.end * p.chunk < lines ? range.end * p.chunk : lines;
  const Load get = loader(p.dtype);
  const Store put = storer(p.dtype);
  for (int64_t l = range.begin * p.chunk; l < end; ++l) {
    const int64_t first = l / p.inner * p.n * p.inner + l % p.inner;
    double norm = 0;
    for (int64_t i = 0; i < p.n; ++i) {
      const double x = get(call.src[0], first + i * p.inner);
      norm += p.p == 1 ? std::fabs(x) : x * x;
    }
    if (p.p == 2) norm = std::sqrt(norm);
    for (int64_t i = 0; i < p.n; ++i) put(call.dst[0], first + i * p.inner, norm == 0 ? 0 : get(call.src[0], first + i * p.inner) / norm);
  }
}

}  // namespace

Kernel<LayerNormParams> LayerNormPlainPointer() { return LayerNormPlain; }
Kernel<GroupNormParams> GroupNormPlainPointer() { return GroupNormPlain; }
Kernel<LpNormParams> LpNormPlainPointer() { return LpNormPlain; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(LpNormParams, Name, when, why)
static const Row<LpNormParams> kLpRows[] = {
#include "kernels/normalization/lp_norm.inc"
};
#undef KERNEL
const Table<LpNormParams> lp_norm{"lp_norm", kLpRows, sizeof(kLpRows) / sizeof(kLpRows[0])};

}  // namespace tenon::kernels
