#include <algorithm>
#include <unordered_map>

#include "ops/evaluate.h"
#include "ops/regions.h"
#include "plan/memory.h"
#include "plan/plan.h"

namespace tenon {

namespace {

// Small results of constant inputs are computed while planning instead of in every run.
constexpr size_t kMaxPlanConstant = size_t{1} << 20;

class Compiler {
 public:
  Compiler(const Graph& graph, std::shared_ptr<const Demand> demand, const CompileOptions& options)
      : graph_(graph),
        demand_(*demand),
        options_(options),
        plan_(std::make_shared<Plan>()),
        context_(options.choices != nullptr),
        entry_(static_cast<size_t>(graph.values()), -1) {
    plan_->demand = std::move(demand);
    plan_->types.reserve(demand_.values);
    plan_->slots.reserve(demand_.values + demand_.constants);
    plan_->steps.reserve(demand_.nodes.size());
    entries_.reserve(demand_.values + demand_.constants);
  }

  Result<std::shared_ptr<const Plan>> run(std::vector<Type> inputs) {
    const std::vector<ValueId>& own = graph_.region(demand_.region).inputs;
    if (inputs.size() != own.size() + demand_.captures.size()) {
      return error(Code::kInternal, "region expects ", own.size() + demand_.captures.size(), " inputs, given ", inputs.size());
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      Type type = inputs[i];
      type.constant = nullptr;
      const ValueId v = i < own.size() ? own[i] : demand_.captures[i - own.size()];
      place(v, {.kind = Slot::Kind::kInput, .index = static_cast<int>(i), .type = keep(std::move(type))});
    }
    plan_->input_types = std::move(inputs);
    for (const Demand::Need& need : demand_.nodes) TENON_TRY(node(need));
    settle_moves();
    TENON_TRY(finish_outputs());
    if (!options_.choices) find_forks(*plan_);
    plan_memory();
    // Only bodies look values up.
    const auto& steps = plan_->steps;
    if (std::any_of(steps.begin(), steps.end(), [](const PlanStep& s) { return !s.bodies.empty(); })) {
      plan_->places = std::move(entries_);
      std::sort(plan_->places.begin(), plan_->places.end(), [](const Plan::Place& a, const Plan::Place& b) { return a.value < b.value; });
    }
    if (options_.max_bytes != 0 && plan_->arena_bytes > options_.max_bytes) {
      return limit_error("memory limit of ", options_.max_bytes, " bytes: this run needs ", plan_->arena_bytes,
                         " bytes for intermediate values")
          .at_source(graph_.source);
    }
    return std::shared_ptr<const Plan>(std::move(plan_));
  }

 private:
  /// The type as a part of the plan. There is room for every value's, so none moves.
  const Type* keep(Type type) { return &plan_->types.emplace_back(std::move(type)); }

  /// Notes where `v` is and what it is.
  void note(ValueId v, Operand operand) {
    int32_t& entry = entry_[static_cast<size_t>(v)];
    if (entry < 0) {
      entry = static_cast<int32_t>(entries_.size());
      entries_.emplace_back();
    }
    entries_[static_cast<size_t>(entry)] = {v, operand};
  }

  /// Adds the slot of `v`, or of an output without a name (kNone).
  Operand place(ValueId v, const Slot& slot) {
    plan_->slots.push_back(slot);
    const Operand o{static_cast<int32_t>(plan_->slots.size() - 1), 0, slot.type};
    if (v != kNone) note(v, o);
    return o;
  }

  /// Where a value is that is computed, given, or constant.
  Operand operand(ValueId v) {
    if (v == kNone) return {};
    if (const int32_t entry = entry_[static_cast<size_t>(v)]; entry >= 0) return entries_[static_cast<size_t>(entry)].operand;
    const Value& value = graph_.value(v);
    return place(v, {.kind = Slot::Kind::kConstant, .type = &value.type, .data = value.constant ? value.constant->data() : nullptr});
  }

  /// Makes `v` a constant of the plan.
  void constant(ValueId v, Tensor tensor) {
    plan_->constants.push_back(std::move(tensor));
    const Tensor& kept = plan_->constants.back();
    Type type = Type::of(kept.dtype(), Shape::of(kept.dims()));
    type.constant = &kept;
    place(v, {.kind = Slot::Kind::kConstant, .type = keep(std::move(type)), .data = kept.data()});
  }

