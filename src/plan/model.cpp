#include "plan/model.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/load_memory.h"
#include "kernels/dispatch.h"
#include "plan/session.h"

namespace tenon {

/// Plans by region, wanted outputs and input types, and idle sessions.
struct Model::Cache {
  struct Entry {
    uint64_t key;  ///< see key_of
    std::shared_ptr<const Plan> plan;
  };
  mutable std::mutex mutex;
  std::vector<Entry> plans;  ///< most recently used first
  std::vector<std::unique_ptr<Session::State>> idle;
};

namespace {

// More idle sessions than this are freed when they come back: a burst of callers does not keep its memory for ever.
constexpr size_t kMaxIdleSessions = 64;

bool same_signature(const std::vector<Type>& a, const std::vector<Type>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Type& x, const Type& y) { return x.same_as(y); });
}

int64_t number(int64_t dim) { return dim; }
int64_t number(const Dim& dim) { return dim.is_const() ? dim.value() : -1; }

/// A number for a region and the dims of its input tensors.
template <class Inputs, class DimsOf>
uint64_t key_of(const Graph& graph, RegionId region, const Inputs& inputs, DimsOf dims_of) {
  uint64_t key = static_cast<uint64_t>(region);
  const auto add = [&](int64_t x) { key = (key ^ static_cast<uint64_t>(x)) * 0x9E3779B97F4A7C15u, key ^= key >> 32; };
  const std::vector<ValueId>& own = graph.region(region).inputs;
  for (size_t i = 0; i < own.size() && i < inputs.size(); ++i) {
    if (!graph.type(own[i]).is_tensor()) continue;
    for (const auto& dim : dims_of(inputs[i])) add(number(dim));
    add(-2);
  }
  return key;
}

}  // namespace

Model::Model(Graph graph, const ModelOptions& options)
    : graph_(std::move(graph)),
      options_(options),
      allocator_(std::make_shared<Allocator>(options.memory_limit)),
      cache_(std::make_unique<Cache>()) {}

Model::~Model() = default;

namespace {

/// Plans of a small graph take little, and making one again takes longer than the run.
size_t usual_plans(int nodes) {
  constexpr int kNodes = 1024, kLeast = 16, kMost = 64;  // nodes of all plans
  return static_cast<size_t>(std::clamp(kNodes / std::max(nodes, 1), kLeast, kMost));
}

size_t constant_bytes(const Graph& g) {
  size_t bytes = 0;
  for (ValueId v = 0; v < g.values(); ++v) {
    if (const auto& constant = g.value(v).constant) bytes += constant->bytes();
  }
  return bytes;
}

}  // namespace

Result<std::shared_ptr<Model>> Model::create(Graph graph, const ModelOptions& options) {
  TENON_TRY(instruction_set());
  kernels::init_dispatch();
  std::shared_ptr<Model> model(new Model(std::move(graph), options));
  if (model->options_.threads <= 0) model->options_.threads = available_cpus();
  const LoadThreads threads(options.provider, model->options_.threads);
  Graph& g = model->graph_;
  const LoadMemory memory(constant_bytes(g));
  // What the caller sees of inputs and outputs is what the file says, whatever passes learn.
  for (const ValueId v : g.region(0).inputs) model->inputs_.push_back({g.value(v).name, g.type(v)});
  for (size_t i = 0; i < g.region(0).outputs.size(); ++i) model->outputs_.push_back({g.output_names[i], g.type(g.region(0).outputs[i])});
  {
    const DenormalGuard guard;
    auto report = run_passes(g, options.passes);
    if (g.faults && !g.faults->first().ok()) return g.faults->first().at_source(g.source);
    if (!report.ok()) return std::move(report).status().at_source(g.source);
    model->pass_report_ = *std::move(report);
  }
  if (Status s = g.settle(); !s.ok()) return std::move(s).at_source(g.source);
  if (model->options_.max_plans == 0) model->options_.max_plans = usual_plans(g.live_nodes());
  for (size_t i = 0; i < model->outputs_.size(); ++i) {
    const Type& t = g.type(g.region(0).outputs[i]);
    model->outputs_[i].type.dtype = t.dtype;
    model->outputs_[i].type.structure = t.structure;
    if (t.ranked()) model->outputs_[i].type.shape = t.shape;
  }
  for (auto& o : model->outputs_) o.type.constant = nullptr;
  model->all_outputs_.assign(model->outputs_.size(), true);
  bool fixed = true;
  std::vector<Type> types;
  for (const ValueInfo& in : model->inputs_) {
    fixed &= in.type.is_static() || !in.type.is_tensor();
    types.push_back(in.type);
  }
  if (fixed) TENON_TRY(model->plan(0, model->all_outputs_, types));
  return model;
}

/// The plan kept that `takes` says yes to.
template <class Takes>
std::shared_ptr<const Plan> Model::find(RegionId region, uint64_t key, Takes takes) const {
  const std::lock_guard lock(cache_->mutex);
  auto& plans = cache_->plans;
  const auto found = std::find_if(plans.begin(), plans.end(), [&](const Cache::Entry& e) {
    return e.key == key && e.plan->demand->region == region && takes(*e.plan);
  });
  if (found == plans.end()) return nullptr;
  std::rotate(plans.begin(), found, found + 1);
  return plans.front().plan;
}

