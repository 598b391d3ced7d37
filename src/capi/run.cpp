// Runs, sessions, cancel tokens.
#include <algorithm>
#include <span>

#include "capi/handles.h"

namespace tenon::capi {

Result<RunOptions> engine_options(const tenon_run_options& c) {
  using Clock = std::chrono::steady_clock;
  if (c.threads < 0 || c.threads > kMaxThreads)
    return error(Code::kArgument, "options->threads is ", c.threads, ", expected 0 to ", kMaxThreads);
  if (c.deadline_ms < 0) return error(Code::kArgument, "options->deadline_ms is ", c.deadline_ms);
  RunOptions o;
  o.threads = c.threads;
  if (c.cancel) o.cancel = &c.cancel->flag;
  if (c.deadline_ms > 0) {
    const int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - Clock::now()).count() / 2;
    if (c.deadline_ms < most) o.deadline = Clock::now() + std::chrono::milliseconds(c.deadline_ms);
  }
  if (c.profile) o.profile = c.profile->profile.get();
  return o;
}

namespace {
/// Whether output `b`, a tensor, lies in the memory of `a` or of an item of it.
bool overlap(const Tensor& a, const Tensor& b) {
  if (!a.is_tensor()) return std::any_of(a.items().begin(), a.items().end(), [&](const Tensor& item) { return overlap(item, b); });
  const auto from_a = reinterpret_cast<uintptr_t>(a.data()), from_b = reinterpret_cast<uintptr_t>(b.data());
  return a.bytes() > 0 && b.bytes() > 0 && from_a < from_b + b.bytes() && from_b < from_a + a.bytes();
}
}  // namespace

Status check_overlap(const ModelState& state, std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (outputs[o].empty_handle()) continue;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (overlap(inputs[i], outputs[o])) {
        return error(Code::kArgument, "the memory given for output '", state.outputs[o].name, "' overlaps that of input '",
                     state.inputs[i].name, "'");
      }
    }
    for (size_t other = 0; other < o; ++other) {
      if (!outputs[other].empty_handle() && overlap(outputs[o], outputs[other])) {
        return error(Code::kArgument, "the memory given for output '", state.outputs[o].name, "' overlaps that of output '",
                     state.outputs[other].name, "'");
      }
    }
  }
  return {};
}

namespace {

Status missing(const ValueText& v) { return Status(error(Code::kArgument, "input '", v.name, "' is missing")).at_tensor(v.name); }

/// Refuses to write output `v` into `place` unless it is a tensor of fixed-size elements.
Status check_in_place(const ValueText& v, const Tensor& place) {
  const char* what = v.flags & TENON_VALUE_NULLABLE   ? "is optional"
                     : v.flags & TENON_VALUE_SEQUENCE ? "is a sequence"
                     : v.dtype == DType::kString      ? "holds strings"
                                                      : nullptr;
  if (what)
    return Status(error(Code::kArgument, "output '", v.name, "' ", what, " and cannot be written in place: give NULL")).at_tensor(v.name);
  if (place.is_tensor()) return {};
  return Status(error(Code::kArgument, "output '", v.name, "' was given ", place.str(), " to write into, expected a tensor"))
      .at_tensor(v.name);
}

/// The engine's run with inputs and outputs in order; `which` says the model's output for each place.
Status run(const ModelState& s, std::span<const Tensor> inputs, std::span<const size_t> which, tenon_tensor** outputs,
           const tenon_run_options& c) {
  TENON_ASSIGN(RunOptions options, engine_options(c));
  std::vector<Tensor> results(s.outputs.size());
  Wanted wanted(s.outputs.size(), false);
  for (size_t i = 0; i < which.size(); ++i) {
    const ValueText& v = s.outputs[which[i]];
    if (wanted[which[i]]) return error(Code::kArgument, "output '", v.name, "' is asked for twice");
    wanted[which[i]] = true;
    if (!outputs[i]) continue;
    TENON_TRY(check_in_place(v, outputs[i]->tensor));
    results[which[i]] = outputs[i]->tensor;
  }
  TENON_TRY(check_overlap(s, inputs, results));
  // Handles first: nothing may fail after the run.
  std::vector<std::unique_ptr<tenon_tensor>> handles(which.size());
  for (size_t i = 0; i < which.size(); ++i) {
    if (!outputs[i]) handles[i] = std::make_unique<tenon_tensor>();
  }
  options.wanted = &wanted;
  s.runs.fetch_add(1, std::memory_order_relaxed);
  TENON_TRY(s.model->run(inputs, results, options));
  for (size_t i = 0; i < which.size(); ++i) {
    if (!handles[i]) continue;
    handles[i]->tensor = std::move(results[which[i]]);
    outputs[i] = handles[i].release();
  }
  return {};
}

}  // namespace

}  // namespace tenon::capi