  static bool known(const Type& t) {
    return t.contents && std::all_of(t.contents->begin(), t.contents->end(), [](const Dim& d) { return d.is_const(); });
  }

  Status node(const Demand::Need& need) {
    PlanStep& s = plan_->steps.emplace_back();
    in_.clear();
    auto needed = fill(need, s);
    if (!needed.ok()) return at(graph_, need.node, std::move(needed).status(), in_);
    if (!*needed) plan_->steps.pop_back();
    return {};
  }

  /// Makes the step of a node, and places for its outputs. False when nothing is left for it to do at run time.
  Result<bool> fill(const Demand::Need& need, PlanStep& s) {
    const NodeId id = need.node;
    const Node& n = graph_.node(id);
    const Types& in = in_;
    s.node = id;
    for (const ValueId v : n.inputs) {
      const Operand& o = s.inputs.emplace_back(operand(v));
      in_.push_back(o.type ? *o.type : Type::none());
    }
    TENON_ASSIGN(Types out, infer(n.op, in));
    if (out.size() < n.outputs.size()) return error(Code::kInternal, "inference gave ", out.size(), " outputs");
    wanted_ = need.outputs;
    const Wanted& wanted = wanted_;
    const bool control = !ops::regions_of(n.op).empty();
    // Kernels always write their first output; the operators that do not are those that make their outputs themselves.
    if (!control && !std::holds_alternative<ops::Custom>(n.op)) wanted_[0] = true;
    const bool in_static = std::all_of(in.begin(), in.end(), [](const Type& t) { return !t.present() || t.is_static(); });
    bool out_static = true;
    for (size_t i = 0; i < n.outputs.size(); ++i) out_static &= !wanted[i] || out[i].is_static();

    if (!control && in_static && out_static) {
      // Shape arithmetic that the input shapes settle.
      bool all_known = true;
      for (size_t i = 0; i < n.outputs.size(); ++i) all_known &= !wanted[i] || known(out[i]);
      bool done = all_known && settle(n, wanted, out);
      if (!done) {
        TENON_ASSIGN(done, fold(n, wanted, in, out));
      }
      if (done) {
        choose(id, {}, "computed while planning");
        return false;
      }
    }

    s.deferred = !in_static || !out_static;
    if (!s.deferred) {
      context_.set(in, out, wanted);
      TENON_ASSIGN(s.step, tenon::bind(n.op, context_));
    } else if (control) {
      const Types untyped;
      context_.set(untyped, untyped, wanted);
      TENON_ASSIGN(s.step, tenon::bind(n.op, context_));
      s.deferred = false;
    }
    const bool joined = join(s);
    if (joined) s.step.kernel = "InPlace";
    choose(id, s.step, s.deferred ? waits_for(n, in) : std::string());
    if (control) bodies(n, wanted, in, s);
    const bool dynamic = s.deferred || s.step.dynamic != nullptr;
    s.outputs.resize(n.outputs.size());
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!wanted[i]) continue;
      const ValueId v = n.outputs[i];
      out[i].constant = nullptr;
      const Type* const type = keep(std::move(out[i]));
      if (!dynamic) {
        const auto view =
            std::find_if(s.step.views.begin(), s.step.views.end(), [&](const auto& w) { return w.out == static_cast<int>(i); });
        if (view != s.step.views.end()) {
          Operand& o = s.outputs[i] = s.inputs[static_cast<size_t>(view->in)];
          o.offset += view->offset;
          o.type = type;
          if (v != kNone) note(v, o);
          continue;
        }
      }
      Slot slot{.kind = dynamic ? Slot::Kind::kDynamic : Slot::Kind::kArena, .type = type};
      if (!dynamic) {
        TENON_ASSIGN(slot.bytes, bytes_of(*type));
        if (options_.max_bytes != 0 && slot.bytes > options_.max_bytes) {
          return limit_error("memory limit of ", options_.max_bytes, " bytes: output ", i, " ", type->str(), " needs ", slot.bytes,
                             " bytes");
        }
      }
      s.outputs[i] = place(v, slot);
    }
    if (joined) {
      move_inputs(s);
      return false;
    }
    // A step of views alone does nothing at run time.
    if (!dynamic && s.step.phases.empty()) return false;
    plan_->scratch_bytes = std::max(plan_->scratch_bytes, s.step.scratch_bytes);
    plan_->shared_bytes = std::max(plan_->shared_bytes, s.step.shared_bytes);
    for (const Phase& p : s.step.phases) plan_->worth_threads |= p.parts > 1 && p.nanoseconds >= kWakeNanoseconds;
    plan_->worth_threads |= dynamic;
    return true;
  }

