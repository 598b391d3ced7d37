#include <algorithm>
#include <set>
#include <unordered_map>

#include "ops/evaluate.h"
#include "ops/regions.h"
#include "plan/memory.h"
#include "plan/plan.h"

namespace tenon {

const Plan::Place* Plan::find(ValueId v) const {
  const auto it = std::lower_bound(places.begin(), places.end(), v, [](const Place& p, ValueId id) { return p.value < id; });
  return it != places.end() && it->value == v ? &*it : nullptr;
}

bool Plan::takes(std::span<const Tensor> inputs) const {
  if (input_types.size() != inputs.size()) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!input_types[i].is_tensor()) continue;
    const Shape& shape = input_types[i].shape;
    const Dims& dims = inputs[i].dims();
    if (input_types[i].dtype != inputs[i].dtype() || static_cast<size_t>(shape.rank()) != dims.size()) return false;
    for (size_t d = 0; d < dims.size(); ++d)
      if (shape[d].value() != dims[d]) return false;
  }
  return true;
}

std::vector<Type> signature(const Graph& graph, RegionId region, std::span<const Tensor> inputs) {
  std::vector<ValueId> values = graph.region(region).inputs;
  const std::vector<ValueId> captures = captures_of(graph, region);
  values.insert(values.end(), captures.begin(), captures.end());
  std::vector<Type> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Type& known = graph.type(values[i]);
    types.push_back(known.is_tensor() ? Type::of(inputs[i]) : known);
  }
  return types;
}

Result<size_t> bytes_of(const Type& type) {
  Dims dims = type.shape.to_ints();
  if (type.layout.kind == Layout::Kind::kChannelBlocked && dims.size() >= 2) {
    dims[1] = (dims[1] + type.layout.block - 1) / type.layout.block * type.layout.block;
  }
  TENON_ASSIGN(const int64_t count, element_count(dims));
  const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(type.dtype)));
  if (!bytes || *bytes > (int64_t{1} << 46)) return limit_error("size in bytes of ", type.str(), " is beyond every memory limit");
  return static_cast<size_t>(*bytes);
}

Status at(const Graph& graph, NodeId id, Status status, const std::vector<Type>& inputs) {
  const Node& node = graph.node(id);
  if (ErrorInfo* info = status.mutable_info(); info && info->node.empty() && info->op.empty()) {
    std::string list;
    for (size_t i = 0; i < node.inputs.size() && i < inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      list += (list.empty() ? "'" : ", '") + graph.value(node.inputs[i]).name + "' " + inputs[i].str();
    }
    if (!list.empty()) info->text += " (inputs: " + list + ")";
    if (info->tensor.empty() && !node.outputs.empty() && node.outputs[0] != kNone && info->code == Code::kLimit) {
      info->tensor = graph.value(node.outputs[0]).name;
    }
  }
  return std::move(status).at_node(node.name, node.source_op, node.source_domain, node.source_opset).at_source(graph.source);
}

namespace {

void collect_captures(const Graph& graph, RegionId region, std::set<ValueId>& inside, std::vector<ValueId>& out, std::set<ValueId>& seen) {
  const Region& r = graph.region(region);
  inside.insert(r.inputs.begin(), r.inputs.end());
  const auto read = [&](ValueId v) {
    if (v == kNone || inside.count(v) || graph.value(v).constant || !seen.insert(v).second) return;
    out.push_back(v);
  };
  for (const NodeId id : r.nodes) {
    const Node& n = graph.node(id);
    for (const ValueId v : n.inputs) read(v);
    for (const RegionId inner : ops::regions_of(n.op)) collect_captures(graph, inner, inside, out, seen);
    inside.insert(n.outputs.begin(), n.outputs.end());
  }
  for (const ValueId v : r.outputs) read(v);
}

// Small results of constant inputs are computed while planning instead of in every run.
constexpr size_t kMaxPlanConstant = size_t{1} << 20;

class Compiler {
 public:
  Compiler(const Graph& graph, RegionId region, const CompileOptions& options)
      : graph_(graph), region_(graph.region(region)), options_(options), plan_(std::make_shared<Plan>()) {
    plan_->region = region;
    plan_->captures = captures_of(graph, region);
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
      place(v, s);
    };
    if (inputs.size() != region_.inputs.size() + plan_->captures.size()) {
      return error(Code::kInternal, "region expects ", region_.inputs.size() + plan_->captures.size(), " inputs, given ", inputs.size());
    }
    for (const ValueId v : region_.inputs) add_input(v);
    for (const ValueId v : plan_->captures) add_input(v);
    for (const NodeId id : region_.nodes) TENON_TRY(node(id));
    TENON_TRY(finish_outputs());
    plan_memory();
    for (const auto& [v, o] : where_) plan_->places.push_back({v, o, types_[v]});
    std::sort(plan_->places.begin(), plan_->places.end(), [](const Plan::Place& a, const Plan::Place& b) { return a.value < b.value; });
    if (options_.max_bytes != 0 && plan_->arena_bytes > options_.max_bytes) {
      return limit_error("memory limit of ", options_.max_bytes, " bytes: this run needs ", plan_->arena_bytes, " bytes for intermediate values")
          .at_source(graph_.source);
    }
    return std::shared_ptr<const Plan>(plan_);
  }

