#include "ops/recurrent.h"

#include <algorithm>

#include "base/weight_cache.h"

namespace tenon::ops {
namespace {

using kernels::CellKind;
using kernels::RecurrentParams;

constexpr const char* kNames[] = {"X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"};

Status expect_dims(const Types& in, int i, const DimList& dims) {
  if (!has(in, i) || !in[static_cast<size_t>(i)].ranked()) return {};
  const Shape& shape = in[static_cast<size_t>(i)].shape;
  bool fits = shape.rank() == static_cast<int>(dims.size());
  for (size_t j = 0; fits && j < dims.size(); ++j) fits = dims_equal(shape[j], dims[j]).value_or(true);
  return fits ? Status() : input_error(i, "(", kNames[i], ") has shape ", shape.str(), ", expected ", Shape(dims).str());
}

Dim dim_of(const Types& in, int i, int axis) {
  return has(in, i) && in[static_cast<size_t>(i)].ranked() && in[static_cast<size_t>(i)].rank() == 3
             ? in[static_cast<size_t>(i)].shape[static_cast<size_t>(axis)]
             : Dim::unknown();
}

}  // namespace

Result<Types> infer(const Recurrent& op, const Types& in) {
  const bool lstm = op.cell == CellKind::kLstm;
  const int64_t gates = kernels::gates_of(op.cell), directions = op.directions();
  TENON_TRY(expect_inputs(in, 3, lstm ? 8 : 6));
  TENON_TRY(expect_float(in, 0));
  for (int i = 1; i < static_cast<int>(in.size()); ++i) {
    if (!has(in, i)) continue;
    if (i == 4) {
      TENON_TRY(expect_dtype(in, i, {DType::kInt32}));
    } else {
      TENON_TRY(expect_same_dtype(in, 0, i));
    }
    const Layout::Kind kind = in[static_cast<size_t>(i)].layout.kind;
    if (kind != Layout::Kind::kPlain && (kind != Layout::Kind::kPacked || i > 2)) {
      return error(Code::kInternal, "input ", i, " has layout ", in[static_cast<size_t>(i)].layout.str(), ", expected plain");
    }
  }
  for (int i = 0; i < 3; ++i) TENON_TRY(expect_rank(in, i, 3));
  if (op.hidden_size < 0) return shape_error("hidden_size is ", op.hidden_size, ", expected a positive number");
  if (op.activations.size() != static_cast<size_t>(directions * functions_of(op.cell))) {
    return shape_error("has ", op.activations.size(), " activations, expected ", directions * functions_of(op.cell));
  }
  Dim hidden = op.hidden_size > 0 ? Dim(op.hidden_size) : dim_of(in, 2, 2);
  if (op.hidden_size > 0) {
    if (const Dim r = dim_of(in, 2, 2); r.is_const() && r.value() != op.hidden_size) {
      return shape_error("hidden_size is ", op.hidden_size, ", but input 2 (R) has shape ", in[2].shape.str(), ", which says ", r.value());
    }
    if (!checked_mul(op.hidden_size, 8)) return shape_error("hidden_size ", op.hidden_size, " overflows");
  }
  const Dim steps = dim_of(in, 0, op.batch_major ? 1 : 0), batch = dim_of(in, 0, op.batch_major ? 0 : 1), inputs = dim_of(in, 0, 2);
  const Dim width = hidden * Dim(gates);
  TENON_TRY(expect_dims(in, 1, {directions, width, inputs}));
  TENON_TRY(expect_dims(in, 2, {directions, width, hidden}));
  TENON_TRY(expect_dims(in, 3, {directions, width * Dim(2)}));
  TENON_TRY(expect_dims(in, 4, {batch}));
  const DimList state = op.batch_major ? DimList{batch, directions, hidden} : DimList{directions, batch, hidden};
  TENON_TRY(expect_dims(in, 5, state));
  TENON_TRY(expect_dims(in, 6, state));
  TENON_TRY(expect_dims(in, 7, {directions, hidden * Dim(3)}));
  const Shape y = op.batch_major ? Shape{batch, steps, directions, hidden} : Shape{steps, directions, batch, hidden};
  Types out{Type::of(in[0].dtype, y), Type::of(in[0].dtype, Shape(state))};
  if (lstm) out.push_back(out[1]);
  return out;
}

namespace {

/// Hands out room in the step's shared memory, in floats, 64-byte aligned.
class Room {
 public:
  int64_t take(std::optional<int64_t> floats) {
    const int64_t at = total_;
    const auto rounded = floats ? checked_add(*floats, 15) : std::nullopt;
    const auto sum = rounded ? checked_add(total_, *rounded / 16 * 16) : std::nullopt;
    if (!sum) overflow_ = true;
    total_ = sum.value_or(0);
    return at;
  }
  Result<size_t> bytes() const {
    const auto bytes = checked_mul(total_, 4);
    if (overflow_ || !bytes) return limit_error("the working memory of this layer overflows");
    return static_cast<size_t>(*bytes);
  }

