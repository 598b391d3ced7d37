#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/recurrent.cc"
#include "hwy/foreach_target.h"

#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/recurrent/layout.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

// Loops over contiguous floats; the compiler makes vectors of them.

void Add(const float* HWY_RESTRICT a, float* HWY_RESTRICT to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += a[i];
}
void AddProduct(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, float* HWY_RESTRICT to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += a[i] * b[i];
}
void Clip(const RecurrentParams& p, float* HWY_RESTRICT x, int64_t n) {
  if (!p.clips) return;
  const float limit = p.clip;
  for (int64_t i = 0; i < n; ++i) {
    x[i] = x[i] > limit ? limit : x[i];
    x[i] = x[i] < -limit ? -limit : x[i];
  }
}
void Activate(const RecurrentParams& p, const CellActivation& f, float* x, int64_t n) {
  Clip(p, x, n);
  f.tile(f.alpha, f.beta, x, x, n);
}

/// The state of one part: rows of a group.
struct Rows {
  float* h;      ///< [group, hidden]
  float* c;      ///< LSTM
  float* pre;    ///< [group, gates * hidden]: h R, then the gates
  float* spare;  ///< [group, hidden]
  float* tile;   ///< for `few`
};

/// What the gates of one row become; x: its row of X W + bias.
void LstmRow(const RecurrentParams& p, const CellActivation* f, const float* peep, const float* x, float* g, float* c, float* h) {
  const int64_t n = p.hidden;
  float *i = g, *o = g + n, *forget = g + 2 * n, *cell = g + 3 * n;
  Add(x, g, 4 * n);
  if (peep != nullptr) {
    AddProduct(peep, c, i, n);
    AddProduct(peep + 2 * n, c, forget, n);
  }
  Activate(p, f[0], i, n);
  if (p.input_forget) {
    for (int64_t j = 0; j < n; ++j) forget[j] = 1.0f - i[j];
  } else {
    Activate(p, f[0], forget, n);
  }
  Activate(p, f[1], cell, n);
  for (int64_t j = 0; j < n; ++j) c[j] = forget[j] * c[j] + i[j] * cell[j];
  if (peep != nullptr) AddProduct(peep + n, c, o, n);
  Activate(p, f[0], o, n);
  std::memcpy(cell, c, static_cast<size_t>(n) * sizeof(float));
  Activate(p, f[2], cell, n);
  for (int64_t j = 0; j < n; ++j) h[j] = o[j] * cell[j];
}

