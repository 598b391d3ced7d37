// Pooling of plain tensors of any type and any number of spatial dims, and the tables.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/pool/pool.h"

namespace tenon::kernels {
namespace {

/// float16 and bfloat16 are computed in float32, 8-bit integers as they are.
template <class T>
struct Wide {
  using type = T;
};
template <>
struct Wide<Float16> {
  using type = float;
};
template <>
struct Wide<BFloat16> {
  using type = float;
};

template <class W>
bool is_nan(W v) {
  if constexpr (std::is_floating_point_v<W>) {
    return v != v;
  } else {
    return false;
  }
}

template <class W>
W lowest() {
  if constexpr (std::is_floating_point_v<W>) {
    return -std::numeric_limits<W>::infinity();
  } else {
    return std::numeric_limits<W>::lowest();
  }
}

template <class W>
W power(W value, int64_t p) {
  const W a = std::abs(value);
  return p == 1 ? a : p == 2 ? a * a : std::pow(a, static_cast<W>(p));
}
template <class W>
W root(W value, int64_t p) {
  return p == 1 ? value : p == 2 ? std::sqrt(value) : std::pow(value, W(1) / static_cast<W>(p));
}

/// Taps of one dim for output o: those inside the input, and how many are inside the input with its pads.
struct Taps {
  int64_t first, begin = 0, end, padded;
  Taps() = default;
  Taps(const PoolParams& p, int i, int64_t o) : first(o * p.stride[i] - p.pad[i]) {
    const int64_t step = p.dilation[i];
    const auto up_to = [&](int64_t limit) { return first >= limit ? 0 : std::min((limit - 1 - first) / step + 1, p.kernel[i]); };
    if (first < 0) begin = (-first + step - 1) / step;
    end = up_to(p.in[i]);
    padded = up_to(p.in[i] + p.pad_end[i]);
    begin = std::min(begin, end);
  }
};

/// Calls f(offset into the plane) at every tap of the window.
template <class F>
void each_tap(const PoolParams& p, const Taps* taps, int dim, int64_t offset, F&& f) {
  const int64_t from = offset * p.in[dim] + taps[dim].first;
  for (int64_t k = taps[dim].begin; k < taps[dim].end; ++k) {
    if (dim + 1 >= p.spatial || dim + 1 >= kMaxPoolSpatial) {
      f(from + k * p.dilation[dim]);
    } else {
      each_tap(p, taps, dim + 1, from + k * p.dilation[dim], f);
    }
  }
}

int64_t column_major(const PoolParams& p, int64_t offset) {
  int64_t at[kMaxPoolSpatial];
  for (int i = p.spatial - 1; i >= 0; --i) {
    at[i] = offset % p.in[i];
    offset /= p.in[i];
  }
  int64_t result = 0;
  for (int i = p.spatial - 1; i >= 0; --i) result = result * p.in[i] + at[i];
  return result;
}

template <class T>
void pool_plain(const PoolParams& p, const Call& call, Range range) {
  using W = typename Wide<T>::type;
  const int n = p.spatial;
  const int64_t rows = p.row_count(), width = p.out[n - 1], row_parts = p.row_parts();
  int64_t plane_size = 1;
  for (int i = 0; i < n; ++i) plane_size *= p.in[i];
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / row_parts;
    const T* src = call.in<T>(0) + plane * plane_size;
    const int64_t end = std::min(rows, (part % row_parts + 1) * p.rows);
    for (int64_t row = part % row_parts * p.rows; row < end; ++row) {
      T* dst = call.out<T>(0) + (plane * rows + row) * width;
      int64_t* position = p.indices ? call.out<int64_t>(1) + (plane * rows + row) * width : nullptr;
      Taps taps[kMaxPoolSpatial];
      for (int64_t i = n - 2, rest = row; i >= 0; --i) {
        taps[i] = Taps(p, static_cast<int>(i), rest % p.out[i]);
        rest /= p.out[i];
      }
      for (int64_t o = 0; o < width; ++o) {
        taps[n - 1] = Taps(p, n - 1, o);
        if (p.kind == PoolKind::kMax) {
          W best = lowest<W>();
          int64_t at = -1;
          each_tap(p, taps, 0, 0, [&](int64_t offset) {
            const W value = static_cast<W>(src[offset]);
            if (at < 0 || value > best || (is_nan(value) && !is_nan(best))) {
              best = value;
              at = offset;
            }
          });
          dst[o] = static_cast<T>(best);
          if (position != nullptr) position[o] = at < 0 ? -1 : plane * plane_size + (p.column_major ? column_major(p, at) : at);
        } else {
          if constexpr (std::is_floating_point_v<W>) {
            W sum = 0;
            double count = 1;
            if (p.kind == PoolKind::kAverage) {
              each_tap(p, taps, 0, 0, [&](int64_t offset) { sum += static_cast<W>(src[offset]); });
              for (int i = 0; i < n; ++i) count *= static_cast<double>(p.count_include_pad ? taps[i].padded : taps[i].end - taps[i].begin);
              dst[o] = static_cast<T>(sum / static_cast<W>(count));
            } else {
              each_tap(p, taps, 0, 0, [&](int64_t offset) { sum += power(static_cast<W>(src[offset]), p.p); });
              dst[o] = static_cast<T>(root(sum, p.p));
            }
          }
        }
      }
    }
  }
}

void pool_any(const PoolParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t>(p.dtype, [&](auto t) { pool_plain<decltype(t)>(p, call, range); });
}

template <class T>
void global_plain(const GlobalPoolParams& p, const Call& call, Range range) {
  using W = typename Wide<T>::type;
  for (int64_t plane = range.begin; plane < range.end; ++plane) {
    const T* src = call.in<T>(0) + plane * p.pixels;
    // Eight chains, so that long sums stay accurate and the compiler can use vectors.
    constexpr int kChains = 8;
    W acc[kChains];
    std::fill_n(acc, kChains, p.kind == PoolKind::kMax ? lowest<W>() : W(0));
    const auto add = [&](W& a, W v) {
      if (p.kind == PoolKind::kMax) {
        if (v > a || is_nan(v)) a = v;
      } else {
        a += p.kind == PoolKind::kLp ? power(v, p.p) : v;
      }
    };
    int64_t i = 0;
    if (p.kind == PoolKind::kAverage) {
      for (; i + kChains <= p.pixels; i += kChains) {
        for (int k = 0; k < kChains; ++k) acc[k] += static_cast<W>(src[i + k]);
      }
    }
    for (; i < p.pixels; ++i) add(acc[i % kChains], static_cast<W>(src[i]));
    W result = acc[0];
    for (int k = 1; k < kChains; ++k) {
      if (p.kind == PoolKind::kMax) {
        if (acc[k] > result || is_nan(acc[k])) result = acc[k];
      } else {
        result += acc[k];
      }
    }
    if (p.kind == PoolKind::kAverage) result /= static_cast<W>(p.pixels);
    if (p.kind == PoolKind::kLp) result = root(result, p.p);
    call.out<T>(0)[plane] = static_cast<T>(result);
  }
}

void global_any(const GlobalPoolParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) { global_plain<decltype(t)>(p, call, range); });
}