  /// Whether all inputs that the step would put side by side can be computed in their places: each the whole of a buffer of its own.
  bool join(const PlanStep& s) const {
    InlineVector<int32_t, 8> slots;
    for (const Step::Join& join : s.step.joins) {
      const Operand& o = s.inputs[static_cast<size_t>(join.in)];
      const Slot& slot = plan_->slots[static_cast<size_t>(o.slot)];
      const auto bytes = bytes_of(*o.type);
      if (slot.kind != Slot::Kind::kArena || o.offset != 0 || !bytes.ok() || *bytes != slot.bytes || slot.type->dtype == DType::kString ||
          moved_.contains(o.slot) || std::find(slots.begin(), slots.end(), o.slot) != slots.end())
        return false;
      slots.push_back(o.slot);
    }
    return !slots.empty();
  }
  void move_inputs(const PlanStep& s) {
    for (const Step::Join& join : s.step.joins)
      moved_[s.inputs[static_cast<size_t>(join.in)].slot] = {s.outputs[0].slot, s.outputs[0].offset + join.offset};
  }

  /// Writes the places of buffers that lie in others into all operands.
  void settle_moves() {
    if (moved_.empty()) return;
    const auto settle = [this](Operand& o) {
      for (auto it = moved_.find(o.slot); it != moved_.end(); it = moved_.find(o.slot))
        o = {it->second.slot, it->second.offset + o.offset, o.type};
    };
    for (PlanStep& s : plan_->steps) {
      std::for_each(s.inputs.begin(), s.inputs.end(), settle);
      std::for_each(s.outputs.begin(), s.outputs.end(), settle);
    }
    for (Plan::Place& e : entries_) settle(e.operand);
  }

  /// Notes the choice for a node when the caller asks for choices.
  void choose(NodeId id, const Step& step, std::string note) {
    if (options_.choices) options_.choices->push_back({id, step.kernel, step.refusals, std::move(note)});
  }