void RunSteps(const RecurrentParams& p, const Call& call, int64_t d, int64_t first, int64_t rows, const Rows& s) {
  const int64_t n = p.hidden, width = p.width();
  const float* const shared = reinterpret_cast<const float*>(call.shared);
  const float* const r = (p.packed_r ? call.in<float>(2) : shared + p.r_at) + d * p.r_floats;
  const float* const gates = shared + p.gates_at + d * p.steps * p.batch * width;
  const float* const r_bias = shared + p.r_bias_at + d * n;
  const CellActivation* const f = p.activations[d];
  const bool gru = p.cell == CellKind::kGru;
  void* const y = p.want_y ? call.dst[0] : nullptr;

  const float* peepholes = nullptr;
  if (p.peepholes) {
    LoadRow(p.dtype, call.src[7], d * 3 * n, 1, 3 * n, s.spare + p.group() * n);
    peepholes = s.spare + p.group() * n;
  }
  int64_t lengths[RecurrentParams::kGroup], longest = 0;
  for (int64_t b = 0; b < rows; ++b) {
    lengths[b] = length_of(p, call, first + b);
    longest = std::max(longest, lengths[b]);
    const int64_t at = state_row(p, d, first + b) * n;
    std::memset(s.h + b * n, 0, static_cast<size_t>(n) * sizeof(float));
    if (p.initial_h) LoadRow(p.dtype, call.src[5], at, 1, n, s.h + b * n);
    if (p.cell != CellKind::kLstm) continue;
    std::memset(s.c + b * n, 0, static_cast<size_t>(n) * sizeof(float));
    if (p.initial_c) LoadRow(p.dtype, call.src[6], at, 1, n, s.c + b * n);
  }

  const int64_t hr = gru ? 2 * n : width;  // columns of the first product with h
  const int64_t panel = 2 * static_cast<int64_t>(hn::Lanes(hn::CappedTag<float, 16>()));
  const float* const r_hidden = r + (hr + panel - 1) / panel * panel * n;
  for (int64_t step = 0; step < longest; ++step) {
    FewArgs few{.a = s.h, .a_m = n, .panels = r, .c = s.pre, .c_m = width, .tile = s.tile, .m = rows, .n = hr, .k = n};
    p.few(few);
    if (gru && p.linear_before_reset) {
      few.panels = r_hidden;
      few.bias = r_bias;
      few.c = s.pre + 2 * n;
      few.n = n;
      p.few(few);
    }
    // GRU's hidden gate needs the reset gate of every row before its product.
    if (gru && !p.linear_before_reset) {
      for (int64_t b = 0; b < rows; ++b) {
        if (step >= lengths[b]) continue;
        const int64_t t = p.reverse[d] ? lengths[b] - 1 - step : step;
        float* const g = s.pre + b * width;
        Add(gates + x_row(p, t, first + b) * width, g, 2 * n);
        Activate(p, f[0], g, 2 * n);
        for (int64_t j = 0; j < n; ++j) s.spare[b * n + j] = g[n + j] * s.h[b * n + j];
      }
      few.a = s.spare;
      few.panels = r_hidden;
      few.c = s.pre + 2 * n;
      few.n = n;
      p.few(few);
    }
    for (int64_t b = 0; b < rows; ++b) {
      if (step >= lengths[b]) continue;
      const int64_t t = p.reverse[d] ? lengths[b] - 1 - step : step;
      const float* const x = gates + x_row(p, t, first + b) * width;
      float* const g = s.pre + b * width;
      float* const h = s.h + b * n;
      if (p.cell == CellKind::kLstm) {
        LstmRow(p, f, peepholes, x, g, s.c + b * n, h);
      } else if (gru) {
        float* const hidden = g + 2 * n;
        if (p.linear_before_reset) {
          Add(x, g, 2 * n);
          Activate(p, f[0], g, 2 * n);
          for (int64_t j = 0; j < n; ++j) hidden[j] = g[n + j] * hidden[j] + x[2 * n + j];
        } else {
          Add(x + 2 * n, hidden, n);
        }
        Activate(p, f[1], hidden, n);
        for (int64_t j = 0; j < n; ++j) h[j] = (1.0f - g[j]) * hidden[j] + g[j] * h[j];
      } else {
        Add(x, g, n);
        Activate(p, f[0], g, n);
        std::memcpy(h, g, static_cast<size_t>(n) * sizeof(float));
      }
      if (y != nullptr) StoreRow(p.dtype, h, n, y, y_row(p, t, d, first + b) * n);
    }
  }

  const auto bytes = static_cast<int64_t>(size_of(p.dtype));
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t at = state_row(p, d, first + b) * n;
    if (p.want_h) StoreRow(p.dtype, s.h + b * n, n, call.dst[1], at);
    if (p.want_c) StoreRow(p.dtype, s.c + b * n, n, call.dst[2], at);
    for (int64_t t = lengths[b]; y != nullptr && t < p.steps; ++t) {
      std::memset(static_cast<std::byte*>(y) + y_row(p, t, d, first + b) * n * bytes, 0, static_cast<size_t>(n * bytes));
    }
  }
}

}  // namespace

void RecurrentPrepare(const RecurrentParams& p, const Call& call, Range range) {
  float* const shared = reinterpret_cast<float*>(call.shared);
  const int64_t n = p.hidden, width = p.width();
  for (int64_t part = range.begin; part < range.end; ++part) {
    if (part >= p.directions) {
      const int64_t row = (part - p.directions) * p.batch;  // any `batch` rows of X
      LoadRow(p.dtype, call.src[0], row * p.inputs, 1, p.batch * p.inputs, shared + p.x_at + row * p.inputs);
      continue;
    }
    float* const bias = shared + p.bias_at + part * width;
    float* const r_bias = shared + p.r_bias_at + part * n;
    const bool apart = p.cell == CellKind::kGru && p.linear_before_reset;
    if (!p.biased) {
      std::memset(bias, 0, static_cast<size_t>(width) * sizeof(float));
      if (apart) std::memset(r_bias, 0, static_cast<size_t>(n) * sizeof(float));
      continue;
    }
    const int64_t from = part * 2 * width, both = apart ? 2 * n : width;
    // W's biases, then R's on top; gates_at is not in use yet and holds them for a moment.
    float* const second = shared + p.gates_at + part * width;
    LoadRow(p.dtype, call.src[3], from, 1, width, bias);
    if (apart) LoadRow(p.dtype, call.src[3], from + width + 2 * n, 1, n, r_bias);
    LoadRow(p.dtype, call.src[3], from + width, 1, both, second);
    Add(second, bias, both);
  }
}

