// The references: plain C++, any element type the params allow.
#include <algorithm>
#include <cstring>

#include "kernels/resize/nearest_rows.h"

namespace tenon::kernels {
namespace {

struct Bytes16 {
  uint64_t a, b;
};

template <class T>
void expand(const ResizeNearestParams& p, const std::byte* tables, const std::byte* src, std::byte* dst) {
  const T* from = reinterpret_cast<const T*>(src);
  T* to = reinterpret_cast<T*>(dst);
  const auto* start = reinterpret_cast<const int32_t*>(tables + p.row_start_at);
  T fill;
  std::memcpy(&fill, p.fill, sizeof(T));
  for (int64_t j = 0; j < p.row; ++j) to[j] = start[j] >= 0 ? from[start[j]] : fill;
}

void run_nearest(const ResizeNearestParams& p, const Call& call, Range range) {
  const std::byte* tables = p.tables ? p.tables : call.shared;
  resize::walk_rows(p, tables, call, range, [&](const std::byte* src, std::byte* dst) {
    if (p.row_start_at < 0) {
      std::memcpy(dst, src, static_cast<size_t>(p.row * p.element));
      return;
    }
    switch (p.element) {
      case 1: expand<uint8_t>(p, tables, src, dst); break;
      case 2: expand<uint16_t>(p, tables, src, dst); break;
      case 4: expand<uint32_t>(p, tables, src, dst); break;
      case 8: expand<uint64_t>(p, tables, src, dst); break;
      default: expand<Bytes16>(p, tables, src, dst); break;
    }
  });
}

template <class C>
void pass(const ResizePassParams& p, const Call& call, Range range) {
  const std::byte* tables = p.tables ? p.tables : call.shared;
  const C* src = p.src_at < 0 ? call.in<C>(0) : reinterpret_cast<const C*>(call.shared + p.src_at);
  C* dst = p.dst_at < 0 ? call.out<C>(0) : reinterpret_cast<C*>(call.shared + p.dst_at);
  const auto* start = reinterpret_cast<const int32_t*>(tables + p.axis.start_at);
  const C* weights = reinterpret_cast<const C*>(tables + p.axis.weight_at);
  const auto* outside = p.axis.outside_at >= 0 ? reinterpret_cast<const uint8_t*>(tables + p.axis.outside_at) : nullptr;
  const int64_t out = p.axis.out, in = p.axis.in, inner = p.inner;
  const int64_t begin = range.begin * p.units_per_part, end = std::min(range.end * p.units_per_part, p.units());
  // A row of `out` is the same as `out` rows of one element.
  const int64_t per_unit = inner == 1 ? out : 1;
  for (int64_t u = begin * per_unit; u < end * per_unit; ++u) {
    const int64_t o = u / out, j = u % out;
    const C* from = src + (o * in + start[j]) * inner;
    C* to = dst + u * inner;
    if (outside && outside[j]) {
      for (int64_t i = 0; i < inner; ++i) to[i] = static_cast<C>(p.extrapolation);
      continue;
    }
    for (int64_t i = 0; i < inner; ++i) {
      C sum = 0;
      for (int64_t t = 0; t < p.axis.taps; ++t) sum += weights[t * out + j] * from[t * inner + i];
      to[i] = sum;
    }
  }
}

void run_pass(const ResizePassParams& p, const Call& call, Range range) {
  if (p.wide) {
    pass<double>(p, call, range);
  } else {
    pass<float>(p, call, range);
  }
}

void run_bilinear(const ResizeBilinearParams& p, const Call& call, Range range) {
  const std::byte* tables = p.tables ? p.tables : call.shared;
  const auto* ys = reinterpret_cast<const int32_t*>(tables + p.y.start_at);
  const auto* xs = reinterpret_cast<const int32_t*>(tables + p.x.start_at);
  const auto* wy = reinterpret_cast<const float*>(tables + p.y.weight_at);
  const auto* wx = reinterpret_cast<const float*>(tables + p.x.weight_at);
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t plane = part / p.blocks, first = part % p.blocks * p.rows_per_part;
    const float* src = call.in<float>(0) + plane * p.y.in * p.x.in;
    float* dst = call.out<float>(0) + plane * p.y.out * p.x.out;
    for (int64_t y = first; y < std::min(first + p.rows_per_part, p.y.out); ++y) {
      for (int64_t x = 0; x < p.x.out; ++x) {
        float sum = 0;
        for (int64_t v = 0; v < p.y.taps; ++v) {
          for (int64_t h = 0; h < p.x.taps; ++h) sum += wy[v * p.y.out + y] * wx[h * p.x.out + x] * src[(ys[y] + v) * p.x.in + xs[x] + h];
        }
        dst[y * p.x.out + x] = sum;
      }
    }
  }
}

}  // namespace

Kernel<ResizeNearestParams> ResizeNearestPlainPointer() { return &run_nearest; }
Kernel<ResizePassParams> ResizePassPlainPointer() { return &run_pass; }
Kernel<ResizeBilinearParams> ResizeBilinearPlainPointer() { return &run_bilinear; }

}  // namespace tenon::kernels