  /// Why a node is bound only while running.
  std::string waits_for(const Node& n, const Types& in) const {
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i].present() && !in[i].is_static()) return "chosen while running: '" + graph_.value(n.inputs[i]).name + "' is " + in[i].str();
    }
    return "chosen while running: its values tell the shape of the output";
  }

  /// Notes the bodies of a node, and their choices after its own.
  void bodies(const Node& n, const Wanted& wanted, const Types& in, PlanStep& s) {
    const size_t own = options_.choices ? options_.choices->size() - 1 : 0;
    for (const RegionId body : ops::regions_of(n.op)) {
      Wanted needed = ops::wanted_of_body(n.op, wanted, graph_.region(body).outputs.size());
      auto demand = std::make_shared<const Demand>(demand_of(graph_, body, needed));
      std::vector<ValueId> captures = demand->captures;
      if (options_.choices) {
        Types types = ops::body_inputs(n.op, in);
        for (const ValueId v : captures) types.push_back(*operand(v).type);
        for (Type& t : types) t.contents.reset();
        if (const auto plan = compile(graph_, std::move(demand), std::move(types), options_); !plan.ok()) {
          (*options_.choices)[own].note = "a body cannot be planned: " + std::string(plan.status().message());
        }
      }
      s.bodies.push_back({body, std::move(needed), std::move(captures)});
    }
  }

  bool settle(const Node& n, const Wanted& wanted, const Types& out) {
    std::vector<Tensor> tensors(n.outputs.size());
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!wanted[i]) continue;
      auto t = Tensor::allocate(out[i].dtype, out[i].shape.to_ints());
      if (!t.ok() || (*t).count() != static_cast<int64_t>(out[i].contents->size())) return false;
      const bool stored = dispatch<int64_t, int32_t, bool>(out[i].dtype, [&](auto zero) {
        using T = decltype(zero);
        for (size_t k = 0; k < out[i].contents->size(); ++k) t->as<T>()[k] = static_cast<T>((*out[i].contents)[k].value());
      });
      if (!stored) return false;
      tensors[i] = *std::move(t);
    }
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (wanted[i] && n.outputs[i] != kNone) constant(n.outputs[i], std::move(tensors[i]));
    return true;
  }

  Result<bool> fold(const Node& n, const Wanted& wanted, const std::vector<Type>& in, const Types& out) {
    std::vector<const Tensor*> inputs;
    for (const Type& t : in) {
      if (t.present() && (!t.constant || !t.layout.plain())) return false;
      inputs.push_back(t.constant);
    }
    size_t bytes = 0;
    int count = 0;
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!wanted[i]) continue;
      count = static_cast<int>(i) + 1;
      if (!out[i].layout.plain()) return false;
      TENON_ASSIGN(const size_t b, bytes_of(out[i]));
      bytes += b;
    }
    if (count == 0 || bytes > kMaxPlanConstant) return false;
    TENON_ASSIGN(auto results, evaluate(n.op, inputs, count));
    for (int i = 0; i < count; ++i)
      if (wanted[i] && n.outputs[i] != kNone) constant(n.outputs[i], std::move(results[i]));
    return true;
  }

  Status finish_outputs() {
    const std::vector<ValueId>& outputs = graph_.region(demand_.region).outputs;
    plan_->outputs.resize(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!demand_.wanted[i]) continue;
      const Operand o = operand(outputs[i]);
      Slot& slot = plan_->slots[static_cast<size_t>(o.slot)];
      // The kernel writes straight into the output's tensor when the value is the whole of an arena slot and not yet another output.
      TENON_ASSIGN(const size_t bytes, slot.type->is_static() && o.type->is_static() ? bytes_of(*o.type) : Result<size_t>(size_t{0}));
      if (slot.kind == Slot::Kind::kArena && o.offset == 0 && bytes == slot.bytes && o.type->layout.plain()) {
        slot.kind = Slot::Kind::kOutput;
        slot.index = static_cast<int>(i);
      }
      plan_->outputs[i] = o;
    }
    return {};
  }

  void plan_memory() {
    const size_t n = plan_->slots.size();
    struct Life {
      int first = INT32_MAX, last = -1;  // steps that touch the slot
      int32_t root = -1;                 // the slot whose memory it takes over
      int32_t buffer = -1;
    };
    std::vector<Life> lives(n);
    const std::vector<bool> met = met_in_forks(*plan_);
    const auto touch = [&](int32_t slot, int step) {
      if (slot < 0) return;
      Life& life = lives[static_cast<size_t>(slot)];
      life.first = std::min(life.first, step);
      life.last = std::max(life.last, step);
    };
    const int steps = static_cast<int>(plan_->steps.size());
    for (int s = 0; s < steps; ++s) {
      for (const Operand& o : plan_->steps[s].inputs) touch(o.slot, s);
      for (const Operand& o : plan_->steps[s].outputs) touch(o.slot, s);
      for (const PlanBody& body : plan_->steps[s].bodies) {
        for (const ValueId v : body.captures) touch(operand_if_known(v), s);
      }
    }
    for (const Operand& o : plan_->outputs) touch(o.slot, steps);

    // In place: the output takes over the memory of an input that ends here.
    for (size_t i = 0; i < n; ++i) lives[i].root = static_cast<int32_t>(i);
    for (int s = 0; s < steps; ++s) {
      PlanStep& step = plan_->steps[s];
      InlineVector<int32_t, 8> taken;
      const auto is_taken = [&](int32_t slot) { return std::find(taken.begin(), taken.end(), slot) != taken.end(); };
      for (const auto& pair : step.step.in_place) {
        if (pair.out >= static_cast<int>(step.outputs.size()) || pair.in >= static_cast<int>(step.inputs.size())) continue;
        const Operand in = step.inputs[pair.in], out = step.outputs[pair.out];
        if (in.slot < 0 || out.slot < 0 || in.offset != 0 || out.offset != 0 || is_taken(out.slot)) continue;
        const Slot &a = plan_->slots[in.slot], &b = plan_->slots[out.slot];
        if (a.kind != Slot::Kind::kArena || b.kind != Slot::Kind::kArena || a.bytes != b.bytes) continue;
        // The one must end where the other begins: buffers that hold several values are written and read by other steps too.
        if (lives[in.slot].last != s || lives[out.slot].first != s || met[in.slot] || met[out.slot]) continue;
        // The same memory may come in twice (x * x): only the kernel's own pairing is safe.
        if (std::count_if(step.inputs.begin(), step.inputs.end(), [&](const Operand& o) { return o.slot == in.slot; }) > 1) continue;
        if (lives[in.slot].root < 0 || is_taken(in.slot)) continue;
        lives[out.slot].root = lives[in.slot].root;
        taken.push_back(out.slot);
        taken.push_back(in.slot);
      }
    }
    // What a fork touches lives all through it: there is no order between its branches.
    for (const Fork& fork : plan_->forks) {
      const auto stretch = [&](const Operand& o) {
        if (o.slot < 0) return;
        lives[o.slot].first = std::min(lives[o.slot].first, fork.begin());
        lives[o.slot].last = std::max(lives[o.slot].last, fork.end() - 1);
      };
      for (int s = fork.begin(); s < fork.end(); ++s) {
        std::for_each(plan_->steps[s].inputs.begin(), plan_->steps[s].inputs.end(), stretch);
        std::for_each(plan_->steps[s].outputs.begin(), plan_->steps[s].outputs.end(), stretch);
      }
    }
    std::vector<Lifetime> buffers;
    buffers.reserve(n);
    for (size_t i = 0; i < n; ++i) {
      const Slot& slot = plan_->slots[i];
      if (slot.kind != Slot::Kind::kArena || lives[i].last < 0) continue;
      const int32_t r = lives[i].root;
      if (lives[r].buffer < 0) {
        lives[r].buffer = static_cast<int32_t>(buffers.size());
        buffers.push_back({slot.bytes, lives[i].first, lives[i].last, 0});
      } else {
        Lifetime& b = buffers[lives[r].buffer];
        b.first = std::min(b.first, lives[i].first);
        b.last = std::max(b.last, lives[i].last);
      }
      lives[i].buffer = lives[r].buffer;
    }
    plan_->arena_bytes = pack_lifetimes(buffers);
    for (size_t i = 0; i < n; ++i)
      if (lives[i].buffer >= 0) plan_->slots[i].offset = buffers[lives[i].buffer].offset;
    for (size_t i = 0; i < n; ++i) {
      // The bytes of strings are viewed by whatever was picked from them.
      if (plan_->slots[i].type->dtype == DType::kString) continue;
      if (plan_->slots[i].kind == Slot::Kind::kDynamic && lives[i].last >= 0 && lives[i].last < steps)
        plan_->steps[lives[i].last].release.push_back(static_cast<int32_t>(i));
    }
  }

  int32_t operand_if_known(ValueId v) const {
    const int32_t entry = entry_[static_cast<size_t>(v)];
    return entry < 0 ? -1 : entries_[static_cast<size_t>(entry)].operand.slot;
  }

  const Graph& graph_;
  const Demand& demand_;
  const CompileOptions& options_;
  std::shared_ptr<Plan> plan_;
  Types in_;       ///< input types of the node at hand
  Wanted wanted_;  ///< its outputs to compute
  TypedBindContext context_;
  std::vector<Plan::Place> entries_;            ///< of the values met so far
  std::unordered_map<int32_t, Operand> moved_;  ///< slots that lie in others
  std::vector<int32_t> entry_;                  ///< a value of the graph: its place in entries_, or -1
};

}  // namespace

Result<std::shared_ptr<const Plan>> compile(const Graph& graph, std::shared_ptr<const Demand> demand, std::vector<Type> inputs,
                                            const CompileOptions& options) {
  return Compiler(graph, std::move(demand), options).run(std::move(inputs));
}

}  // namespace tenon
