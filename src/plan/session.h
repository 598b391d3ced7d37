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
  std::vector<std::byte*> base;  ///< address of each slot
  std::vector<Tensor> dynamic;   ///< tensors of dynamic slots
  std::vector<const void*> src;  ///< operand addresses of the step at hand
  std::vector<void*> dst;
};

struct Session::State {
  std::unordered_map<RegionId, Frame> frames;
  std::shared_ptr<Buffer> scratch;  ///< threads x scratch_stride
  size_t scratch_stride = 0;
  int scratch_threads = 0;
  std::shared_ptr<Buffer> shared;
  std::vector<std::unique_ptr<char[]>> strings;  ///< bytes of strings made by the run

  /// Makes `buffer` at least `bytes` long; keeps it when it is.
  static Status ensure(std::shared_ptr<Buffer>& buffer, size_t bytes, const std::shared_ptr<Allocator>& allocator);
  Status ensure_scratch(size_t bytes, int threads, const std::shared_ptr<Allocator>& allocator);
  /// Makes `plan` the frame's plan and its memory big enough. Allocates nothing when the plan is the same as before.
  Status prepare(Frame& frame, const std::shared_ptr<const Plan>& plan, const std::shared_ptr<Allocator>& allocator, int threads);
};

}  // namespace tenon
