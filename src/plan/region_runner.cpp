#include "plan/region_runner.h"

#include <algorithm>
#include <cstring>

#include "ops/evaluate.h"

namespace tenon {

Status RegionRunner::check() const {
  if (options_.cancel && options_.cancel->load(std::memory_order_relaxed)) return error(Code::kCancelled, "cancelled by the caller");
  if (options_.deadline && std::chrono::steady_clock::now() > *options_.deadline) return limit_error("the deadline of the run has passed");
  return {};
}

Result<Tensor> RegionRunner::operand_tensor(const Operand& o) const {
  const Type& type = *o.type;
  const Slot& slot = frame_->plan->slots[static_cast<size_t>(o.slot)];
  const Tensor& made = frame_->dynamic[static_cast<size_t>(o.slot)];
  if (!type.is_static()) {
    if (made.empty_handle()) return error(Code::kInternal, "a value is read before it is computed");
    return made;
  }
  if (!made.empty_handle() && o.offset == 0 && made.dtype() == type.dtype && type.layout.plain()) {
    return made.reshaped(type.shape.to_ints());
  }
  if (slot.kind == Slot::Kind::kDynamic) {
    if (made.empty_handle()) return error(Code::kInternal, "a value is read before it is computed");
    return Tensor::view(type.dtype, type.shape.to_ints(), made.buffer(), made.offset() + static_cast<size_t>(o.offset));
  }
  // Arena memory is reused after its last reader, the caller's may go after the run: what views them owns nothing.
  return Tensor::view(type.dtype, type.shape.to_ints(), Buffer::borrow(frame_->base[static_cast<size_t>(o.slot)], slot.bytes),
                      static_cast<size_t>(o.offset));
}

Result<Tensor> RegionRunner::keep(const Operand& o) const {
  TENON_ASSIGN(Tensor t, operand_tensor(o));
  const bool owns = frame_->plan->slots[static_cast<size_t>(o.slot)].kind == Slot::Kind::kDynamic || !o.type->is_tensor();
  return owns ? Result<Tensor>(std::move(t)) : t.clone(model_.allocator());
}

Result<Tensor> RegionRunner::tensor_of(ValueId v) const {
  if (const Plan::Place* p = frame_->plan->find(v)) return operand_tensor(p->operand);
  if (parent_) return parent_->tensor_of(v);
  return error(Code::kInternal, "captured value '", model_.graph().value(v).name, "' is not there");
}

Status RegionRunner::set_dynamic(const PlanStep& step, int output, Tensor tensor) {
  const Operand& o = step.outputs[static_cast<size_t>(output)];
  if (o.slot < 0) return {};
  const Type& promised = *o.type;
  if (const auto got = promised.mismatch(tensor)) return run_error("output ", output, " is ", *got, ", expected ", promised.str());
  frame_->base[static_cast<size_t>(o.slot)] = tensor.as<std::byte>();
  frame_->dynamic[static_cast<size_t>(o.slot)] = std::move(tensor);
  return {};
}

/// A dynamic step's window on the run.
class StepContext : public ExecContext {
 public:
  StepContext(RegionRunner& runner, const PlanStep& step, std::vector<Tensor> inputs, std::vector<bool> present)
      : runner_(runner), step_(step), inputs_(std::move(inputs)), present_(std::move(present)) {}

