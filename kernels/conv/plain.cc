// Convolution of any float type and any number of spatial dims on plain tensors: the reference, and the fallback for what the blocked
// kernels do not cover.
#include <algorithm>
#include <numeric>

#include "kernels/conv/conv.h"

namespace tenon::kernels {
namespace {

/// Steps `at` through [0, dims) in row-major order; false after the last.
bool next(int64_t* at, const int64_t* dims, int n) {
  for (int i = n - 1; i >= 0; --i) {
    if (++at[i] < dims[i]) return true;
    at[i] = 0;
  }
  return false;
}

int64_t product(const int64_t* dims, int n) {
  int64_t r = 1;
  for (int i = 0; i < n; ++i) r *= dims[i];
  return r;
}

template <class T>
struct SumOf {
  using type = float;
};
template <>
struct SumOf<double> {
  using type = double;
};

template <class Sum>
Sum finish(const Epilogue& e, Sum sum) {
  if (sum < static_cast<Sum>(e.low)) sum = static_cast<Sum>(e.low);
  if (sum > static_cast<Sum>(e.high)) sum = static_cast<Sum>(e.high);
  if (e.tile == nullptr) return sum;
  float value = static_cast<float>(sum);
  e.tile(e.alpha, e.beta, &value, &value, 1);
  return value;
}

/// One part: one output channel of one image, one row along the last dim.
template <class T>
void plain_conv(const PlainConvParams& p, const Call& call, Range range) {
  using Sum = typename SumOf<T>::type;
  const int n = p.spatial;
  const int64_t in_size = product(p.in, n), out_size = product(p.out, n), taps = product(p.kernel, n);
  const int64_t width = p.out[n - 1];
  const int64_t rows = out_size / std::max<int64_t>(width, 1);
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups;
  const T* x = call.in<T>(0);
  const T* w = call.in<T>(1);
  const T* bias = p.epilogue.bias ? call.in<T>(2) : nullptr;
  const T* residual = p.epilogue.residual ? call.in<T>(3) : nullptr;
  T* y = call.out<T>(0);
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t row = part % rows;
    const int64_t filter = part / rows % p.filters;
    const int64_t image = part / rows / p.filters;
    int64_t at[kMaxSpatial] = {};
    for (int64_t i = n - 2, rest = row; i >= 0; --i) {
      at[i] = rest % p.out[i];
      rest /= p.out[i];
    }
    const T* source = x + (image * p.channels + filter / group_filters * group_channels) * in_size;
    const T* weights = w + filter * group_channels * taps;
    const int64_t out_offset = (image * p.filters + filter) * out_size + row * width;
    for (int64_t o = 0; o < width; ++o) {
      at[n - 1] = o;
      Sum sum = bias != nullptr ? static_cast<Sum>(bias[filter]) : Sum(0);
      int64_t tap[kMaxSpatial] = {};
      int64_t t = 0;
      do {
        int64_t offset = 0;
        bool inside = true;
        for (int i = 0; i < n; ++i) {
          const int64_t pos = at[i] * p.stride[i] - p.pad[i] + tap[i] * p.dilation[i];
          inside = inside && pos >= 0 && pos < p.in[i];
          offset = offset * p.in[i] + pos;
        }
        if (inside) {
          for (int64_t c = 0; c < group_channels; ++c) {
            sum += static_cast<Sum>(source[c * in_size + offset]) * static_cast<Sum>(weights[c * taps + t]);
          }
        }
        ++t;
      } while (next(tap, p.kernel, n));
      if (residual != nullptr) sum += static_cast<Sum>(residual[out_offset + o]);
      y[out_offset + o] = static_cast<T>(finish(p.epilogue, sum));
    }
  }
}

void plain_conv_any(const PlainConvParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) { plain_conv<decltype(t)>(p, call, range); });
}

