// Work at load that can fail, in pieces.
#pragma once

#include <atomic>
#include <utility>

#include "base/contents.h"
#include "base/parallel.h"

namespace tenon {

/// Calls piece(i, thread) for i in [0, pieces) on the threads of the load until one fails; thread < LoadThreads::threads(). Returns the
/// first failure.
template <class F>
Status for_each_piece(int64_t pieces, F&& piece) {
  std::atomic<bool> failed{false};
  ReadFaults faults;
  share_out(pieces, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end && !failed.load(std::memory_order_relaxed); ++i) {
      Status status = piece(i, thread);
      if (status.ok()) continue;
      faults.report(std::move(status));
      failed = true;
    }
  });
  return faults.first();
}

}  // namespace tenon