 private:
  int32_t place(ValueId v, Slot slot) {
    plan_->slots.push_back(std::move(slot));
    const auto id = static_cast<int32_t>(plan_->slots.size() - 1);
    where_[v] = {id, 0};
    types_[v] = plan_->slots.back().type;
    return id;
  }

  Operand operand(ValueId v) {
    if (v == kNone) return {};
    if (const auto it = where_.find(v); it != where_.end()) return it->second;
    const Value& value = graph_.value(v);
    Slot s;
    s.kind = Slot::Kind::kConstant;
    s.type = value.type;
    s.data = value.constant ? value.constant->data() : nullptr;
    place(v, s);
    return where_[v];
  }

  Type type(ValueId v) {
    if (v == kNone) return Type::none();
    operand(v);
    return types_[v];
  }

  /// Makes `v` a constant of the plan.
  void constant(ValueId v, Tensor tensor) {
    plan_->constants.push_back(std::move(tensor));
    const Tensor& kept = plan_->constants.back();
    Slot s;
    s.kind = Slot::Kind::kConstant;
    s.type = Type::of(kept.dtype(), Shape::of(kept.dims()));
    s.type.constant = &kept;
    s.data = kept.data();
    place(v, s);
  }

  static bool known(const Type& t) {
    return t.contents && std::all_of(t.contents->begin(), t.contents->end(), [](const Dim& d) { return d.is_const(); });
  }

