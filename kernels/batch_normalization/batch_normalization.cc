#include "kernels/batch_normalization/batch_normalization.h"

#include <cmath>
#include <type_traits>

namespace tenon::kernels {
namespace {

double element(DType dtype, const void* data, int64_t i) {
  double value = 0;
  dispatch<float, double, Float16, BFloat16>(dtype, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, double>) {
      value = static_cast<const double*>(data)[i];
    } else {
      value = static_cast<float>(static_cast<const T*>(data)[i]);
    }
  });
  return value;
}

void set_element(DType dtype, void* data, int64_t i, double value) {
  dispatch<float, double, Float16, BFloat16>(dtype, [&](auto t) {
    using T = decltype(t);
    if constexpr (std::is_same_v<T, double>) {
      static_cast<double*>(data)[i] = value;
    } else {
      static_cast<T*>(data)[i] = static_cast<T>(static_cast<float>(value));
    }
  });
}

template <class T>
using WideOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
void scale_plane(const BatchNormalizationParams& p, const Call& call, int64_t plane, int64_t c, double mean, double var) {
  using W = WideOf<T>;
  const double scale = element(p.scale_dtype, call.src[1], c) / std::sqrt(var + p.epsilon);
  const W a = static_cast<W>(scale);
  const W b = static_cast<W>(element(p.scale_dtype, call.src[2], c) - mean * scale);
  const T* src = call.in<T>(0) + plane * p.pixels;
  T* dst = call.out<T>(0) + plane * p.pixels;
  for (int64_t i = 0; i < p.pixels; ++i) dst[i] = static_cast<T>(static_cast<W>(src[i]) * a + b);
}

template <class T>
void train_channel(const BatchNormalizationParams& p, const Call& call, int64_t c) {
  const double count = static_cast<double>(p.batch * p.pixels);
  const auto each = [&](auto&& f) {
    for (int64_t n = 0; n < p.batch; ++n) {
      const T* src = call.in<T>(0) + (n * p.channels + c) * p.pixels;
      for (int64_t i = 0; i < p.pixels; ++i) f(static_cast<double>(static_cast<WideOf<T>>(src[i])));
    }
  };
  double mean = 0, var = 0;
  each([&](double v) { mean += v; });
  mean /= count;
  each([&](double v) { var += (v - mean) * (v - mean); });
  var /= count;
  const double old_mean = element(p.mean_dtype, call.src[3], c), old_var = element(p.mean_dtype, call.src[4], c);
  if (p.wanted[1]) set_element(p.mean_dtype, call.dst[1], c, old_mean * p.momentum + mean * (1 - p.momentum));
  if (p.wanted[2]) set_element(p.mean_dtype, call.dst[2], c, old_var * p.momentum + var * (1 - p.momentum));
  if (p.wanted[3]) set_element(p.mean_dtype, call.dst[3], c, mean);
  if (p.wanted[4]) set_element(p.mean_dtype, call.dst[4], c, var);
  for (int64_t n = 0; n < p.batch; ++n) scale_plane<T>(p, call, n * p.channels + c, c, mean, var);
}

void batch_normalization(const BatchNormalizationParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) {
    using T = decltype(t);
    for (int64_t part = range.begin; part < range.end; ++part) {
      if (p.training) {
        train_channel<T>(p, call, part);
      } else {
        const int64_t c = part % p.channels;
        scale_plane<T>(p, call, part, c, element(p.mean_dtype, call.src[3], c), element(p.mean_dtype, call.src[4], c));
      }
    }
  });
}

}  // namespace

Kernel<BatchNormalizationParams> BatchNormalizationPointer() { return batch_normalization; }

}  // namespace tenon::kernels