void RecurrentProjection(const ProjectionParams& p, const Call& call, Range range) {
  float* const shared = reinterpret_cast<float*>(call.shared);
  const void* src[] = {p.x_at < 0 ? call.src[0] : shared + p.x_at, p.packed_w ? call.src[1] : shared + p.w_at, shared + p.bias_at, nullptr};
  void* dst[] = {shared + p.gates_at};
  Call inner{.src = src, .dst = dst, .scratch = call.scratch, .fault = call.fault};
  p.kernel(p.gemm, inner, range);
}

void RecurrentSteps(const RecurrentParams& p, const Call& call, Range range) {
  Rows s;
  const int64_t group = p.group(), n = p.hidden;
  float* at = reinterpret_cast<float*>(call.scratch);
  s.tile = at;
  at += group * 2 * 16;
  s.h = at;
  at += group * n;
  s.c = at;
  at += group * n;
  s.pre = at;
  at += group * p.width();
  s.spare = at;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t d = part / p.groups(), first = part % p.groups() * RecurrentParams::kGroup;
    RunSteps(p, call, d, first, std::min(RecurrentParams::kGroup, p.batch - first), s);
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(RecurrentPrepare);
TENON_EXPORT(RecurrentProjection);
TENON_EXPORT(RecurrentSteps);

void AffineTile(float alpha, float beta, const float* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = alpha * src[i] + beta;
}
void ScaledTanhTile(float alpha, float beta, const float* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = beta * src[i];
  unary_tile(UnaryKind::kTanh)(0, 0, dst, dst, n);
  for (int64_t i = 0; i < n; ++i) dst[i] *= alpha;
}
}  // namespace

Kernel<RecurrentParams> RecurrentPreparePointer() { return TENON_POINTER(RecurrentPrepare); }
Kernel<ProjectionParams> RecurrentProjectionPointer() { return TENON_POINTER(RecurrentProjection); }
Kernel<RecurrentParams> RecurrentStepsPointer() { return TENON_POINTER(RecurrentSteps); }

int64_t packed_r_floats(CellKind cell, int64_t hidden) {
  const GemmFormat format = gemm_format();
  if (cell == CellKind::kGru) return packed_floats(format, hidden, 2 * hidden) + packed_floats(format, hidden, hidden);
  return packed_floats(format, hidden, gates_of(cell) * hidden);
}

int64_t recurrent_scratch(const RecurrentParams& p) {
  return (p.group() * (2 * 16 + p.width() + 3 * p.hidden) + 3 * p.hidden) * static_cast<int64_t>(sizeof(float));
}

UnaryTile cell_tile(CellActivationKind kind) {
  switch (kind) {
    case CellActivationKind::kRelu: return unary_tile(UnaryKind::kRelu);
    case CellActivationKind::kTanh: return unary_tile(UnaryKind::kTanh);
    case CellActivationKind::kSigmoid: return unary_tile(UnaryKind::kSigmoid);
    case CellActivationKind::kAffine: return &AffineTile;
    case CellActivationKind::kLeakyRelu: return unary_tile(UnaryKind::kLeakyRelu);
    case CellActivationKind::kThresholdedRelu: return unary_tile(UnaryKind::kThresholdedRelu);
    case CellActivationKind::kScaledTanh: return &ScaledTanhTile;
    case CellActivationKind::kHardSigmoid: return unary_tile(UnaryKind::kHardSigmoid);
    case CellActivationKind::kElu: return unary_tile(UnaryKind::kElu);
    case CellActivationKind::kSoftsign: return unary_tile(UnaryKind::kSoftsign);
    case CellActivationKind::kSoftplus: return unary_tile(UnaryKind::kSoftplus);
  }
  return nullptr;
}

}  // namespace tenon::kernels
#endif
