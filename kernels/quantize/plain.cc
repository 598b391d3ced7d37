// The reference, for every dtype that ONNX allows. Quotients are made in double: rounded to float32 or less, they are what a division in
// that type gives.
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/elementwise/cast.h"
#include "kernels/quantize/quantize.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kTile = 256;

void to_doubles(DType from, const void* data, int64_t at, int64_t n, double* to) {
  cast_elements({.from = from, .to = DType::kFloat64}, static_cast<const char*>(data) + static_cast<size_t>(at) * size_of(from), to, n);
}

/// The scales and zero points of a tile of a run.
class Scales {
 public:
  Scales(const QuantizeParams& p, const Call& call, int64_t first) : p_(p), call_(call), first_(first) {
    if (p.scale_inner == 0) load(0, 1);
  }
  /// Those of m elements from element i of the run on come next.
  void advance(int64_t i, int64_t m) {
    if (p_.scale_inner != 0) load(i, m);
  }
  double scale(int64_t k) const { return scales_[k * p_.scale_inner]; }
  double zero(int64_t k) const { return zeros_[k * p_.scale_inner]; }

 private:
  void load(int64_t i, int64_t m) {
    to_doubles(p_.scale, call_.src[1], first_ + i, m, scales_);
    if (p_.zero_point) to_doubles(p_.narrow, call_.src[2], first_ + i, m, zeros_);
  }

  const QuantizeParams& p_;
  const Call& call_;
  int64_t first_;
  double scales_[kTile], zeros_[kTile] = {};
};

double rounded(double x, DType to) {
  switch (to) {
    case DType::kFloat16: return static_cast<double>(static_cast<float>(Float16(static_cast<float>(x))));
    case DType::kBFloat16: return static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(x))));
    case DType::kFloat32: return static_cast<double>(static_cast<float>(x));
    default: return x;
  }
}

struct Limits {
  double low, high;
};
Limits limits_of(DType dtype) {
  switch (dtype) {
    case DType::kUint2: return {0, 3};
    case DType::kInt2: return {-2, 1};
    case DType::kUint4: return {0, 15};
    case DType::kInt4: return {-8, 7};
    case DType::kUint8: return {0, 255};
    case DType::kInt8: return {-128, 127};
    case DType::kUint16: return {0, 65535};
    default: return {-32768, 32767};
  }
}

void quantize_run(const QuantizeParams& p, const Call& call, int64_t at, int64_t n, int64_t first_scale) {
  const bool tiny_float = is_any_float(p.narrow);
  const Limits limits = limits_of(p.narrow);
  double tile[kTile];
  Scales scales(p, call, first_scale);
  for (int64_t i = 0; i < n; i += kTile) {
    const int64_t m = std::min(kTile, n - i);
    to_doubles(p.wide, call.src[0], at + i, m, tile);
    scales.advance(i, m);
    for (int64_t k = 0; k < m; ++k) {
      const double q = rounded(rounded(tile[k], p.precision) / rounded(scales.scale(k), p.precision), p.precision);
      const double zero = scales.zero(k);
      if (tiny_float) {
        tile[k] = zero == 0 ? q : q + zero;  // -0 stays -0
      } else {
        const double sum = std::nearbyint(q) + zero;
        tile[k] = sum >= limits.low ? std::min(sum, limits.high) : limits.low;
      }
    }
    cast_elements({.from = DType::kFloat64, .to = p.narrow, .saturate = p.saturate}, tile,
                  call.out<char>(0) + static_cast<size_t>(at + i) * size_of(p.narrow), m);
  }
}

void dequantize_run(const QuantizeParams& p, const Call& call, int64_t at, int64_t n, int64_t first_scale) {
  double tile[kTile];
  float products[kTile];
  Scales scales(p, call, first_scale);
  for (int64_t i = 0; i < n; i += kTile) {
    const int64_t m = std::min(kTile, n - i);
    to_doubles(p.narrow, call.src[0], at + i, m, tile);
    scales.advance(i, m);
    for (int64_t k = 0; k < m; ++k) products[k] = static_cast<float>(tile[k] - scales.zero(k)) * static_cast<float>(scales.scale(k));
    cast_elements({.from = DType::kFloat32, .to = p.wide}, products, call.out<char>(0) + static_cast<size_t>(at + i) * size_of(p.wide), m);
  }
}

void QuantizePlain(const QuantizeParams& p, const Call& call, Range range) {
  for_each_run(p, range, [&](int64_t at, int64_t n, int64_t scale) { quantize_run(p, call, at, n, scale); });
}
void DequantizePlain(const QuantizeParams& p, const Call& call, Range range) {
  for_each_run(p, range, [&](int64_t at, int64_t n, int64_t scale) { dequantize_run(p, call, at, n, scale); });
}

}  // namespace

Kernel<QuantizeParams> QuantizePlainPointer() { return QuantizePlain; }
Kernel<QuantizeParams> DequantizePlainPointer() { return DequantizePlain; }

#define KERNEL(Name, when, why) TENON_KERNEL_ROW(QuantizeParams, Name, when, why)
static const Row<QuantizeParams> kQuantize[] = {
#include "kernels/quantize/quantize.inc"
};
static const Row<QuantizeParams> kDequantize[] = {
#include "kernels/quantize/dequantize.inc"
};
#undef KERNEL
const Table<QuantizeParams> quantize{"quantize", kQuantize, std::size(kQuantize)};
const Table<QuantizeParams> dequantize{"dequantize", kDequantize, std::size(kDequantize)};

}  // namespace tenon::kernels
