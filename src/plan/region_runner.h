// Running the steps of one region: static steps by table, deferred and dynamic ones with tensors of their own.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "plan/session.h"

namespace tenon {

/// Runs one region on a prepared frame. Nested regions use the same team and the frames of the same session.
class RegionRunner {
 public:
  RegionRunner(const Model& model, Session::State& state, Team& team, const RunOptions& options)
      : model_(model), state_(state), team_(team), options_(options) {}

  /// inputs: region inputs, then captures; sequences and optionals own what they hold. outputs: one an output of the region; those wanted
  /// are filled in, or allocated where empty.
  Status run(RegionId region, const Wanted& wanted, std::span<const Tensor> inputs, std::span<Tensor> outputs, const RegionRunner* parent);
  Status check() const;

  /// A value while this region runs (looking outwards); for captures of inner regions.
  Result<Tensor> tensor_of(ValueId v) const;

 private:
  friend class StepContext;
  using Clock = std::chrono::steady_clock;
  Status step(const PlanStep& step);
  void record(const PlanStep& step, Clock::time_point start, Clock::time_point end, bool shared) const;
  Status deferred_step(const PlanStep& step);
  Status dynamic_step(const PlanStep& step, const Step& work);
  Status static_step(const PlanStep& step);
  /// Shared out where they are long enough, or all done by thread number `alone`.
  Status phases(const Step& work, const kernels::Call& call, std::optional<int> alone = {});
  struct Branches;
  Status fork(const Fork& fork);
  void branch(Branches& all, int32_t index, int thread);
  Status named(const PlanStep& step, Status status) const;
  Result<Tensor> operand_tensor(const Operand& o) const;
  Result<Tensor> keep(const Operand& o) const;
  Status finish_output(int output, const std::vector<const Buffer*>& theirs, Tensor& place) const;
  Status set_dynamic(const PlanStep& step, int output, Tensor tensor);

  const Model& model_;
  Session::State& state_;
  Team& team_;
  const RunOptions& options_;
  Frame* frame_ = nullptr;
  const char* deferred_kernel_ = "";  ///< of the last deferred step
  const RegionRunner* parent_ = nullptr;
};

}  // namespace tenon
