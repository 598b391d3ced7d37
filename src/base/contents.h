// Bytes that are not in memory yet: where a tensor of a model file lies is known long before anybody needs its elements.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "base/status.h"

namespace tenon {

class Buffer;
class WeightCache;

/// The first read of a load that failed. Whoever asks a buffer for its bytes gets zeros then, and whoever finishes the load asks here:
/// so code that only looks at elements has no error to pass on, and no result made from wrong ones survives. Thread-safe.
class ReadFaults {
 public:
  void report(Status status);
  Status first() const;

 private:
  mutable std::mutex mutex_;
  Status first_;
};

/// What bytes are, told without looking at them.
struct Origin {
  std::shared_ptr<WeightCache> cache;  ///< where what is made of them is kept between loads; null: nowhere
  std::string identity;                ///< the same only for the same bytes
};

/// The bytes of a buffer, read by position from where they lie.
class Contents {
 public:
  explicit Contents(std::shared_ptr<ReadFaults> faults) : faults_(std::move(faults)) {}
  virtual ~Contents() = default;
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;

  /// Writes bytes [offset, offset + n), whole elements, to `to`. Thread-safe. Errors name the tensor: kIo and kLoad (the source has
  /// changed), kLimit and kCancelled (a load that should stop).
  virtual Status read(size_t offset, size_t n, std::byte* to) const = 0;

  virtual Origin origin() const { return {}; }

  ReadFaults& faults() const { return *faults_; }

 private:
  std::shared_ptr<ReadFaults> faults_;
};

/// Reads those of `buffers` that are late into place, large ones on all threads of the load, and lets go of their contents.
/// `progress` is called on this thread with the fraction done. Nobody else may use the buffers meanwhile.
Status settle(std::span<const std::shared_ptr<Buffer>> buffers, const std::function<void(double)>& progress = {});

}  // namespace tenon
