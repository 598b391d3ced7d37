#include "plan/model.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/load_memory.h"
#include "kernels/dispatch.h"
#include "plan/session.h"

namespace tenon {

/// Plans by region, wanted outputs and input types, and idle sessions.
struct Model::Cache {
  mutable std::mutex mutex;
  std::list<std::shared_ptr<const Plan>> plans;  ///< most recently used first
  std::vector<std::unique_ptr<Session::State>> idle;
};

namespace {

// More idle sessions than this are freed when they come back: a burst of callers does not keep its memory for ever.
constexpr size_t kMaxIdleSessions = 64;

bool same_signature(const std::vector<Type>& a, const std::vector<Type>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Type& x, const Type& y) { return x.same_as(y); });
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

Result<std::shared_ptr<const Plan>> Model::plan(RegionId region, const Wanted& wanted, const std::vector<Type>& inputs) const {
  {
    const std::lock_guard lock(cache_->mutex);
    for (auto it = cache_->plans.begin(); it != cache_->plans.end(); ++it) {
      const Plan& plan = **it;
      if (plan.region == region && plan.wanted == wanted && same_signature(plan.input_types, inputs)) {
        cache_->plans.splice(cache_->plans.begin(), cache_->plans, it);
        return cache_->plans.front();
      }
    }
  }
  CompileOptions compile_options;
  compile_options.max_bytes = options_.memory_limit;
  TENON_ASSIGN(auto plan, compile(graph_, region, wanted, inputs, compile_options));
  const std::lock_guard lock(cache_->mutex);
  cache_->plans.push_front(plan);
  if (cache_->plans.size() > options_.max_plans) cache_->plans.pop_back();
  return plan;
}

std::vector<std::shared_ptr<const Plan>> Model::plans() const {
  const std::lock_guard lock(cache_->mutex);
  return {cache_->plans.begin(), cache_->plans.end()};
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
      std::vector<Dim> shape;
      for (const Dim& d : in.type.shape) shape.push_back(settled(d, dims));
      t.shape = Shape(std::move(shape));
    }
    types.push_back(std::move(t));
  }
  CompileOptions compile_options;
  std::vector<Choice> choices;
  compile_options.choices = &choices;
  TENON_TRY(compile(graph_, 0, all_outputs_, types, compile_options));
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
