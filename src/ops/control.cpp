#include "ops/control.h"

#include <cstring>

#include "ops/infer.h"
#include "ops/regions.h"

namespace tenon::ops {

namespace {

Types types_of(const std::vector<RegionResult>& results) {
  Types out;
  for (const RegionResult& r : results) out.push_back(Type::of(r.dtype, r.shape, r.structure));
  return out;
}

Result<bool> condition(const Tensor* t, const char* what) {
  if (t->count() != 1) return run_error(what, " has ", t->count(), " elements, expected one");
  return *t->as<bool>();
}

/// Gives the run the bytes of these strings, which belong to tensors that may go before they do.
void own_bytes(ExecContext& ctx, const Tensor& strings) {
  for (int64_t i = 0; i < strings.count(); ++i) {
    StringRef& s = strings.as<StringRef>()[i];
    if (s.size == 0) continue;
    char* bytes = ctx.string_bytes(s.size);
    std::memcpy(bytes, s.data, s.size);
    s.data = bytes;
  }
}

/// Stacks equal-shaped elements along a new axis: element i goes to position i, or from the end when `reverse`.
Result<Tensor> stack(ExecContext& ctx, const std::vector<Tensor>& elements, DType dtype, const Shape& element_shape, int64_t axis,
                     bool reverse) {
  Dims dims;
  if (!elements.empty()) {
    dims = elements[0].dims();
  } else if (element_shape.ranked()) {
    // No turn was made: dims that only a turn would tell are zero.
    for (const Dim& d : element_shape) dims.push_back(d.is_const() ? d.value() : 0);
  }
  for (const Tensor& t : elements) {
    if (t.dims() != dims) return run_error("scan output elements change shape from ", str(dims), " to ", str(t.dims()));
  }
  TENON_ASSIGN(const int64_t at, normal_axis(axis, static_cast<int>(dims.size()) + 1, "scan output axis"));
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) (i < at ? outer : inner) *= dims[i];
  dims.insert(dims.begin() + at, static_cast<int64_t>(elements.size()));
  TENON_ASSIGN(Tensor out, ctx.allocate(dtype, dims));
  const size_t piece = static_cast<size_t>(inner) * size_of(dtype);
  const int64_t n = static_cast<int64_t>(elements.size());
  for (int64_t e = 0; e < n; ++e) {
    const int64_t to = reverse ? n - 1 - e : e;
    for (int64_t o = 0; o < outer; ++o) {
      if (piece)
        std::memcpy(out.as<std::byte>() + static_cast<size_t>(o * n + to) * piece,
                    elements[e].as<std::byte>() + static_cast<size_t>(o) * piece, piece);
    }
  }
  if (dtype == DType::kString) own_bytes(ctx, out);
  return out;
}

/// The shape of what the body of a loop that made no turn would have given as output `output`, as far as that can be told; else `promised`.
Shape unmade(ExecContext& ctx, const Op& op, size_t output, const Shape& promised) {
  Types in;
  for (int i = 0; i < ctx.inputs(); ++i) {
    const Tensor* t = ctx.input(i);
    in.push_back(t ? Type::of(*t) : Type::none());
  }
  const auto planned = ctx.plan_region(regions_of(op)[0], body_inputs(op, in));
  return planned.ok() && (*planned)[output].ranked() ? (*planned)[output].shape : promised;
}

/// Element `index` along `axis`.
Result<Tensor> slice_at(ExecContext& ctx, const Tensor& t, int64_t axis, int64_t index) {
  Dims dims = t.dims();
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < t.rank(); ++i) {
    if (i < axis) outer *= dims[i];
    if (i > axis) inner *= dims[i];
  }
  const int64_t n = dims[axis];
  dims.erase(dims.begin() + axis);
  TENON_ASSIGN(Tensor out, ctx.allocate(t.dtype(), dims));
  const size_t piece = static_cast<size_t>(inner) * size_of(t.dtype());
  for (int64_t o = 0; o < outer; ++o) {
    if (piece)
      std::memcpy(out.as<std::byte>() + static_cast<size_t>(o) * piece, t.as<std::byte>() + static_cast<size_t>(o * n + index) * piece,
                  piece);
  }
  return out;
}

}  // namespace

Result<Types> infer(const If& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_bool(in, 0));
  return types_of(op.results);
}

Result<Step> bind(const If& op, const BindContext&) {
  Step step;
  step.kernel = "If";
  step.dynamic = [op](ExecContext& ctx) -> Status {
    TENON_ASSIGN(const bool taken, condition(ctx.input(0), "the condition"));
    TENON_ASSIGN(auto results, ctx.run_region(taken ? op.then_region : op.else_region, {}));
    for (size_t i = 0; i < results.size(); ++i) ctx.set_output(static_cast<int>(i), std::move(results[i]));
    return {};
  };
  return step;
}

Result<Types> infer(const Loop& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 0, INT32_MAX));
  if (has(in, 0)) TENON_TRY(expect_dtype(in, 0, {DType::kInt64}));
  if (has(in, 1)) TENON_TRY(expect_bool(in, 1));
  return types_of(op.results);
}