using namespace tenon;
using namespace tenon::capi;

tenon_status tenon_model_run(const tenon_model* model, const tenon_tensor* const* inputs, size_t n_inputs, tenon_tensor** outputs,
                             size_t n_outputs, const tenon_run_options* options, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    if (n_inputs > 0) TENON_REQUIRE(inputs);
    if (n_outputs > 0) TENON_REQUIRE(outputs);
    const ModelState& s = *model->state;
    TENON_ASSIGN(const auto c, read_options(options, "tenon_model_run"));
    if (n_inputs > s.inputs.size()) return tenon::error(Code::kArgument, "the model has ", s.inputs.size(), " inputs, given ", n_inputs);
    std::vector<Tensor> in(s.defaults);
    for (size_t i = 0; i < n_inputs; ++i) {
      if (inputs[i]) in[i] = inputs[i]->tensor;
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i].empty_handle()) return missing(s.inputs[i]);
    }
    if (n_outputs > s.outputs.size())
      return tenon::error(Code::kArgument, "the model has ", s.outputs.size(), " outputs, asked for ", n_outputs);
    std::vector<size_t> which(n_outputs);
    for (size_t i = 0; i < n_outputs; ++i) {
      which[i] = c.output_indices ? c.output_indices[i] : i;
      if (which[i] >= s.outputs.size()) {
        return tenon::error(Code::kArgument, "options->output_indices[", i, "] is ", which[i], ", the model has ", s.outputs.size(),
                            " outputs");
      }
    }
    return run(s, in, which, outputs, c);
  });
}

tenon_status tenon_model_run_named(const tenon_model* model, const tenon_string* input_names, const tenon_tensor* const* inputs,
                                   size_t n_inputs, const tenon_string* output_names, tenon_tensor** outputs, size_t n_outputs,
                                   const tenon_run_options* options, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    if (n_inputs > 0) {
      TENON_REQUIRE(input_names);
      TENON_REQUIRE(inputs);
    }
    if (n_outputs > 0) {
      TENON_REQUIRE(output_names);
      TENON_REQUIRE(outputs);
    }
    const ModelState& s = *model->state;
    TENON_ASSIGN(const auto c, read_options(options, "tenon_model_run_named"));
    std::vector<Tensor> in(s.defaults);
    std::vector<bool> seen(in.size());
    for (size_t i = 0; i < n_inputs; ++i) {
      TENON_ASSIGN(const size_t at, find_value(s.inputs, view(input_names[i]), "input"));
      if (seen[at]) return tenon::error(Code::kArgument, "input '", s.inputs[at].name, "' is given twice");
      seen[at] = true;
      if (inputs[i]) in[at] = inputs[i]->tensor;
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i].empty_handle()) return missing(s.inputs[i]);
    }
    std::vector<size_t> which(n_outputs);
    for (size_t i = 0; i < n_outputs; ++i) {
      TENON_ASSIGN(which[i], find_value(s.outputs, view(output_names[i]), "output"));
    }
    return run(s, in, which, outputs, c);
  });
}

tenon_status tenon_session_new(const tenon_model* model, tenon_session** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(model);
    TENON_REQUIRE(out);
    auto s = std::make_unique<tenon_session>();
    s->state = model->state;
    s->session = model->state->model->session();
    s->inputs = model->state->defaults;
    const size_t n = model->state->outputs.size();
    s->outputs.resize(n);
    s->given.resize(n);
    s->wanted.assign(n, true);
    s->bound.assign(n, false);
    s->varying.assign(n, false);
    *out = s.release();
    return {};
  });
}

tenon_status tenon_session_bind_input(tenon_session* session, size_t index, const tenon_tensor* tensor, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(session);
    if (index >= session->inputs.size()) {
      return tenon::error(Code::kArgument, "tenon_session_bind_input: index ", index, " of ", session->inputs.size());
    }
    const Tensor next = tensor ? tensor->tensor : session->state->defaults[index];
    Tensor& bound = session->inputs[index];
    if (next.dims() != bound.dims() || next.dtype() != bound.dtype()) session->replan = true;
    bound = next;
    session->rebound = true;
    return {};
  });
}