template <class T>
void lrn_plain(const LrnParams& p, const Call& call, Range range) {
  using W = typename Wide<T>::type;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t c = part % p.channels, image = part / p.channels;
    const T* src = call.in<T>(0) + image * p.channels * p.pixels;
    T* dst = call.out<T>(0) + part * p.pixels;
    const int64_t begin = std::max<int64_t>(0, c - (p.size - 1) / 2);
    const int64_t end = std::min(p.channels, c + p.size / 2 + 1);
    const W scale = static_cast<W>(p.alpha / static_cast<double>(p.size));
    for (int64_t i = 0; i < p.pixels; ++i) {
      W sum = 0;
      for (int64_t k = begin; k < end; ++k) {
        const W v = static_cast<W>(src[k * p.pixels + i]);
        sum += v * v;
      }
      const W base = static_cast<W>(p.bias) + scale * sum;
      const W divisor = p.beta == 0.75 ? std::sqrt(base) * std::sqrt(std::sqrt(base)) : std::pow(base, static_cast<W>(p.beta));
      dst[i] = static_cast<T>(static_cast<W>(src[c * p.pixels + i]) / divisor);
    }
  }
}

void lrn_any(const LrnParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) { lrn_plain<decltype(t)>(p, call, range); });
}

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(PoolParams, Name, when, why)
constexpr Row<PoolParams> kPoolRows[] = {
#include "kernels/pool/pool.inc"
};
#undef KERNEL
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(GlobalPoolParams, Name, when, why)
constexpr Row<GlobalPoolParams> kGlobalRows[] = {
#include "kernels/pool/global_pool.inc"
};
#undef KERNEL

}  // namespace

