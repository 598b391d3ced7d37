// Steps of operators on plain tensors that are done by kernels on channel-blocked float32 ones, with whatever conversion that takes.
#pragma once

#include "kernels/conv/conv.h"
#include "ops/step.h"

namespace tenon::ops {

/// So many more bytes of the memory that a step's phases share; returns where they begin, a multiple of 64.
int64_t reserve_shared(Step& step, int64_t bytes);

/// Puts a step together, phase after phase. Operands that are not what the kernels want are converted into memory that the phases share;
/// what is returned is where they lie in Call::shared, in bytes. float16 and bfloat16 are widened to float32 and the result, computed in
/// float32, is rounded once.
class BlockedStep {
 public:
  explicit BlockedStep(const BindContext& ctx) : ctx_(ctx) {}

  Step step;

  int64_t reserve(int64_t bytes) { return reserve_shared(step, bytes); }
  /// Input `input` as plain float32; -1 when it is that, and lies where it came from.
  int64_t plain(int input);
  /// Input `input` [N, C, spatial...] as channel-blocked float32.
  int64_t blocked(int input);
  /// Memory for output 0 [N, C, spatial...] as channel-blocked float32, to be handed to finish().
  int64_t result();
  /// The last phases: from result() to output 0.
  Step finish(int64_t result) &&;

 private:
  void cast(DType from, DType to, int64_t count, int operand, int64_t shared_from, int64_t shared_to);
  void reorder(bool to_blocked, const Dims& dims, int input, int64_t shared_from, int64_t shared_to);

  const BindContext& ctx_;
};

}  // namespace tenon::ops