  Status node(NodeId id) {
    const Node& n = graph_.node(id);
    std::vector<Type> in;
    for (const ValueId v : n.inputs) in.push_back(type(v));
    auto inferred = infer(n.op, in);
    if (!inferred.ok()) return at(graph_, id, std::move(inferred).status(), in);
    Types& out = *inferred;
    if (out.size() < n.outputs.size()) return at(graph_, id, error(Code::kInternal, "inference gave ", out.size(), " outputs"), in);
    const bool control = !ops::regions_of(n.op).empty();
    const bool in_static = std::all_of(in.begin(), in.end(), [](const Type& t) { return !t.present() || t.is_static(); });
    bool out_static = true;
    for (size_t i = 0; i < n.outputs.size(); ++i) out_static &= n.outputs[i] == kNone || out[i].is_static();

    if (!control && in_static && out_static) {
      // Shape arithmetic that the input shapes settle.
      bool all_known = true;
      for (size_t i = 0; i < n.outputs.size(); ++i) all_known &= n.outputs[i] == kNone || known(out[i]);
      if (all_known && settle(n, out)) return {};
      if (const auto done = fold(n, in, out); !done.ok()) {
        return at(graph_, id, done.status(), in);
      } else if (*done) {
        return {};
      }
    }

    PlanStep s;
    s.node = id;
    for (const ValueId v : n.inputs) s.inputs.push_back(operand(v));
    s.input_types = in;
    std::vector<bool> wanted;
    for (const ValueId v : n.outputs) wanted.push_back(v != kNone);
    s.deferred = !in_static || !out_static;
    if (!s.deferred) {
      const TypedBindContext ctx(in, out, wanted, options_.refusals);
      auto step = tenon::bind(n.op, ctx);
      if (!step.ok()) return at(graph_, id, std::move(step).status(), in);
      s.step = *std::move(step);
    } else if (control) {
      const TypedBindContext ctx({}, {}, wanted, options_.refusals);
      auto step = tenon::bind(n.op, ctx);
      if (!step.ok()) return at(graph_, id, std::move(step).status(), in);
      s.step = *std::move(step);
      s.deferred = false;
    }
    const bool dynamic = s.deferred || s.step.dynamic != nullptr;
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      const ValueId v = n.outputs[i];
      if (v == kNone) {
        s.outputs.push_back({});
        s.output_types.push_back(out[i]);
        continue;
      }
      out[i].constant = nullptr;
      if (!dynamic) {
        const auto view = std::find_if(s.step.views.begin(), s.step.views.end(), [&](const auto& w) { return w.out == static_cast<int>(i); });
        if (view != s.step.views.end()) {
          Operand o = s.inputs[static_cast<size_t>(view->in)];
          o.offset += view->offset;
          where_[v] = o;
          types_[v] = out[i];
          s.outputs.push_back(o);
          s.output_types.push_back(out[i]);
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
          return at(graph_, id, limit_error("memory limit of ", options_.max_bytes, " bytes: output ", i, " ", out[i].str(), " needs ", slot.bytes, " bytes"), in);
        }
      }
      place(v, slot);
      s.outputs.push_back(where_[v]);
      s.output_types.push_back(out[i]);
    }
    // A step of views alone does nothing at run time.
    if (!dynamic && s.step.phases.empty()) return {};
    plan_->scratch_bytes = std::max(plan_->scratch_bytes, s.step.scratch_bytes);
    plan_->shared_bytes = std::max(plan_->shared_bytes, s.step.shared_bytes);
    for (const Phase& p : s.step.phases) plan_->worth_threads |= p.parts > 1 && p.nanoseconds >= kParallelNanoseconds;
    plan_->worth_threads |= dynamic;
    plan_->steps.push_back(std::move(s));
    return {};
  }

  bool settle(const Node& n, const Types& out) {
    std::vector<Tensor> tensors(n.outputs.size());
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] == kNone) continue;
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
      if (n.outputs[i] != kNone) constant(n.outputs[i], std::move(tensors[i]));
    return true;
  }

  Result<bool> fold(const Node& n, const std::vector<Type>& in, const Types& out) {
    std::vector<const Tensor*> inputs;
    for (const Type& t : in) {
      if (t.present() && (!t.constant || !t.layout.plain())) return false;
      inputs.push_back(t.constant);
    }
    size_t bytes = 0;
    int wanted = 0;
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      if (n.outputs[i] == kNone) continue;
      wanted = static_cast<int>(i) + 1;
      if (!out[i].layout.plain()) return false;
      TENON_ASSIGN(const size_t b, bytes_of(out[i]));
      bytes += b;
    }
    if (wanted == 0 || bytes > kMaxPlanConstant) return false;
    TENON_ASSIGN(auto results, evaluate(n.op, inputs, wanted));
    for (int i = 0; i < wanted; ++i)
      if (n.outputs[i] != kNone) constant(n.outputs[i], std::move(results[i]));
    return true;
  }

  Status finish_outputs() {
    for (size_t i = 0; i < region_.outputs.size(); ++i) {
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
    const auto touch = [&](int32_t slot, int step) {
      if (slot < 0) return;
      first[slot] = std::min(first[slot], step);
      last[slot] = std::max(last[slot], step);
    };
    const int steps = static_cast<int>(plan_->steps.size());
    for (int s = 0; s < steps; ++s) {
      for (const Operand& o : plan_->steps[s].inputs) touch(o.slot, s);
      for (const Operand& o : plan_->steps[s].outputs) touch(o.slot, s);
      for (const RegionId r : ops::regions_of(graph_.node(plan_->steps[s].node).op)) {
        for (const ValueId v : captures_of(graph_, r)) touch(operand_if_known(v), s);
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
        if (a.kind != Slot::Kind::kArena || b.kind != Slot::Kind::kArena || a.bytes != b.bytes || last[in.slot] != s) continue;
        // The same memory may come in twice (x * x): only the kernel's own pairing is safe.
        if (std::count_if(step.inputs.begin(), step.inputs.end(), [&](const Operand& o) { return o.slot == in.slot; }) > 1) continue;
        if (root[in.slot] < 0 || taken.count(in.slot)) continue;
        root[out.slot] = root[in.slot];
        taken.insert(out.slot);
        taken.insert(in.slot);
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
      if (plan_->slots[i].kind == Slot::Kind::kDynamic && last[i] >= 0 && last[i] < steps) plan_->steps[last[i]].release.push_back(static_cast<int32_t>(i));
    }
  }

  int32_t operand_if_known(ValueId v) const {
    const auto it = where_.find(v);
    return it == where_.end() ? -1 : it->second.slot;
  }

  const Graph& graph_;
  const Region& region_;
  const CompileOptions& options_;
  std::shared_ptr<Plan> plan_;
  std::unordered_map<ValueId, Operand> where_;
  std::unordered_map<ValueId, Type> types_;
};

}  // namespace

std::vector<ValueId> captures_of(const Graph& graph, RegionId region) {
  std::set<ValueId> inside, seen;
  std::vector<ValueId> out;
  if (region != 0) collect_captures(graph, region, inside, out, seen);
  return out;
}

Result<std::shared_ptr<const Plan>> compile(const Graph& graph, RegionId region, const std::vector<Type>& inputs, const CompileOptions& options) {
  return Compiler(graph, region, options).run(inputs);
}

}  // namespace tenon
