#include "plan/session.h"

#include <algorithm>

#include "base/cpu.h"
#include "plan/region_runner.h"

namespace tenon {

Status Session::State::ensure(std::shared_ptr<Buffer>& buffer, size_t bytes, const std::shared_ptr<Allocator>& allocator) {
  if (buffer && buffer->size() >= bytes) return {};
  buffer.reset();
  TENON_ASSIGN(buffer, Buffer::allocate(bytes, allocator));
  return {};
}

Status Session::State::ensure_scratch(size_t bytes, int threads, const std::shared_ptr<Allocator>& allocator) {
  const size_t stride = (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
  if (scratch && stride <= scratch_stride && threads <= scratch_threads) return {};
  const size_t new_stride = std::max(stride, scratch_stride);
  const int new_threads = std::max(threads, scratch_threads);
  scratch.reset();
  scratch_stride = 0;
  TENON_ASSIGN(scratch, Buffer::allocate(new_stride * static_cast<size_t>(new_threads), allocator));
  scratch_stride = new_stride;
  scratch_threads = new_threads;
  return {};
}

Status Session::State::prepare(Frame& frame, const std::shared_ptr<const Plan>& plan, const std::shared_ptr<Allocator>& allocator,
                               int threads) {
  const Plan& p = *plan;
  TENON_TRY(ensure_scratch(p.scratch_bytes, threads, allocator));
  TENON_TRY(ensure(shared, p.shared_bytes, allocator));
  if (frame.plan == plan) return {};
  frame.plan.reset();  // until all is in place, so that a failure leaves nothing half made
  if (frame.arena && frame.arena->size() / 4 > p.arena_bytes + (size_t{1} << 20)) frame.arena.reset();
  TENON_TRY(ensure(frame.arena, p.arena_bytes, allocator));
  frame.base.assign(p.slots.size(), nullptr);
  frame.dynamic.resize(p.slots.size());  // all are empty between runs
  size_t most_inputs = 0, most_outputs = 0;
  for (const PlanStep& s : p.steps) {
    most_inputs = std::max(most_inputs, s.inputs.size());
    most_outputs = std::max(most_outputs, s.outputs.size());
  }
  frame.src.assign(most_inputs + 1, nullptr);
  frame.dst.assign(most_outputs + 1, nullptr);
  for (size_t i = 0; i < p.slots.size(); ++i) {
    if (p.slots[i].kind == Slot::Kind::kArena) frame.base[i] = frame.arena->data() + p.slots[i].offset;
    if (p.slots[i].kind == Slot::Kind::kConstant) frame.base[i] = static_cast<std::byte*>(const_cast<void*>(p.slots[i].data));
  }
  frame.plan = plan;
  return {};
}

Session::Session(std::shared_ptr<const Model> model, std::unique_ptr<State> state) : model_(std::move(model)), state_(std::move(state)) {}
Session::~Session() = default;

const Plan& Session::plan() const { return *state_->frames.at(0).plan; }

Status Session::run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const RunOptions& options) {
  const auto& wanted_in = model_->inputs();
  if (inputs.size() != wanted_in.size()) {
    return error(Code::kArgument, "the model has ", wanted_in.size(), " inputs, given ", inputs.size());
  }
  if (outputs.size() != model_->outputs().size()) {
    return error(Code::kArgument, "the model has ", model_->outputs().size(), " outputs, given ", outputs.size());
  }
  const Wanted& wanted = options.wanted ? *options.wanted : model_->all_outputs();
  if (wanted.size() != outputs.size()) {
    return error(Code::kArgument, "wanted flags ", wanted.size(), " outputs, the model has ", outputs.size());
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueInfo& want = wanted_in[i];
    const Tensor& t = inputs[i];
    if (t.empty_handle()) return error(Code::kArgument, "input '", want.name, "' is missing");
    if (const auto given = want.type.mismatch(t)) {
      return Status(shape_error("input '", want.name, "' is ", *given, ", expected ", want.type.str()))
          .at_tensor(want.name)
          .at_source(model_->graph().source);
    }
  }
  struct Work {
    Session* self;
    const Wanted* wanted;
    std::span<const Tensor> inputs;
    std::span<Tensor> outputs;
    const RunOptions* options;
    Status status;
  } work{this, &wanted, inputs, outputs, &options, {}};
  const auto body = [](void* arg, Team& team) {
    auto& w = *static_cast<Work*>(arg);
    const DenormalGuard guard;
    RegionRunner runner(*w.self->model_, *w.self->state_, team, *w.options);
    w.status = runner.run(0, *w.wanted, w.inputs, w.outputs, nullptr);
  };
  // A plan whose every phase is short never wakes another thread.
  const Frame& frame = state_->frames[0];
  const bool worth = !frame.plan || frame.plan->worth_threads || !frame.plan->takes(wanted, inputs);
  const int threads = options.threads > 0 ? options.threads : model_->options().threads;
  Team::enter(model_->options().provider, worth ? threads : 1, body, &work);
  state_->strings.clear();
  return std::move(work.status);
}

}  // namespace tenon