  int inputs() const override { return static_cast<int>(inputs_.size()); }
  int outputs() const override { return static_cast<int>(step_.outputs.size()); }
  const Tensor* input(int i) const override { return i < inputs() && present_[i] ? &inputs_[i] : nullptr; }
  Result<Tensor> keep(int i) override { return runner_.keep(step_.inputs[i]); }
  bool output_wanted(int i) const override { return i < outputs() && step_.outputs[i].slot >= 0; }
  Result<Tensor> allocate(DType dtype, Dims dims) override { return Tensor::allocate(dtype, std::move(dims), runner_.model_.allocator()); }
  void set_output(int i, Tensor value) override {
    if (i >= outputs() || !status_.ok()) return;
    status_ = runner_.set_dynamic(step_, i, std::move(value));
  }
  Result<std::vector<Tensor>> run_region(int region, std::vector<Tensor> inputs) override {
    RegionRunner inner(runner_.model_, runner_.state_, runner_.team_, runner_.options_);
    TENON_ASSIGN(const PlanBody* body, body_of(region));
    for (const ValueId v : body->captures) {
      TENON_ASSIGN(Tensor t, runner_.tensor_of(v));
      inputs.push_back(std::move(t));
    }
    std::vector<Tensor> outputs(body->wanted.size());
    TENON_TRY(inner.run(region, body->wanted, inputs, outputs, &runner_));
    return outputs;
  }
  Result<Types> plan_region(int region, const Types& inputs) override {
    TENON_ASSIGN(const PlanBody* body, body_of(region));
    const Graph& graph = runner_.model_.graph();
    Types types = inputs;
    for (const ValueId v : body->captures) {
      TENON_ASSIGN(const Tensor t, runner_.tensor_of(v));
      types.push_back(graph.type(v).is_tensor() ? Type::of(t) : graph.type(v));
    }
    TENON_ASSIGN(const auto plan, runner_.model_.plan(region, body->wanted, types));
    Types out;
    for (const Operand& o : plan->outputs) out.push_back(o.type ? *o.type : Type::none());
    return out;
  }
  Status check() const override { return runner_.check(); }
  char* string_bytes(size_t size) override {
    runner_.state_.strings.push_back(std::make_unique<char[]>(size));
    return runner_.state_.strings.back().get();
  }
  Status status() { return std::move(status_); }

 private:
  Result<const PlanBody*> body_of(RegionId region) const {
    for (const PlanBody& b : step_.bodies)
      if (b.region == region) return &b;
    return error(Code::kInternal, "region ", region, " is no body of this node");
  }

  RegionRunner& runner_;
  const PlanStep& step_;
  std::vector<Tensor> inputs_;
  std::vector<bool> present_;
  Status status_;
};

Status RegionRunner::dynamic_step(const PlanStep& step, const Step& work) {
  std::vector<Tensor> inputs;
  std::vector<bool> present;
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    present.push_back(step.inputs[i].slot >= 0);
    if (!present.back()) {
      inputs.emplace_back();
      continue;
    }
    TENON_ASSIGN(Tensor t, operand_tensor(step.inputs[i]));
    inputs.push_back(std::move(t));
  }
  StepContext context(*this, step, std::move(inputs), std::move(present));
  TENON_TRY(work.dynamic(context));
  return context.status();
}

Status RegionRunner::step(const PlanStep& step) {
  if (step.deferred) return deferred_step(step);
  if (step.step.dynamic) return dynamic_step(step, step.step);
  return static_step(step);
}

namespace {

std::vector<Type> actual_types(const Frame& frame, const PlanStep& step) {
  std::vector<Type> types;
  for (const Operand& o : step.inputs) {
    Type& type = types.emplace_back(o.type ? *o.type : Type::none());
    if (type.is_static() || !type.is_tensor() || o.slot < 0) continue;
    const Tensor& t = frame.dynamic[static_cast<size_t>(o.slot)];
    if (!t.empty_handle()) type.shape = Shape::of(t.dims());
  }
  return types;
}

/// The dynamic values of a frame, let go of when the run ends.
class DynamicValues {
 public:
  explicit DynamicValues(Frame& frame) : frame_(frame) {}
  ~DynamicValues() {
    for (Tensor& t : frame_.dynamic)
      if (!t.empty_handle()) t = Tensor();
  }
  DynamicValues(const DynamicValues&) = delete;
  DynamicValues& operator=(const DynamicValues&) = delete;

