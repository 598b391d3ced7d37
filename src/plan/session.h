// The inside of a session: for each region its current plan, the table of slot addresses, and the memory behind them.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "plan/model.h"

namespace tenon {

/// One region being run (or ready to be run again).
struct Frame {
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<Buffer> arena;
  std::vector<std::byte*> base;     ///< address of each slot
  std::vector<Tensor> dynamic;      ///< tensors of dynamic slots
  std::vector<const void*> src;     ///< operand addresses of the step at hand
  std::vector<void*> dst;
};

struct Session::State {
  std::unordered_map<RegionId, Frame> frames;
  std::shared_ptr<Buffer> scratch;  ///< threads x scratch_stride
  size_t scratch_stride = 0;
  int scratch_threads = 0;
  std::shared_ptr<Buffer> shared;
  std::vector<std::unique_ptr<char[]>> strings;  ///< bytes of strings made by the run

  Status ensure_scratch(size_t bytes, int threads, const std::shared_ptr<Allocator>& allocator);
  /// Makes `plan` the frame's plan and its memory big enough. Allocates nothing when the plan is the same as before.
  Status prepare(Frame& frame, const std::shared_ptr<const Plan>& plan, const std::shared_ptr<Allocator>& allocator, int threads);
};

/// Runs one region on a prepared frame. Nested regions use the same team and the frames of the same session.
class RegionRunner {
 public:
  RegionRunner(const Model& model, Session::State& state, Team& team, const RunOptions& options)
      : model_(model), state_(state), team_(team), options_(options) {}

  /// inputs: region inputs, then captures. outputs: filled in, or allocated where empty.
  Status run(RegionId region, std::span<const Tensor> inputs, std::span<Tensor> outputs, const RegionRunner* parent);
  Status check() const;

  /// The address and type of a value while this region runs (looking outwards); for captures of inner regions.
  Result<Tensor> tensor_of(ValueId v) const;

 private:
  friend class StepContext;
  Status step(const PlanStep& step);
  Status deferred_step(const PlanStep& step);
  Status dynamic_step(const PlanStep& step, const Step& work);
  Status phases(const Step& work, const kernels::Call& call);
  Result<Tensor> operand_tensor(const Operand& o, const Type& type) const;
  Status set_dynamic(const PlanStep& step, int output, Tensor tensor);

  const Model& model_;
  Session::State& state_;
  Team& team_;
  const RunOptions& options_;
  Frame* frame_ = nullptr;
  const RegionRunner* parent_ = nullptr;
};

}  // namespace tenon
