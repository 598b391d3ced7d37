#include "ops/elementwise.h"

#include <algorithm>
#include <iterator>

#include "kernels/elementwise/broadcast.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

using P = kernels::ProgramStep;

int operands(P::Kind kind) { return kind == P::Kind::kWhere ? 3 : kind == P::Kind::kBinary ? 2 : 1; }

bool one_element(const Shape& shape) {
  if (!shape.ranked()) return false;
  for (const Dim& d : shape)
    if (!d.is(1)) return false;
  return true;
}

/// Rows too short for a call of every step each are walked together with the dim around them.
void merge_short_rows(kernels::ProgramParams& p) {
  const int last = p.shape.rank - 1;
  if (p.shape.rank < 2 || p.shape.dims[last] >= 64 || p.shape.dims[last - 1] < 8) return;
  p.row = p.shape.dims[last];
  for (int i = 0; i < p.inputs; ++i) {
    int64_t* strides = p.shape.strides[i];
    p.row_step[i] = strides[last - 1];
    p.column_step[i] = strides[last];
    const bool dense = strides[last] == 1 && strides[last - 1] == p.row;
    p.spelled[i] = !dense && (strides[last] != 0 || strides[last - 1] != 0);
    strides[last - 1] = dense ? 1 : 0;
  }
  p.shape.dims[last - 1] *= p.row;
  --p.shape.rank;
}

/// Gives every widened, spelled-out or repeated input and every step a tile, reusing those whose value is not read again.
void assign_slots(kernels::ProgramParams& p) {
  int last_use[kernels::kMaxProgramInputs + kernels::kMaxProgramSteps];
  std::fill(std::begin(last_use), std::end(last_use), -1);
  for (int s = 0; s < p.steps; ++s) {
    const int8_t read[] = {p.step[s].a, p.step[s].b, p.step[s].c};
    for (int k = 0; k < operands(p.step[s].kind); ++k) last_use[read[k]] = s;
  }
  bool free[kernels::kMaxProgramInputs + kernels::kMaxProgramSteps] = {};
  const auto take = [&]() -> int8_t {
    for (int t = 0; t < p.slots; ++t)
      if (free[t]) return free[t] = false, static_cast<int8_t>(t);
    return static_cast<int8_t>(p.slots++);
  };
  const int last = p.shape.rank - 1;
  for (int i = 0; i < p.inputs; ++i) p.input_slot[i] = p.is_bool[i] || p.shape.strides[i][last] == 0 ? take() : int8_t{-1};
  for (int s = 0; s < p.steps; ++s) {
    // A step may write over an operand that ends here: tile functions work in place.
    for (int r = 0; r < p.inputs + s; ++r) {
      const int8_t slot = r < p.inputs ? p.input_slot[r] : p.step_slot[r - p.inputs];
      if (last_use[r] == s && slot >= 0) free[slot] = true;
    }
    p.step_slot[s] = s + 1 < p.steps ? take() : int8_t{-1};
  }
}

}  // namespace

Result<Types> infer(const Elementwise& op, const Types& in) {
  const int inputs = static_cast<int>(in.size()), steps = static_cast<int>(op.steps.size());
  if (inputs < 1 || inputs > kernels::kMaxProgramInputs || steps < 1 || steps > kernels::kMaxProgramSteps) {
    return error(Code::kInternal, "a fused elementwise operator has ", inputs, " inputs and ", steps, " steps");
  }
  TENON_TRY(expect_inputs(in, inputs));
  for (int s = 0; s < steps; ++s) {
    const P& step = op.steps[s];
    const int8_t read[] = {step.a, step.b, step.c};
    for (int k = 0; k < operands(step.kind); ++k) {
      if (read[k] < 0 || read[k] >= inputs + s)
        return error(Code::kInternal, "step ", s, " reads register ", int(read[k]), " of ", inputs + s);
    }
    if ((step.kind == P::Kind::kUnary && !kernels::program_takes(step.unary)) ||
        (step.kind == P::Kind::kBinary && !kernels::program_takes(step.binary))) {
      return error(Code::kInternal, "step ", s, " is no float32 function");
    }
  }
  Type out = Type::of(DType::kFloat32, in[0].shape);
  for (int i = 0; i < inputs; ++i) {
    TENON_TRY(expect_dtype(in, i, {DType::kFloat32, DType::kBool}));
    if (i > 0) {
      TENON_ASSIGN(out.shape, broadcast(out.shape, in[i].shape));
    }
    if (in[i].layout.kind == Layout::Kind::kChannelBlocked) out.layout = in[i].layout;
  }
  if (out.layout.kind == Layout::Kind::kChannelBlocked) {
    for (int i = 0; i < inputs; ++i) {
      const bool blocked = in[i].layout == out.layout && in[i].ranked() && out.shape.ranked() && in[i].rank() == out.shape.rank() &&
                           in[i].rank() >= 2 && in[i].shape[1] == out.shape[1];
      if (!blocked && !(in[i].layout.plain() && one_element(in[i].shape))) {
        return error(Code::kInternal, "input ", i, " is ", in[i].str(), ", expected layout ", out.layout.str(),
                     " with the channels of the others");
      }
    }
  }
  return Types{std::move(out)};
}

Result<Step> bind(const Elementwise& op, const BindContext& ctx) {
  kernels::ProgramParams p;
  p.inputs = ctx.inputs();
  p.steps = static_cast<int32_t>(op.steps.size());
  std::copy(op.steps.begin(), op.steps.end(), p.step);
  const Dims out = physical_dims(ctx.out_dims(0), ctx.out_layout(0));
  Dims dims[kernels::kMaxProgramInputs];
  std::span<const int64_t> spans[kernels::kMaxProgramInputs];
  for (int i = 0; i < p.inputs; ++i) {
    p.is_bool[i] = ctx.dtype(i) == DType::kBool;
    dims[i] = physical_dims(ctx.dims(i), ctx.layout(i));
    spans[i] = dims[i];
  }
  if (!kernels::make_broadcast_shape<kernels::kMaxProgramInputs>(out, spans, p.shape)) {
    return limit_error("a fused elementwise operator over ", str(out), " needs rank over ", kernels::kMaxBroadcastRank);
  }
  p.count = count_of(out);
  double each = 0.1;
  for (const P& step : op.steps) {
    each += step.kind == P::Kind::kUnary    ? kernels::unary_cost(step.unary, DType::kFloat32)
            : step.kind == P::Kind::kBinary ? kernels::binary_cost(step.binary, DType::kFloat32)
                                            : 0.2;
  }
  const Cut c = cut(p.count, each, kernels::kProgramTile);
  p.chunk = c.chunk;
  merge_short_rows(p);
  assign_slots(p);
  Step step;
  step.kernel = "ElementwiseProgram";
  step.scratch_bytes = static_cast<size_t>(p.slots) * kernels::kProgramTile * sizeof(float);
  step.phases.push_back(Step::phase<kernels::ProgramParams>(kernels::run_program, p, c.parts, c.nanoseconds));
  for (int i = 0; i < p.inputs; ++i)
    if (!p.is_bool[i] && count_of(dims[i]) == p.count) step.in_place.push_back({0, i});
  return step;
}

}  // namespace tenon::ops