 private:
  int64_t total_ = 0;
  bool overflow_ = false;
};

std::optional<int64_t> product(std::initializer_list<int64_t> factors) {
  std::optional<int64_t> p = 1;
  for (int64_t f : factors) p = p ? checked_mul(*p, f) : p;
  return p;
}

/// W of all directions becomes matrices [inputs, gates * hidden].
kernels::GemmPackParams pack_w(const RecurrentParams& p) {
  kernels::GemmPackParams q{
      .dtype = p.dtype, .format = kernels::gemm_format(), .input = 1, .k = p.inputs, .n = p.width(), .b_k = 1, .b_n = p.inputs};
  q.batch_rank = 1;
  q.batch[0] = p.directions;
  q.b_batch[0] = p.width() * p.inputs;
  return q;
}
/// R likewise [hidden, gates * hidden]; GRU's hidden gate apart from the others.
std::vector<kernels::GemmPackParams> pack_r(const RecurrentParams& p) {
  kernels::GemmPackParams q{
      .dtype = p.dtype, .format = kernels::gemm_format(), .input = 2, .k = p.hidden, .n = p.width(), .b_k = 1, .b_n = p.hidden};
  q.batch_rank = 1;
  q.batch[0] = p.directions;
  q.b_batch[0] = p.width() * p.hidden;
  q.batch_step = kernels::packed_r_floats(p.cell, p.hidden);
  if (p.cell != CellKind::kGru) return {q};
  kernels::GemmPackParams h = q;
  q.n = 2 * p.hidden;
  h.n = p.hidden;
  h.from = 2 * p.hidden * p.hidden;
  h.to = kernels::packed_floats(q.format, p.hidden, q.n);
  return {q, h};
}

Phase pack_phase(kernels::GemmPackParams q, int64_t at) {
  q.to += at;
  return Step::phase<kernels::GemmPackParams>(kernels::GemmPackPointer(), q, q.parts(),
                                              static_cast<double>(q.k) * static_cast<double>(q.n) * 0.2);
}

RecurrentParams params_of(const Recurrent& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &r = ctx.dims(2);
  RecurrentParams p;
  p.cell = op.cell;
  p.dtype = ctx.dtype(0);
  p.steps = x[op.batch_major ? 1 : 0];
  p.batch = x[op.batch_major ? 0 : 1];
  p.inputs = x[2];
  p.hidden = r[2];
  p.directions = op.directions();
  p.reverse[0] = op.direction == Recurrent::Direction::kReverse;
  p.reverse[1] = true;
  p.batch_major = op.batch_major;
  p.biased = ctx.has_input(3);
  p.lengths = ctx.has_input(4);
  p.initial_h = ctx.has_input(5);
  p.initial_c = ctx.has_input(6);
  p.peepholes = ctx.has_input(7);
  p.want_y = ctx.wants_output(0);
  p.want_h = ctx.wants_output(1);
  p.want_c = op.cell == CellKind::kLstm && ctx.wants_output(2);
  p.input_forget = op.input_forget;
  p.linear_before_reset = op.linear_before_reset;
  p.clips = op.clip.has_value();
  p.clip = op.clip.value_or(0);
  const int functions = functions_of(op.cell);
  for (int d = 0; d < p.directions; ++d) {
    for (int i = 0; i < functions; ++i) {
      const Recurrent::Function& f = op.activations[d * functions + i];
      p.activations[d][i] = {f.kind, f.alpha, f.beta, kernels::cell_tile(f.kind)};
    }
  }
  return p;
}

}  // namespace

Result<Step> bind(const Recurrent& op, const BindContext& ctx) {
  RecurrentParams p = params_of(op, ctx);
  Step step;
  step.kernel = "Recurrent";
  if (p.batch == 0 || p.hidden == 0) return step;
  const double work = static_cast<double>(p.directions * p.batch) * static_cast<double>(p.steps) * static_cast<double>(p.width());
  if (p.dtype == DType::kFloat64) {
    step.kernel = "RecurrentReference";
    step.scratch_bytes = static_cast<size_t>(kernels::recurrent_reference_scratch(p));
    step.phases.push_back(Step::phase<RecurrentParams>(kernels::RecurrentReferencePointer(), p, p.directions * p.batch,
                                                       work * static_cast<double>(p.inputs + p.hidden)));
    return step;
  }

  const auto format = kernels::gemm_format();
  for (int i = 1; i <= 2; ++i) {
    if (!ctx.layout(i).plain() && ctx.layout(i).format != static_cast<uint16_t>(format)) {
      return error(Code::kInternal, "input ", i, " is ", ctx.layout(i).str(), ", expected packed:", static_cast<int>(format),
                   " on this CPU");
    }
  }
  p.packed_w = !ctx.layout(1).plain();
  p.packed_r = !ctx.layout(2).plain();
  p.r_floats = kernels::packed_r_floats(p.cell, p.hidden);
  p.few = kernels::gemm_few();
  const int64_t w_floats = kernels::packed_floats(format, p.inputs, p.width());
  const auto rows = product({p.steps, p.batch});
  Room room;
  if (!p.packed_w) p.w_at = room.take(product({w_floats, p.directions}));
  if (!p.packed_r) p.r_at = room.take(product({p.r_floats, p.directions}));
  p.bias_at = room.take(product({p.width(), p.directions}));
  p.r_bias_at = room.take(product({p.hidden, p.directions}));
  if (p.dtype != DType::kFloat32) p.x_at = room.take(product({rows.value_or(INT64_MAX), p.inputs}));
  p.gates_at = room.take(product({std::max<int64_t>(1, rows.value_or(INT64_MAX)), p.width(), p.directions}));
  TENON_ASSIGN(step.shared_bytes, room.bytes());

  kernels::GemmParams g{.m = *rows, .n = p.width(), .k = p.inputs, .a_m = p.inputs, .c_m = p.width(), .addend = true, .d_n = 1};
  g.format = format;
  g.batch_rank = 1;
  g.batch[0] = p.directions;
  g.b_batch[0] = w_floats;
  g.c_batch[0] = *rows * p.width();
  g.d_batch[0] = p.width();
  kernels::plan_gemm(g);
  kernels::ProjectionParams projection{
      .gemm = g, .packed_w = p.packed_w, .w_at = p.w_at, .bias_at = p.bias_at, .x_at = p.x_at, .gates_at = p.gates_at};
  for (const auto& row : kernels::gemm) {
    if (row.refuse(g) == nullptr) {
      projection.kernel = row.pointer();
      break;
    }
  }
  step.scratch_bytes = static_cast<size_t>(std::max(kernels::gemm_scratch(g), kernels::recurrent_scratch(p)));

  const int64_t converts = p.x_at >= 0 ? p.steps : 0;
  step.phases.push_back(
      Step::phase<RecurrentParams>(kernels::RecurrentPreparePointer(), p, p.directions + converts,
                                   static_cast<double>(p.width() * p.directions) + static_cast<double>(converts * p.batch * p.inputs)));
  if (!p.packed_w && p.inputs > 0) step.phases.push_back(pack_phase(pack_w(p), p.w_at));
  if (!p.packed_r) {
    for (const auto& q : pack_r(p)) step.phases.push_back(pack_phase(q, p.r_at));
  }
  if (g.parts() > 0)
    step.phases.push_back(
        Step::phase<kernels::ProjectionParams>(kernels::RecurrentProjectionPointer(), projection, g.parts(), kernels::gemm_nanoseconds(g)));
  step.phases.push_back(Step::phase<RecurrentParams>(kernels::RecurrentStepsPointer(), p, p.directions * p.groups(),
                                                     work * static_cast<double>(p.hidden) / 20));
  return step;
}

Result<std::optional<PackedRecurrentWeights>> pack_recurrent_weights(const Recurrent& op, int input, const Tensor& weights,
                                                                     std::shared_ptr<Allocator> allocator) {
  const DType dtype = weights.dtype();
  const bool packs = dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
  if (!packs || weights.count() == 0 || weights.rank() != 3) return std::optional<PackedRecurrentWeights>();
  RecurrentParams p;
  p.cell = op.cell;
  p.dtype = dtype;
  p.directions = op.directions();
  p.hidden = weights.dims()[1] / kernels::gates_of(op.cell);
  p.inputs = weights.dims()[2];
  const int64_t matrix =
      input == 1 ? kernels::packed_floats(kernels::gemm_format(), p.inputs, p.width()) : kernels::packed_r_floats(p.cell, p.hidden);
  const auto bytes = product({matrix, p.directions, 4});
  if (!bytes) return limit_error("packing a constant of shape ", str(weights.dims()), " overflows");
  const auto pack = [&](std::byte* to) -> Status {
    const void* src[] = {weights.data()};
    void* dst[] = {to};
    kernels::Fault fault;
    kernels::Call call{.src = src, .dst = dst, .fault = &fault};
    for (kernels::GemmPackParams q : input == 1 ? std::vector<kernels::GemmPackParams>{pack_w(p)} : pack_r(p)) {
      q.input = 0;
      q.to_shared = false;
      kernels::GemmPackPointer()(q, call, {0, q.parts()});
    }
    return {};
  };
  const std::string recipe = "recurrent " + std::to_string(static_cast<int>(op.cell)) + " " + std::to_string(input) + " directions " +
                             std::to_string(p.directions) + " panels " + std::to_string(static_cast<int>(kernels::gemm_format()));
  TENON_ASSIGN(auto buffer, kept_or_made({&weights}, recipe, static_cast<size_t>(*bytes), std::move(allocator), pack));
  PackedRecurrentWeights packed{Tensor::view(dtype, weights.dims(), std::move(buffer)),
                                {.kind = Layout::Kind::kPacked, .format = static_cast<uint16_t>(kernels::gemm_format())}};
  return std::optional<PackedRecurrentWeights>(std::move(packed));
}

}  // namespace tenon::ops