 private:
  Frame& frame_;
};

/// The memory of what sequences and optionals among the inputs hold, in order: a run may pass it on, but not out. Tensors are only viewed.
std::vector<const Buffer*> shared_buffers(std::span<const Tensor> inputs, const std::vector<Type>& types) {
  std::vector<const Buffer*> all;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (types[i].is_tensor()) continue;
    if (inputs[i].is_tensor()) all.push_back(inputs[i].buffer().get());
    for (const Tensor& item : inputs[i].items()) all.push_back(item.buffer().get());
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// `value` as the run's caller may keep it: memory that is the caller's is copied, and so are strings, whose bytes end with the run.
Result<Tensor> handed_over(Tensor value, const std::vector<const Buffer*>& theirs, const std::shared_ptr<Allocator>& allocator) {
  if (value.kind() == Tensor::Kind::kNone) return value;
  if (value.is_tensor()) {
    const bool copied = value.dtype() == DType::kString || std::binary_search(theirs.begin(), theirs.end(), value.buffer().get());
    return copied ? value.clone(allocator) : Result<Tensor>(std::move(value));
  }
  std::vector<Tensor> items;
  for (const Tensor& item : value.items()) {
    TENON_ASSIGN(Tensor owned, handed_over(item, theirs, allocator));
    items.push_back(std::move(owned));
  }
  return Tensor::sequence(value.dtype(), std::move(items), allocator);
}

}  // namespace

void RegionRunner::record(const PlanStep& step, Clock::time_point start, Clock::time_point end, bool shared) const {
  const auto nanoseconds = [](auto duration) { return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count(); };
  const Node& node = model_.graph().node(step.node);
  Profile::Event e;
  e.name = node.name.empty() ? node.source_op : node.name;
  e.op = op_name(node.op);
  e.kernel = step.deferred ? deferred_kernel_ : step.step.kernel;
  e.start_ns = nanoseconds(start.time_since_epoch());
  e.duration_ns = nanoseconds(end - start);
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    if (step.outputs[i].slot < 0) continue;
    Type type = *step.outputs[i].type;
    const Tensor& made = frame_->dynamic[static_cast<size_t>(step.outputs[i].slot)];
    if (type.is_tensor() && !made.empty_handle()) type.shape = Shape::of(made.dims());
    e.shapes += (e.shapes.empty() ? "" : ", ") + type.str();
  }
  e.parallel = shared;
  for (const Phase& p : step.step.phases) e.parallel |= team_.threads() > 1 && p.parts > 1 && p.nanoseconds >= kShareNanoseconds;
  options_.profile->add(std::move(e));
}

/// The error of a step, with what it names. That a body used up the time or memory is the fault of the loop around it, whichever of its
/// nodes was next.
Status RegionRunner::named(const PlanStep& step, Status status) const {
  if (parent_ && (status.code() == Code::kLimit || status.code() == Code::kCancelled)) return status;
  return at(model_.graph(), step.node, std::move(status), actual_types(*frame_, step));
}

/// Brings output number `output`, which was computed elsewhere, to `place`, which holds memory for it or an empty handle.
Status RegionRunner::finish_output(int output, const std::vector<const Buffer*>& theirs, Tensor& place) const {
  const Operand& o = frame_->plan->outputs[static_cast<size_t>(output)];
  const Type& type = *o.type;
  const Slot& slot = frame_->plan->slots[static_cast<size_t>(o.slot)];
  const std::shared_ptr<Allocator>& allocator = model_.allocator();
  TENON_ASSIGN(Tensor result, operand_tensor(o));
  if (place.empty_handle()) {
    // Tensors in memory of the caller, the model or the arena are copied; all else is shared inside a run, and handed over at its end.
    // Strings may view the bytes of any value before them, so they are copied here too.
    if (slot.kind != Slot::Kind::kDynamic && type.is_tensor()) {
      TENON_ASSIGN(place, result.clone(allocator));
    } else if (parent_ && type.dtype != DType::kString) {
      place = std::move(result);
    } else {
      TENON_ASSIGN(place, handed_over(std::move(result), theirs, allocator));
    }
    return {};
  }
  if (place.dtype() != result.dtype() || place.dims() != result.dims()) {
    return shape_error("output ", output, " was given memory for ", place.str(), ", but it is ", result.str());
  }
  if (result.dtype() == DType::kString) {
    TENON_ASSIGN(place, result.clone(allocator));
  } else if (result.bytes()) {
    std::memcpy(place.data(), result.data(), result.bytes());
  }
  return {};
}

