// Where the load of a model has its memory from.
#pragma once

#include <memory>

#include "base/allocator.h"

namespace tenon {

/// While one lives, what is made at load on the thread that made it comes from here.
class LoadMemory {
 public:
  /// `expected`: about how many bytes it will be.
  explicit LoadMemory(size_t expected);
  ~LoadMemory();
  LoadMemory(const LoadMemory&) = delete;
  LoadMemory& operator=(const LoadMemory&) = delete;

  /// For blocks that are written at once and stay as long as the model: they lie side by side in memory of the system's, mostly in huge
  /// pages, of which they touch fewer than of those of the heap. What one of them takes goes back when the last of the load does. Of the
  /// innermost LoadMemory; null, which is the default allocator, where there is none or the system is not Linux.
  static std::shared_ptr<Allocator> lasting();
  /// Memory for a moment, as Buffer::scratch(): that of the moment before where it is free and large enough. kNoMem on failure.
  static Result<std::shared_ptr<Buffer>> passing(size_t bytes);

 private:
  LoadMemory* outer_;
  std::shared_ptr<Allocator> lasting_;
  std::shared_ptr<Buffer> passing_;
};

}  // namespace tenon
