// The layer by its definition, in double.
#include <algorithm>
#include <cmath>

#include "base/small_float.h"
#include "kernels/recurrent/layout.h"

namespace tenon::kernels {
namespace {

template <class T>
double load(const void* src, int64_t i) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(static_cast<float>(static_cast<const T*>(src)[i]));
  } else {
    return static_cast<double>(static_cast<const T*>(src)[i]);
  }
}
template <class T>
void store(void* dst, int64_t i, double x) {
  if constexpr (std::is_same_v<T, double>) {
    static_cast<T*>(dst)[i] = x;
  } else {
    static_cast<T*>(dst)[i] = T(static_cast<float>(x));
  }
}

double apply(const RecurrentParams& p, const CellActivation& f, double x) {
  const double alpha = static_cast<double>(f.alpha), beta = static_cast<double>(f.beta);
  if (p.clips) {
    const double limit = static_cast<double>(p.clip);
    x = x > limit ? limit : x < -limit ? -limit : x;
  }
  switch (f.kind) {
    case CellActivationKind::kRelu: return x < 0 ? 0 : x;
    case CellActivationKind::kTanh: return std::tanh(x);
    case CellActivationKind::kSigmoid: return 1 / (1 + std::exp(-x));
    case CellActivationKind::kAffine: return alpha * x + beta;
    case CellActivationKind::kLeakyRelu: return x < 0 ? alpha * x : x;
    case CellActivationKind::kThresholdedRelu: return x <= alpha ? 0 : x;
    case CellActivationKind::kScaledTanh: return alpha * std::tanh(beta * x);
    case CellActivationKind::kHardSigmoid: return std::min(std::max(alpha * x + beta, 0.0), 1.0);
    case CellActivationKind::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case CellActivationKind::kSoftsign: return x / (1 + std::fabs(x));
    case CellActivationKind::kSoftplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  return x;
}

template <class T>
struct Layer {
  const RecurrentParams& p;
  const Call& call;
  int64_t d, b, n;

  double bias(int64_t gate, int64_t j, bool recurrent) const {
    if (!p.biased) return 0;
    return load<T>(call.src[3], d * 2 * p.width() + (recurrent ? p.width() : 0) + gate * n + j);
  }
  double input(int64_t t, int64_t gate, int64_t j) const {
    const int64_t x = x_row(p, t, b) * p.inputs, w = (d * p.width() + gate * n + j) * p.inputs;
    double sum = bias(gate, j, false);
    for (int64_t i = 0; i < p.inputs; ++i) sum += load<T>(call.src[0], x + i) * load<T>(call.src[1], w + i);
    return sum;
  }
  double recurrent(const double* h, int64_t gate, int64_t j) const {
    const int64_t r = (d * p.width() + gate * n + j) * n;
    double sum = bias(gate, j, true);
    for (int64_t i = 0; i < n; ++i) sum += h[i] * load<T>(call.src[2], r + i);
    return sum;
  }
  double peephole(int64_t which, int64_t j, double c) const { return p.peepholes ? load<T>(call.src[7], (d * 3 + which) * n + j) * c : 0; }

  void step(int64_t t, double* h, double* c, double* next, double* spare) const {
    const CellActivation* f = p.activations[d];
    if (p.cell == CellKind::kRnn) {
      for (int64_t j = 0; j < n; ++j) next[j] = apply(p, f[0], input(t, 0, j) + recurrent(h, 0, j));
    } else if (p.cell == CellKind::kGru) {
      double* reset = spare;
      for (int64_t j = 0; j < n; ++j) reset[j] = apply(p, f[0], input(t, 1, j) + recurrent(h, 1, j));
      double* gated = spare + n;
      for (int64_t j = 0; j < n; ++j) gated[j] = reset[j] * h[j];
      for (int64_t j = 0; j < n; ++j) {
        const double z = apply(p, f[0], input(t, 0, j) + recurrent(h, 0, j));
        const double from_h = p.linear_before_reset ? reset[j] * recurrent(h, 2, j) : recurrent(gated, 2, j);
        next[j] = (1 - z) * apply(p, f[1], input(t, 2, j) + from_h) + z * h[j];
      }
    } else {
      for (int64_t j = 0; j < n; ++j) {
        const double in = apply(p, f[0], input(t, 0, j) + recurrent(h, 0, j) + peephole(0, j, c[j]));
        const double forget = p.input_forget ? 1 - in : apply(p, f[0], input(t, 2, j) + recurrent(h, 2, j) + peephole(2, j, c[j]));
        const double cell = forget * c[j] + in * apply(p, f[1], input(t, 3, j) + recurrent(h, 3, j));
        const double out = apply(p, f[0], input(t, 1, j) + recurrent(h, 1, j) + peephole(1, j, cell));
        c[j] = cell;
        next[j] = out * apply(p, f[2], cell);
      }
    }
    std::copy(next, next + n, h);
  }
};

template <class T>
void run(const RecurrentParams& p, const Call& call, Range range) {
  double* const h = reinterpret_cast<double*>(call.scratch);
  double *const c = h + p.hidden, *const next = c + p.hidden, *const spare = next + p.hidden;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const Layer<T> layer{p, call, part / p.batch, part % p.batch, p.hidden};
    const int64_t d = layer.d, b = layer.b, n = p.hidden, length = length_of(p, call, b), state = state_row(p, d, b) * n;
    for (int64_t j = 0; j < n; ++j) {
      h[j] = p.initial_h ? load<T>(call.src[5], state + j) : 0;
      c[j] = p.initial_c ? load<T>(call.src[6], state + j) : 0;
    }
    for (int64_t s = 0; s < p.steps; ++s) {
      const bool live = s < length;
      const int64_t t = live && p.reverse[d] ? length - 1 - s : s;
      if (live) layer.step(t, h, c, next, spare);
      if (!p.want_y) continue;
      for (int64_t j = 0; j < n; ++j) store<T>(call.dst[0], y_row(p, t, d, b) * n + j, live ? h[j] : 0);
    }
    for (int64_t j = 0; j < n; ++j) {
      if (p.want_h) store<T>(call.dst[1], state + j, h[j]);
      if (p.want_c) store<T>(call.dst[2], state + j, c[j]);
    }
  }
}

void RecurrentReference(const RecurrentParams& p, const Call& call, Range range) {
  switch (p.dtype) {
    case DType::kFloat64: return run<double>(p, call, range);
    case DType::kFloat16: return run<Float16>(p, call, range);
    case DType::kBFloat16: return run<BFloat16>(p, call, range);
    default: return run<float>(p, call, range);
  }
}

}  // namespace

Kernel<RecurrentParams> RecurrentReferencePointer() { return &RecurrentReference; }
int64_t recurrent_reference_scratch(const RecurrentParams& p) { return 5 * p.hidden * static_cast<int64_t>(sizeof(double)); }

}  // namespace tenon::kernels