Result<Step> bind(const Loop& op, const BindContext&) {
  Step step;
  step.kernel = "Loop";
  step.dynamic = [op](ExecContext& ctx) -> Status {
    int64_t trips = INT64_MAX;
    if (const Tensor* m = ctx.input(0)) {
      if (m->count() != 1) return run_error("the trip count has ", m->count(), " elements, expected one");
      trips = *m->as<int64_t>();
    }
    bool go_on = true;
    if (const Tensor* c = ctx.input(1)) {
      TENON_ASSIGN(go_on, condition(c, "the condition"));
    }
    std::vector<Tensor> carried;
    for (int i = 0; i < op.carried; ++i) {
      if (!ctx.input(2 + i)) return run_error("carried input ", 2 + i, " is left out");
      TENON_ASSIGN(Tensor t, ctx.keep(2 + i));
      carried.push_back(std::move(t));
    }
    const size_t scans = op.results.size() - static_cast<size_t>(op.carried);
    std::vector<std::vector<Tensor>> elements(scans);
    for (int64_t turn = 0; turn < trips && go_on; ++turn) {
      TENON_TRY(ctx.check());
      TENON_ASSIGN(Tensor index, ctx.allocate(DType::kInt64, {}));
      *index.as<int64_t>() = turn;
      TENON_ASSIGN(Tensor cond, ctx.allocate(DType::kBool, {}));
      *cond.as<bool>() = true;
      std::vector<Tensor> inputs{std::move(index), std::move(cond)};
      for (Tensor& t : carried) inputs.push_back(std::move(t));
      TENON_ASSIGN(auto results, ctx.run_region(op.body, std::move(inputs)));
      TENON_ASSIGN(go_on, condition(&results[0], "the condition of the body"));
      for (int i = 0; i < op.carried; ++i) carried[i] = std::move(results[1 + i]);
      for (size_t s = 0; s < scans; ++s)
        if (ctx.output_wanted(op.carried + static_cast<int>(s))) elements[s].push_back(std::move(results[1 + op.carried + s]));
    }
    for (int i = 0; i < op.carried; ++i) ctx.set_output(i, std::move(carried[i]));
    for (size_t s = 0; s < scans; ++s) {
      if (!ctx.output_wanted(op.carried + static_cast<int>(s))) continue;
      const RegionResult& r = op.results[op.carried + s];
      Shape element = Shape::unranked();
      if (r.shape.ranked() && r.shape.rank() > 0) element = Shape(DimList(r.shape.begin() + 1, r.shape.end()));
      if (elements[s].empty()) element = unmade(ctx, op, 1 + op.carried + s, element);
      TENON_ASSIGN(Tensor stacked, stack(ctx, elements[s], r.dtype, element, 0, false));
      ctx.set_output(op.carried + static_cast<int>(s), std::move(stacked));
    }
    return {};
  };
  return step;
}

Result<Types> infer(const Scan& op, const Types& in) {
  TENON_TRY(expect_inputs(in, op.states + static_cast<int>(op.input_axes.size())));
  for (size_t s = 0; s < op.input_axes.size(); ++s) {
    const int i = op.states + static_cast<int>(s);
    if (in[i].ranked()) TENON_TRY(normal_axis(op.input_axes[s], in[i].rank(), "scan_input_axes"));
  }
  return types_of(op.results);
}

Result<Step> bind(const Scan& op, const BindContext&) {
  Step step;
  step.kernel = "Scan";
  step.dynamic = [op](ExecContext& ctx) -> Status {
    std::vector<Tensor> states;
    for (int i = 0; i < op.states; ++i) {
      TENON_ASSIGN(Tensor t, ctx.keep(i));
      states.push_back(std::move(t));
    }
    const size_t scans = op.input_axes.size();
    std::vector<const Tensor*> sequences;
    std::vector<int64_t> axes;
    int64_t length = -1;
    for (size_t s = 0; s < scans; ++s) {
      const Tensor* t = ctx.input(op.states + static_cast<int>(s));
      TENON_ASSIGN(const int64_t axis, normal_axis(op.input_axes[s], t->rank(), "scan_input_axes"));
      if (length >= 0 && t->dims()[axis] != length) {
        return run_error("scan inputs have different lengths, ", length, " and ", t->dims()[axis]);
      }
      length = t->dims()[axis];
      sequences.push_back(t);
      axes.push_back(axis);
    }
    const size_t outs = op.results.size() - static_cast<size_t>(op.states);
    std::vector<std::vector<Tensor>> elements(outs);
    for (int64_t turn = 0; turn < length; ++turn) {
      TENON_TRY(ctx.check());
      std::vector<Tensor> inputs = std::move(states);
      for (size_t s = 0; s < scans; ++s) {
        TENON_ASSIGN(Tensor element, slice_at(ctx, *sequences[s], axes[s], op.input_directions[s] == 1 ? length - 1 - turn : turn));
        inputs.push_back(std::move(element));
      }
      TENON_ASSIGN(auto results, ctx.run_region(op.body, std::move(inputs)));
      states.clear();
      for (int i = 0; i < op.states; ++i) states.push_back(std::move(results[i]));
      for (size_t o = 0; o < outs; ++o)
        if (ctx.output_wanted(op.states + static_cast<int>(o))) elements[o].push_back(std::move(results[op.states + o]));
    }
    for (int i = 0; i < op.states; ++i) ctx.set_output(i, std::move(states[i]));
    for (size_t o = 0; o < outs; ++o) {
      if (!ctx.output_wanted(op.states + static_cast<int>(o))) continue;
      const RegionResult& r = op.results[op.states + o];
      Shape element = Shape::unranked();
      if (r.shape.ranked() && r.shape.rank() > 0) {
        TENON_ASSIGN(const int64_t axis, normal_axis(op.output_axes[o], r.shape.rank(), "scan_output_axes"));
        DimList dims = r.shape.dims();
        dims.erase(dims.begin() + axis);
        element = Shape(std::move(dims));
      }
      if (elements[o].empty()) element = unmade(ctx, op, op.states + o, element);
      TENON_ASSIGN(Tensor stacked, stack(ctx, elements[o], r.dtype, element, op.output_axes[o], op.output_directions[o] == 1));
      ctx.set_output(op.states + static_cast<int>(o), std::move(stacked));
    }
    return {};
  };
  return step;
}

}  // namespace tenon::ops