/// The pairs of tap and input position of one dim that meet at output o.
struct Meeting {
  int64_t count = 0, tap = 0, tap_step = 1, at = 0, at_step = 0;
  void find(const PlainConvParams& p, int i, int64_t o) {
    count = 0;
    // The first tap that meets an input position; every stride / gcd(stride, dilation) taps there is another.
    tap_step = p.stride[i] / std::gcd(p.stride[i], p.dilation[i]);
    at_step = -(tap_step * p.dilation[i] / p.stride[i]);
    const int64_t from = o + p.pad[i];
    for (tap = 0; tap < std::min(tap_step, p.kernel[i]); ++tap) {
      if ((from - tap * p.dilation[i]) % p.stride[i] == 0) break;
    }
    if (tap >= std::min(tap_step, p.kernel[i])) return;
    at = (from - tap * p.dilation[i]) / p.stride[i];
    count = (p.kernel[i] - 1 - tap) / tap_step + 1;
    // Positions fall as taps rise: drop those beyond either end.
    if (at >= p.in[i]) {
      const int64_t drop = std::min(count, (at - p.in[i]) / -at_step + 1);
      tap += drop * tap_step;
      at += drop * at_step;
      count -= drop;
    }
    count = at < 0 ? 0 : std::min(count, at / -at_step + 1);
  }
};

template <class Sum, class F>
void each_meeting(const PlainConvParams& p, const Meeting* m, int dim, int64_t tap, int64_t at, F&& f) {
  for (int64_t k = 0; k < m[dim].count; ++k) {
    const int64_t t = tap * p.kernel[dim] + m[dim].tap + k * m[dim].tap_step;
    const int64_t a = at * p.in[dim] + m[dim].at + k * m[dim].at_step;
    if (dim + 1 >= p.spatial || dim + 1 >= kMaxSpatial) {
      f(t, a);
    } else {
      each_meeting<Sum>(p, m, dim + 1, t, a, f);
    }
  }
}

/// One part: one output channel of one image, one row along the last dim.
template <class T>
void plain_transposed(const PlainConvParams& p, const Call& call, Range range) {
  using Sum = typename SumOf<T>::type;
  const int n = p.spatial;
  const int64_t in_size = product(p.in, n), out_size = product(p.out, n), taps = product(p.kernel, n);
  const int64_t width = p.out[n - 1];
  const int64_t rows = out_size / std::max<int64_t>(width, 1);
  const int64_t group_channels = p.channels / p.groups, group_filters = p.filters / p.groups;
  const T* bias = p.epilogue.bias ? call.in<T>(2) : nullptr;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t row = part % rows;
    const int64_t filter = part / rows % p.filters;
    const int64_t image = part / rows / p.filters;
    const int64_t group = filter / group_filters;
    Meeting meetings[kMaxSpatial];
    for (int64_t i = n - 2, rest = row; i >= 0; --i) {
      meetings[i].find(p, static_cast<int>(i), rest % p.out[i]);
      rest /= p.out[i];
    }
    const T* x = call.in<T>(0) + (image * p.channels + group * group_channels) * in_size;
    const T* w = call.in<T>(1) + (group * group_channels * group_filters + filter % group_filters) * taps;
    T* y = call.out<T>(0) + (image * p.filters + filter) * out_size + row * width;
    for (int64_t o = 0; o < width; ++o) {
      meetings[n - 1].find(p, n - 1, o);
      Sum sum = bias != nullptr ? static_cast<Sum>(bias[filter]) : Sum(0);
      each_meeting<Sum>(p, meetings, 0, 0, 0, [&](int64_t tap, int64_t at) {
        for (int64_t c = 0; c < group_channels; ++c) {
          sum += static_cast<Sum>(x[c * in_size + at]) * static_cast<Sum>(w[c * group_filters * taps + tap]);
        }
      });
      y[o] = static_cast<T>(finish(p.epilogue, sum));
    }
  }
}

void plain_transposed_any(const PlainConvParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16>(p.dtype, [&](auto t) { plain_transposed<decltype(t)>(p, call, range); });
}

}  // namespace

Kernel<PlainConvParams> PlainTransposedPointer() { return plain_transposed_any; }
Kernel<PlainConvParams> PlainConvPointer() { return plain_conv_any; }

}  // namespace tenon::kernels
