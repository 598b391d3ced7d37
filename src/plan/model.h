// Model and Session: the engine as its callers see it. A Model is immutable and shared; a Session is the memory of one caller.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/allocator.h"
#include "base/parallel.h"
#include "base/tensor.h"
#include "graph/graph.h"
#include "passes/pass.h"
#include "plan/plan.h"
#include "plan/profile.h"

namespace tenon {

struct ModelOptions {
  int threads = 0;                        ///< of a run; 0: available_cpus()
  size_t memory_limit = size_t{8} << 30;  ///< bytes of intermediate values and outputs alive at once over all runs; 0: none
  size_t max_plans = 0;  ///< plans kept for different input shapes, least recently used goes first; 0: 16, of small graphs up to 64
  ThreadProvider* provider = nullptr;  ///< null: the process-wide pool
  PassOptions passes;
};

struct RunOptions {
  const std::atomic<bool>* cancel = nullptr;  ///< the run stops soon after this becomes true
  std::optional<std::chrono::steady_clock::time_point> deadline;
  int threads = 0;  ///< 0: the model's
  Profile* profile = nullptr;
  const Wanted* wanted = nullptr;  ///< outputs to compute, one flag each; null: all. What only the others need is not run
};

struct ValueInfo {
  std::string name;
  Type type;
};

class Model;

/// One caller's memory. Not thread-safe: one run at a time.
class Session {
 public:
  struct State;
  Session(std::shared_ptr<const Model> model, std::unique_ptr<State> state);  ///< made by Model::session()
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Model& model() const { return *model_; }
  /// Of the last run, which succeeded.
  const Plan& plan() const;
  /// As Model::run. With the same input dims and wanted outputs as last time, and memory given for those, it allocates nothing.
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const RunOptions& options = {});

 private:
  friend class Model;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<State> state_;
};

/// A loaded model. Thread-safe throughout.
class Model : public std::enable_shared_from_this<Model> {
 public:
  /// Runs the passes and, when the shapes of all input tensors are fixed, makes the plan.
  static Result<std::shared_ptr<Model>> create(Graph graph, const ModelOptions& options);
  ~Model();

  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  const std::vector<ValueInfo>& outputs() const { return outputs_; }
  const Graph& graph() const { return graph_; }
  const PassReport& pass_report() const { return pass_report_; }
  const ModelOptions& options() const { return options_; }

  /// inputs: one value an input, in order. outputs: one an output, in order; a default-constructed tensor is allocated, one that
  /// comes with memory is written in place when dtype and dims are right (kShape otherwise; always for sequences and optionals). Those not
  /// wanted are left alone. Outputs share no memory with inputs. On error no caller-provided output is guaranteed unchanged, none is freed.
  Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const RunOptions& options = {}) const;

  std::unique_ptr<Session> session() const;

  /// The plan for these outputs and inputs (the region's, then captures), from the cache or made now.
  Result<std::shared_ptr<const Plan>> plan(RegionId region, const Wanted& wanted, std::span<const Tensor> inputs) const;
  Result<std::shared_ptr<const Plan>> plan(RegionId region, const Wanted& wanted, const std::vector<Type>& inputs) const;
  /// All outputs wanted.
  const Wanted& all_outputs() const { return all_outputs_; }
  /// The plans kept, of the model and of bodies, most recently used first.
  std::vector<std::shared_ptr<const Plan>> plans() const;
  /// What plans choose for every node, for the declared inputs with symbols replaced by `dims` (name -> value) and 1 for the rest: what
  /// `inspect` shows.
  Result<std::vector<Choice>> explain(const std::unordered_map<std::string, int64_t>& dims = {}) const;

  struct Stats {
    size_t weight_bytes = 0;  ///< constants of the graph
    size_t run_bytes = 0;     ///< intermediate values and outputs alive now
    size_t run_bytes_peak = 0;
    size_t plans = 0;
    size_t sessions_idle = 0;
  };
  Stats stats() const;
  /// Gives back the memory of idle sessions and all cached plans but the latest.
  void trim() const;

  const std::shared_ptr<Allocator>& allocator() const { return allocator_; }

 private:
  Model(Graph graph, const ModelOptions& options);

  std::unique_ptr<Session::State> take_state() const;

  struct Cache;
  template <class Takes>
  std::shared_ptr<const Plan> find(RegionId region, uint64_t key, Takes takes) const;
  std::shared_ptr<const Demand> demand(RegionId region, const Wanted& wanted) const;
  Result<std::shared_ptr<const Plan>> make(uint64_t key, std::shared_ptr<const Demand> demand, std::vector<Type> types) const;
  Graph graph_;
  ModelOptions options_;
  PassReport pass_report_;
  std::vector<ValueInfo> inputs_, outputs_;
  Wanted all_outputs_;
  std::shared_ptr<Allocator> allocator_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace tenon