namespace {

constexpr double kMostBytes = 1 << 20;

double real(int64_t v) { return static_cast<double>(v); }

/// Types and kinds that vectors take: max of float32 and 8-bit integers, average of float32.
bool takes_vectors(const PoolParams& p) {
  const bool bytes = p.dtype == DType::kInt8 || p.dtype == DType::kUint8;
  return !p.indices && ((p.kind == PoolKind::kMax && bytes) || (p.kind != PoolKind::kLp && p.dtype == DType::kFloat32));
}

bool moves_by_one(const PoolParams& p) {
  if (p.spatial > 2) return false;
  for (int i = 0; i < p.spatial; ++i) {
    if (p.stride[i] != 1 ||
        real(p.in[i]) + real(p.pad[i]) + real(p.pad_end[i]) - real(p.out[i]) != real(p.kernel[i] - 1) * real(p.dilation[i]))
      return false;
  }
  return true;
}

/// The sizes of a band as numbers that cannot overflow.
struct Band {
  double rows, line, padded, joined, scale_rows, bytes;
  explicit Band(const PoolParams& p) {
    const int x = p.spatial - 1;
    const double size = p.dtype == DType::kFloat32 ? 4 : 1, unit = std::max(p.block, 1), out_line = real(p.out[x]) * unit;
    const double reach = x == 0 ? 0 : real(p.kernel[0] - 1) * real(p.dilation[0]), all = x == 0 ? 1 : real(p.out[0]);
    // Enough rows to make up for those that neighbouring bands compute as well, and some 16 KB.
    rows = std::clamp(std::max(2 * reach, std::floor(16384 / (out_line * size + 1))), 1.0, std::max(all, 1.0));
    line = (real(p.pad[x]) + real(p.in[x]) + real(p.pad_end[x])) * unit;
    const auto whole = [size](double elements) {
      return (std::ceil(elements * size / 64) * 64 + 256) / size;
    };  // and what vectors pass over
    padded = whole((rows + reach) * line);
    joined = whole((rows + reach) * out_line);
    scale_rows = std::min(rows, std::ceil(1024 / (out_line + 1)));  // enough for long runs
    const double scales = p.kind == PoolKind::kAverage ? whole(((x == 0 ? 1 : real(p.kernel[0])) + scale_rows) * out_line) : 0;
    bytes = (padded + joined + scales) * size;
  }
};

}  // namespace

PoolBand pool_band(const PoolParams& p) {
  const Band b(p);
  const auto whole = [](double v) { return static_cast<int64_t>(v); };
  return {.rows = whole(b.rows),
          .line = whole(b.line),
          .padded = whole(b.padded),
          .joined = whole(b.joined),
          .scale_rows = whole(b.scale_rows),
          .bytes = whole(b.bytes)};
}
bool takes_pool_sliding(const PoolParams& p) {
  return takes_vectors(p) && moves_by_one(p) && p.out[p.spatial - 1] > 0 && Band(p).bytes <= kMostBytes;
}

int64_t pool_line_bytes(const PoolParams& p) {
  const double lanes = 64.0 / real(static_cast<int64_t>(size_of(p.dtype)));
  const int i = p.spatial - 1;
  const double with_pads = real(p.pad[i]) + real(p.in[i]);
  const double reach = real(p.out[i] - 1) * real(p.stride[i]) + real(p.kernel[i] - 1) * real(p.dilation[i]) + 1;
  const double line = std::max(with_pads, reach) + lanes * (real(p.stride[i]) + 1);
  return static_cast<int64_t>(std::min(1e15, 2 * (line + real(p.out[i])) * real(size_of(p.dtype))));
}
bool takes_pool_lines(const PoolParams& p) {
  return p.block == 0 && takes_vectors(p) && p.spatial <= 3 && p.out[p.spatial - 1] > 0 && real(pool_line_bytes(p)) <= kMostBytes;
}

double pool_nanoseconds(const PoolParams& p) {
  double sum = 0, product = 1;
  for (int i = 0; i < p.spatial; ++i) sum += real(p.kernel[i]), product *= real(p.kernel[i]);
  if (takes_pool_sliding(p)) return 0.06 * sum;
  return (p.block != 0 || takes_pool_lines(p) ? 0.1 : 1.0) * product;
}

int64_t pool_scratch_bytes(const PoolParams& p) {
  return takes_pool_sliding(p) ? pool_band(p).bytes : takes_pool_lines(p) ? pool_line_bytes(p) : 0;
}

int64_t plan_pool(PoolParams& p) {
  // About 20 thousand taps a part, and bands of PoolSliding whole.
  const bool sliding = takes_pool_sliding(p);
  double taps = sliding ? 0 : 1;
  for (int i = 0; i < p.spatial; ++i) taps = sliding ? taps + real(p.kernel[i]) : taps * real(p.kernel[i]);
  const double row_work = real(std::max<int64_t>(p.out[p.spatial - 1], 1)) * taps * (sliding ? std::max(p.block, 1) : 1);
  const int64_t rows = p.row_count();
  const double least = sliding ? real(pool_band(p).rows) : 1;
  p.rows = static_cast<int64_t>(std::clamp<double>(20000 / row_work, least, real(std::max<int64_t>(rows, 1))));
  return rows * p.out[p.spatial - 1] == 0 ? 0 : p.planes * p.row_parts();
}

Kernel<PoolParams> PoolPlainPointer() { return pool_any; }
Kernel<GlobalPoolParams> GlobalPoolPlainPointer() { return global_any; }
Kernel<LrnParams> LrnPointer() { return lrn_any; }
const Table<PoolParams> pool{"pool", kPoolRows, std::size(kPoolRows)};
const Table<GlobalPoolParams> global_pool{"global_pool", kGlobalRows, std::size(kGlobalRows)};

}  // namespace tenon::kernels