tenon_status tenon_session_bind_output(tenon_session* session, size_t index, const tenon_tensor* tensor, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(session);
    if (index >= session->outputs.size()) {
      return tenon::error(Code::kArgument, "tenon_session_bind_output: index ", index, " of ", session->outputs.size());
    }
    if (tensor) TENON_TRY(check_in_place(session->state->outputs[index], tensor->tensor));
    session->outputs[index] = tensor ? tensor->tensor : Tensor();
    session->bound[index] = tensor != nullptr;
    session->has_run = false;
    session->rebound = true;
    return {};
  });
}

tenon_status tenon_session_want_outputs(tenon_session* session, const size_t* outputs, size_t count, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(session);
    if (!outputs && count > 0) return argument_error("tenon_session_want_outputs", "outputs is NULL, but count is not 0");
    Wanted wanted(session->wanted.size(), outputs == nullptr);
    for (size_t i = 0; i < count; ++i) {
      if (outputs[i] >= wanted.size()) {
        return tenon::error(Code::kArgument, "tenon_session_want_outputs: outputs[", i, "] is ", outputs[i], ", the model has ",
                            wanted.size(), " outputs");
      }
      wanted[outputs[i]] = true;
    }
    session->wanted = std::move(wanted);
    session->has_run = false;
    session->replan = true;
    return {};
  });
}

tenon_status tenon_session_run(tenon_session* session, const tenon_run_options* options, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(session);
    tenon_session& s = *session;
    TENON_ASSIGN(const auto c, read_options(options, "tenon_session_run"));
    TENON_ASSIGN(RunOptions run, engine_options(c));
    run.wanted = &s.wanted;
    s.has_run = false;
    for (size_t i = 0; i < s.inputs.size(); ++i) {
      if (s.inputs[i].empty_handle()) return missing(s.state->inputs[i]);
    }
    // Own outputs are reused as long as their dims follow from those of the inputs.
    for (size_t i = 0; i < s.outputs.size(); ++i) {
      if (!s.bound[i] && (s.replan || s.varying[i])) s.outputs[i] = Tensor();
    }
    if (s.rebound) {
      // An output of an earlier run may have become an input.
      for (size_t i = 0; i < s.outputs.size(); ++i) {
        if (!s.bound[i] && std::any_of(s.inputs.begin(), s.inputs.end(), [&](const Tensor& t) { return overlap(t, s.outputs[i]); })) {
          s.outputs[i] = Tensor();
        }
      }
      TENON_TRY(check_overlap(*s.state, s.inputs, s.outputs));
      s.rebound = false;
    }
    s.state->runs.fetch_add(1, std::memory_order_relaxed);
    TENON_TRY(s.session->run(s.inputs, s.outputs, run));
    if (s.replan) {
      const std::vector<Operand>& outputs = s.session->plan().outputs;
      for (size_t i = 0; i < s.outputs.size(); ++i) s.varying[i] = !outputs[i].type || !outputs[i].type->is_static();
      s.replan = false;
    }
    s.has_run = true;
    return {};
  });
}

tenon_status tenon_session_output(const tenon_session* session, size_t index, const tenon_tensor** tensor, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(session);
    TENON_REQUIRE(tensor);
    if (index >= session->outputs.size()) {
      return tenon::error(Code::kArgument, "tenon_session_output: index ", index, " of ", session->outputs.size());
    }
    if (!session->has_run) return argument_error("tenon_session_output", "no run has succeeded since the last bind");
    if (!session->wanted[index]) {
      return tenon::error(Code::kArgument, "output '", session->state->outputs[index].name, "' is not among those the session computes");
    }
    session->given[index].tensor = session->outputs[index];
    *tensor = &session->given[index];
    return {};
  });
}

void tenon_session_free(tenon_session* session) { delete session; }

tenon_status tenon_cancel_new(tenon_cancel** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    *out = new tenon_cancel;
    return {};
  });
}

void tenon_cancel_set(tenon_cancel* cancel) {
  if (cancel) cancel->flag.store(true, std::memory_order_relaxed);
}
void tenon_cancel_reset(tenon_cancel* cancel) {
  if (cancel) cancel->flag.store(false, std::memory_order_relaxed);
}
int32_t tenon_cancel_is_set(const tenon_cancel* cancel) { return cancel && cancel->flag.load(std::memory_order_relaxed) ? 1 : 0; }
void tenon_cancel_free(tenon_cancel* cancel) { delete cancel; }
