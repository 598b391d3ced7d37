// The patience of whoever waits for a load: cancel flag, deadline, progress.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>

#include "base/status.h"

namespace tenon::onnx {

class Watch {
 public:
  using Clock = std::chrono::steady_clock;

  Watch(std::optional<Clock::time_point> deadline, const std::atomic<bool>* cancel, std::function<void(double)> progress)
      : deadline_(deadline), cancel_(cancel), progress_(std::move(progress)) {}

  /// kCancelled or kLimit when the load should stop. Thread-safe.
  Status check() const {
    if (cancel_ && cancel_->load(std::memory_order_relaxed)) return error(Code::kCancelled, "load cancelled by the caller");
    if (deadline_ && Clock::now() >= *deadline_) return limit_error("load passed its deadline");
    return {};
  }

  /// Fraction done, from 0 to 1; never goes back. Calling thread of the load only.
  void progress(double fraction) {
    if (!progress_ || fraction < reported_ + 0.01) return;
    reported_ = fraction;
    progress_(fraction < 1 ? fraction : 1);
  }

 private:
  std::optional<Clock::time_point> deadline_;
  const std::atomic<bool>* cancel_;
  std::function<void(double)> progress_;
  double reported_ = -1;
};

}  // namespace tenon::onnx