/// That of a plan for other inputs, when there is one.
std::shared_ptr<const Demand> Model::demand(RegionId region, const Wanted& wanted) const {
  {
    const std::lock_guard lock(cache_->mutex);
    for (const Cache::Entry& e : cache_->plans) {
      const std::shared_ptr<const Demand>& demand = e.plan->demand;
      if (demand->region == region && demand->wanted == wanted) return demand;
    }
  }
  return std::make_shared<const Demand>(demand_of(graph_, region, wanted));
}

Result<std::shared_ptr<const Plan>> Model::make(uint64_t key, std::shared_ptr<const Demand> demand, std::vector<Type> types) const {
  CompileOptions compile_options;
  compile_options.max_bytes = options_.memory_limit;
  TENON_ASSIGN(auto plan, compile(graph_, std::move(demand), std::move(types), compile_options));
  Cache::Entry oldest{};  // freed when others can use the cache again
  const std::lock_guard lock(cache_->mutex);
  auto& plans = cache_->plans;
  if (plans.size() >= options_.max_plans) {
    oldest = std::move(plans.back());
    plans.pop_back();
  }
  plans.insert(plans.begin(), {key, plan});
  return plan;
}

Result<std::shared_ptr<const Plan>> Model::plan(RegionId region, const Wanted& wanted, std::span<const Tensor> inputs) const {
  const uint64_t key = key_of(graph_, region, inputs, [](const Tensor& t) -> const Dims& { return t.dims(); });
  if (auto plan = find(region, key, [&](const Plan& p) { return p.takes(wanted, inputs); })) return plan;
  auto needed = demand(region, wanted);
  std::vector<Type> types = signature(graph_, *needed, inputs);
  return make(key, std::move(needed), std::move(types));
}

Result<std::shared_ptr<const Plan>> Model::plan(RegionId region, const Wanted& wanted, const std::vector<Type>& inputs) const {
  const uint64_t key = key_of(graph_, region, inputs, [](const Type& t) -> const Shape& { return t.shape; });
  const auto takes = [&](const Plan& p) { return p.demand->wanted == wanted && same_signature(p.input_types, inputs); };
  if (auto plan = find(region, key, takes)) return plan;
  return make(key, demand(region, wanted), inputs);
}

std::vector<std::shared_ptr<const Plan>> Model::plans() const {
  const std::lock_guard lock(cache_->mutex);
  std::vector<std::shared_ptr<const Plan>> all;
  for (const Cache::Entry& e : cache_->plans) all.push_back(e.plan);
  return all;
}

namespace {

/// A dim with every symbol replaced: by name when it is a plain symbol given in `dims`, otherwise 1.
Dim settled(const Dim& dim, const std::unordered_map<std::string, int64_t>& dims) {
  if (dim.is_const()) return dim;
  const auto it = dims.find(dim.str());
  return Dim(it != dims.end() ? it->second : 1);
}

}  // namespace

Result<std::vector<Choice>> Model::explain(const std::unordered_map<std::string, int64_t>& dims) const {
  std::vector<Type> types;
  for (const ValueInfo& in : inputs_) {
    Type t = Type::of(in.type.dtype, in.type.is_tensor() ? Shape{} : in.type.shape, in.type.structure);
    if (in.type.ranked() && in.type.is_tensor()) {
      DimList shape;
      for (const Dim& d : in.type.shape) shape.push_back(settled(d, dims));
      t.shape = Shape(std::move(shape));
    }
    types.push_back(std::move(t));
  }
  CompileOptions compile_options;
  std::vector<Choice> choices;
  compile_options.choices = &choices;
  TENON_TRY(compile(graph_, std::make_shared<const Demand>(demand_of(graph_, 0, all_outputs_)), std::move(types), compile_options));
  return choices;
}

Status Model::run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const RunOptions& options) const {
  Session session(shared_from_this(), take_state());
  Status status = session.run(inputs, outputs, options);
  const std::lock_guard lock(cache_->mutex);
  if (cache_->idle.size() < kMaxIdleSessions) cache_->idle.push_back(std::move(session.state_));
  return status;
}

std::unique_ptr<Session> Model::session() const { return std::make_unique<Session>(shared_from_this(), take_state()); }

std::unique_ptr<Session::State> Model::take_state() const {
  {
    const std::lock_guard lock(cache_->mutex);
    if (!cache_->idle.empty()) {
      std::unique_ptr<Session::State> state = std::move(cache_->idle.back());
      cache_->idle.pop_back();
      return state;
    }
  }
  return std::make_unique<Session::State>();
}

Model::Stats Model::stats() const {
  Stats s;
  for (ValueId v = 0; v < graph_.values(); ++v)
    if (graph_.value(v).constant) s.weight_bytes += graph_.value(v).constant->bytes();
  s.run_bytes = allocator_->bytes();
  s.run_bytes_peak = allocator_->peak();
  const std::lock_guard lock(cache_->mutex);
  s.plans = cache_->plans.size();
  s.sessions_idle = cache_->idle.size();
  return s;
}

void Model::trim() const {
  std::vector<std::unique_ptr<Session::State>> idle;
  const std::lock_guard lock(cache_->mutex);
  idle.swap(cache_->idle);
  while (cache_->plans.size() > 1) cache_->plans.pop_back();
}

}  // namespace tenon
