#include <algorithm>
#include <set>
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
  Compiler(const Graph& graph, RegionId region, const Wanted& wanted, const CompileOptions& options)
      : graph_(graph),
        region_(graph.region(region)),
        options_(options),
        demand_(demand_of(graph, region, wanted)),
        plan_(std::make_shared<Plan>()),
        entry_(static_cast<size_t>(graph.values()), -1) {
    plan_->region = region;
    plan_->wanted = wanted;
    plan_->captures = demand_.captures;
  }

  Result<std::shared_ptr<const Plan>> run(const std::vector<Type>& inputs) {
    plan_->input_types = inputs;
    int index = 0;
    const auto add_input = [&](ValueId v) {
      Slot s;
      s.kind = Slot::Kind::kInput;
      s.index = index;
      s.type = inputs[static_cast<size_t>(index)];
      s.type.constant = nullptr;
      ++index;
      place(v, std::move(s));
    };
    if (inputs.size() != region_.inputs.size() + plan_->captures.size()) {
      return error(Code::kInternal, "region expects ", region_.inputs.size() + plan_->captures.size(), " inputs, given ", inputs.size());
    }
    for (const ValueId v : region_.inputs) add_input(v);
    for (const ValueId v : plan_->captures) add_input(v);
    for (const NodeId id : demand_.nodes) TENON_TRY(node(id));
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
    return std::shared_ptr<const Plan>(plan_);
  }

 private:
  /// Notes where `v` is and what it is.
  void note(ValueId v, Operand operand, Type type) {
    int32_t& entry = entry_[static_cast<size_t>(v)];
    if (entry < 0) {
      entry = static_cast<int32_t>(entries_.size());
      entries_.emplace_back();
    }
    entries_[static_cast<size_t>(entry)] = {v, operand, std::move(type)};
  }

  /// Adds the slot of `v`, or of an output without a name (kNone).
  int32_t place(ValueId v, Slot slot) {
    plan_->slots.push_back(std::move(slot));
    const auto id = static_cast<int32_t>(plan_->slots.size() - 1);
    if (v != kNone) note(v, {id, 0}, plan_->slots.back().type);
    return id;
  }

  /// Where a value is that is computed, given, or constant; valid until the next one is noted.
  const Plan::Place& entry(ValueId v) {
    if (entry_[static_cast<size_t>(v)] < 0) {
      const Value& value = graph_.value(v);
      Slot s;
      s.kind = Slot::Kind::kConstant;
      s.type = value.type;
      s.data = value.constant ? value.constant->data() : nullptr;
      place(v, std::move(s));
    }
    return entries_[static_cast<size_t>(entry_[static_cast<size_t>(v)])];
  }
  Operand operand(ValueId v) { return v == kNone ? Operand() : entry(v).operand; }
  Type type(ValueId v) { return v == kNone ? Type::none() : entry(v).type; }

  /// Makes `v` a constant of the plan.
  void constant(ValueId v, Tensor tensor) {
    plan_->constants.push_back(std::move(tensor));
    const Tensor& kept = plan_->constants.back();
    Slot s;
    s.kind = Slot::Kind::kConstant;
    s.type = Type::of(kept.dtype(), Shape::of(kept.dims()));
    s.type.constant = &kept;
    s.data = kept.data();
    place(v, std::move(s));
  }

  static bool known(const Type& t) {
    return t.contents && std::all_of(t.contents->begin(), t.contents->end(), [](const Dim& d) { return d.is_const(); });
  }

  Status node(NodeId id) {
    const Node& n = graph_.node(id);
    std::vector<Type> in;
    in.reserve(n.inputs.size());
    for (const ValueId v : n.inputs) in.push_back(type(v));
    auto inferred = infer(n.op, in);
    if (!inferred.ok()) return at(graph_, id, std::move(inferred).status(), in);
    Types& out = *inferred;
    if (out.size() < n.outputs.size()) return at(graph_, id, error(Code::kInternal, "inference gave ", out.size(), " outputs"), in);
    Wanted wanted = wanted_of(n, demand_);
    const bool control = !ops::regions_of(n.op).empty();
    // Kernels always write their first output; the operators that do not are those that make their outputs themselves.
    if (!control && !std::holds_alternative<ops::Custom>(n.op)) wanted[0] = true;
    const bool in_static = std::all_of(in.begin(), in.end(), [](const Type& t) { return !t.present() || t.is_static(); });
    bool out_static = true;
    for (size_t i = 0; i < n.outputs.size(); ++i) out_static &= !wanted[i] || out[i].is_static();

    if (!control && in_static && out_static) {
      // Shape arithmetic that the input shapes settle.
      bool all_known = true;
      for (size_t i = 0; i < n.outputs.size(); ++i) all_known &= !wanted[i] || known(out[i]);
      Result<bool> done = all_known && settle(n, wanted, out);
      if (done.ok() && !*done) done = fold(n, wanted, in, out);
      if (!done.ok()) return at(graph_, id, std::move(done).status(), in);
      if (*done) {
        choose(id, {}, "computed while planning");
        return {};
      }
    }

    PlanStep s;
    s.node = id;
    s.inputs.reserve(n.inputs.size());
    for (const ValueId v : n.inputs) s.inputs.push_back(operand(v));
    s.deferred = !in_static || !out_static;
    if (!s.deferred) {
      const TypedBindContext ctx(in, out, wanted, options_.choices != nullptr);
      auto step = tenon::bind(n.op, ctx);
      if (!step.ok()) return at(graph_, id, std::move(step).status(), in);
      s.step = *std::move(step);
    } else if (control) {
      const Types untyped;
      const TypedBindContext ctx(untyped, untyped, wanted, options_.choices != nullptr);
      auto step = tenon::bind(n.op, ctx);
      if (!step.ok()) return at(graph_, id, std::move(step).status(), in);
      s.step = *std::move(step);
      s.deferred = false;
    }
    const bool joined = join(s, in);
    if (joined) s.step.kernel = "InPlace";
    choose(id, s.step, s.deferred ? waits_for(n, in) : std::string());
    if (control) bodies(n, wanted, in, s);
    const bool dynamic = s.deferred || s.step.dynamic != nullptr;
    s.outputs.resize(n.outputs.size());
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (!wanted[i]) continue;
      const ValueId v = n.outputs[i];
      out[i].constant = nullptr;
      if (!dynamic) {
        const auto view =
            std::find_if(s.step.views.begin(), s.step.views.end(), [&](const auto& w) { return w.out == static_cast<int>(i); });
        if (view != s.step.views.end()) {
          Operand o = s.inputs[static_cast<size_t>(view->in)];
          o.offset += view->offset;
          if (v != kNone) note(v, o, out[i]);
          s.outputs[i] = o;
          continue;
        }
      }
      Slot slot;
      slot.kind = dynamic ? Slot::Kind::kDynamic : Slot::Kind::kArena;
      slot.type = out[i];
      if (!dynamic) {
        auto bytes = bytes_of(out[i]);
        if (!bytes.ok()) return at(graph_, id, std::move(bytes).status(), in);
        slot.bytes = *bytes;
        if (options_.max_bytes != 0 && slot.bytes > options_.max_bytes) {
          return at(
              graph_, id,
              limit_error("memory limit of ", options_.max_bytes, " bytes: output ", i, " ", out[i].str(), " needs ", slot.bytes, " bytes"),
              in);
        }
      }
      s.outputs[i] = {place(v, std::move(slot)), 0};
    }
    if (joined) {
      move_inputs(s);
      return {};
    }
    // A step of views alone does nothing at run time.
    if (!dynamic && s.step.phases.empty()) return {};
    plan_->scratch_bytes = std::max(plan_->scratch_bytes, s.step.scratch_bytes);
    plan_->shared_bytes = std::max(plan_->shared_bytes, s.step.shared_bytes);
    for (const Phase& p : s.step.phases) plan_->worth_threads |= p.parts > 1 && p.nanoseconds >= kWakeNanoseconds;
    plan_->worth_threads |= dynamic;
    out.resize(n.outputs.size());
    s.input_types = std::move(in);
    s.output_types = std::move(out);
    plan_->steps.push_back(std::move(s));
    return {};
  }

  /// Whether all inputs that the step would put side by side can be computed in their places: each the whole of a buffer of its own.
  bool join(const PlanStep& s, const Types& in) const {
    std::set<int32_t> slots;
    for (const Step::Join& join : s.step.joins) {
      const Operand& o = s.inputs[static_cast<size_t>(join.in)];
      const Slot& slot = plan_->slots[static_cast<size_t>(o.slot)];
      const auto bytes = bytes_of(in[static_cast<size_t>(join.in)]);
      if (slot.kind != Slot::Kind::kArena || o.offset != 0 || !bytes.ok() || *bytes != slot.bytes || slot.type.dtype == DType::kString ||
          moved_.contains(o.slot) || !slots.insert(o.slot).second)
        return false;
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
      for (auto it = moved_.find(o.slot); it != moved_.end(); it = moved_.find(o.slot)) o = {it->second.slot, it->second.offset + o.offset};
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
      std::vector<ValueId> captures = demand_of(graph_, body, needed).captures;
      if (options_.choices) {
        Types types = ops::body_inputs(n.op, in);
        for (const ValueId v : captures) types.push_back(type(v));
        for (Type& t : types) t.contents.reset();
        if (const auto plan = compile(graph_, body, needed, types, options_); !plan.ok()) {
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
    for (size_t i = 0; i < region_.outputs.size(); ++i) {
      if (!plan_->wanted[i]) {
        plan_->outputs.push_back({});
        plan_->output_types.push_back(Type::none());
        continue;
      }
      const ValueId v = region_.outputs[i];
      const Type t = type(v);
      const Operand o = operand(v);
      Slot& slot = plan_->slots[static_cast<size_t>(o.slot)];
      // The kernel writes straight into the output's tensor when the value is the whole of an arena slot and not yet another output.
      TENON_ASSIGN(const size_t bytes, slot.type.is_static() && t.is_static() ? bytes_of(t) : Result<size_t>(size_t{0}));
      if (slot.kind == Slot::Kind::kArena && o.offset == 0 && bytes == slot.bytes && t.layout.plain()) {
        slot.kind = Slot::Kind::kOutput;
        slot.index = static_cast<int>(i);
      }
      plan_->outputs.push_back(o);
      plan_->output_types.push_back(t);
    }
    return {};
  }

  void plan_memory() {
    const size_t n = plan_->slots.size();
    std::vector<int> first(n, INT32_MAX), last(n, -1);
    const std::vector<bool> met = met_in_forks(*plan_);
    const auto touch = [&](int32_t slot, int step) {
      if (slot < 0) return;
      first[slot] = std::min(first[slot], step);
      last[slot] = std::max(last[slot], step);
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
    std::vector<int32_t> root(n);
    for (size_t i = 0; i < n; ++i) root[i] = static_cast<int32_t>(i);
    for (int s = 0; s < steps; ++s) {
      PlanStep& step = plan_->steps[s];
      std::set<int32_t> taken;
      for (const auto& pair : step.step.in_place) {
        if (pair.out >= static_cast<int>(step.outputs.size()) || pair.in >= static_cast<int>(step.inputs.size())) continue;
        const Operand in = step.inputs[pair.in], out = step.outputs[pair.out];
        if (in.slot < 0 || out.slot < 0 || in.offset != 0 || out.offset != 0 || taken.count(out.slot)) continue;
        const Slot &a = plan_->slots[in.slot], &b = plan_->slots[out.slot];
        if (a.kind != Slot::Kind::kArena || b.kind != Slot::Kind::kArena || a.bytes != b.bytes) continue;
        // The one must end where the other begins: buffers that hold several values are written and read by other steps too.
        if (last[in.slot] != s || first[out.slot] != s || met[in.slot] || met[out.slot]) continue;
        // The same memory may come in twice (x * x): only the kernel's own pairing is safe.
        if (std::count_if(step.inputs.begin(), step.inputs.end(), [&](const Operand& o) { return o.slot == in.slot; }) > 1) continue;
        if (root[in.slot] < 0 || taken.count(in.slot)) continue;
        root[out.slot] = root[in.slot];
        taken.insert(out.slot);
        taken.insert(in.slot);
      }
    }
    // What a fork touches lives all through it: there is no order between its branches.
    for (const Fork& fork : plan_->forks) {
      const auto stretch = [&](const Operand& o) {
        if (o.slot < 0) return;
        first[o.slot] = std::min(first[o.slot], fork.begin());
        last[o.slot] = std::max(last[o.slot], fork.end() - 1);
      };
      for (int s = fork.begin(); s < fork.end(); ++s) {
        std::for_each(plan_->steps[s].inputs.begin(), plan_->steps[s].inputs.end(), stretch);
        std::for_each(plan_->steps[s].outputs.begin(), plan_->steps[s].outputs.end(), stretch);
      }
    }
    std::vector<Lifetime> buffers;
    std::vector<int32_t> buffer_of(n, -1);
    for (size_t i = 0; i < n; ++i) {
      const Slot& slot = plan_->slots[i];
      if (slot.kind != Slot::Kind::kArena || last[i] < 0) continue;
      const int32_t r = root[i];
      if (buffer_of[r] < 0) {
        buffer_of[r] = static_cast<int32_t>(buffers.size());
        buffers.push_back({slot.bytes, first[i], last[i], 0});
      } else {
        Lifetime& b = buffers[buffer_of[r]];
        b.first = std::min(b.first, first[i]);
        b.last = std::max(b.last, last[i]);
      }
      buffer_of[i] = buffer_of[r];
    }
    plan_->arena_bytes = pack_lifetimes(buffers);
    for (size_t i = 0; i < n; ++i)
      if (buffer_of[i] >= 0) plan_->slots[i].offset = buffers[buffer_of[i]].offset;
    for (size_t i = 0; i < n; ++i) {
      // The bytes of strings are viewed by whatever was picked from them.
      if (plan_->slots[i].type.dtype == DType::kString) continue;
      if (plan_->slots[i].kind == Slot::Kind::kDynamic && last[i] >= 0 && last[i] < steps)
        plan_->steps[last[i]].release.push_back(static_cast<int32_t>(i));
    }
  }

  int32_t operand_if_known(ValueId v) const {
    const int32_t entry = entry_[static_cast<size_t>(v)];
    return entry < 0 ? -1 : entries_[static_cast<size_t>(entry)].operand.slot;
  }

  const Graph& graph_;
  const Region& region_;
  const CompileOptions& options_;
  const Demand demand_;
  std::shared_ptr<Plan> plan_;
  std::vector<Plan::Place> entries_;            ///< of the values met so far
  std::unordered_map<int32_t, Operand> moved_;  ///< slots that lie in others
  std::vector<int32_t> entry_;                  ///< a value of the graph: its place in entries_, or -1
};

}  // namespace

Result<std::shared_ptr<const Plan>> compile(const Graph& graph, RegionId region, const Wanted& wanted, const std::vector<Type>& inputs,
                                            const CompileOptions& options) {
  return Compiler(graph, region, wanted, options).run(inputs);
}

}  // namespace tenon