Status RegionRunner::run(RegionId region, const Wanted& wanted, std::span<const Tensor> inputs, std::span<Tensor> outputs,
                         const RegionRunner* parent) {
  parent_ = parent;
  frame_ = &state_.frames[region];
  if (!frame_->plan || !frame_->plan->takes(wanted, inputs)) {
    TENON_ASSIGN(auto plan, model_.plan(region, wanted, inputs));
    TENON_TRY(state_.prepare(*frame_, plan, model_.allocator(), team_.threads()));
  } else {
    TENON_TRY(state_.prepare(*frame_, frame_->plan, model_.allocator(), team_.threads()));
  }
  Frame& f = *frame_;
  const Plan& plan = *f.plan;
  const DynamicValues held(f);
  for (size_t i = 0; i < plan.slots.size(); ++i) {
    const Slot& slot = plan.slots[i];
    if (slot.kind != Slot::Kind::kInput) continue;
    const Tensor& given = inputs[static_cast<size_t>(slot.index)];
    f.base[i] = given.as<std::byte>();
    if (!slot.type->is_tensor()) f.dynamic[i] = given;
  }
  // Outputs of known shape get their memory first, so that the last kernel writes into it.
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted[i]) continue;
    const Type& type = *plan.outputs[i].type;
    if (outputs[i].empty_handle()) {
      if (!type.is_static()) continue;
      TENON_ASSIGN(outputs[i], Tensor::allocate(type.dtype, type.shape.to_ints(), model_.allocator()));
    } else if (!type.is_tensor() || type.mismatch(outputs[i])) {
      return shape_error("output ", i, " was given memory for ", outputs[i].str(), ", but it is ", type.str());
    }
  }
  for (size_t i = 0; i < plan.slots.size(); ++i) {
    if (plan.slots[i].kind == Slot::Kind::kOutput) f.base[i] = outputs[static_cast<size_t>(plan.slots[i].index)].as<std::byte>();
  }

  const bool watched = options_.cancel || options_.deadline;
  if (watched) TENON_TRY(check());
  const Fork* next = team_.threads() > 1 ? plan.forks.data() : nullptr;
  const Fork* const last = next ? next + plan.forks.size() : nullptr;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (next != last && static_cast<size_t>(next->begin()) == i) {
      TENON_TRY(fork(*next));
      i = static_cast<size_t>(next++->end()) - 1;
      continue;
    }
    const PlanStep& s = plan.steps[i];
    const auto start = options_.profile ? Clock::now() : Clock::time_point();
    if (Status status = step(s); !status.ok()) return named(s, std::move(status));
    if (options_.profile) record(s, start, Clock::now(), false);
    for (const int32_t slot : s.release) f.dynamic[static_cast<size_t>(slot)] = Tensor();
  }

  // Inside a run everybody shares; what leaves it is the caller's alone.
  std::vector<const Buffer*> theirs;
  if (!parent_) theirs = shared_buffers(inputs, plan.input_types);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted[i]) continue;
    const Operand& o = plan.outputs[i];
    const Slot& slot = plan.slots[static_cast<size_t>(o.slot)];
    if (slot.kind != Slot::Kind::kOutput || slot.index != static_cast<int>(i) || o.offset != 0) {
      TENON_TRY(finish_output(static_cast<int>(i), theirs, outputs[i]));
    } else if (outputs[i].dtype() == DType::kString) {
      TENON_ASSIGN(outputs[i], outputs[i].clone(model_.allocator()));
    }
  }
  return {};
}

}  // namespace tenon
