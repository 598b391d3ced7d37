// What the machine can do at most, measured in the process that compares with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/allocator.h"

namespace tenon::benchmarks {

/// Multiply-adds a nanosecond on one thread, counted as two operations each, on full vectors of the instruction set in use (TENON_MAX_ISA
/// caps it): the median of five bursts of some tens of microseconds, as cores change their speed from one millisecond to the next.
double burst_gflops();
/// Of so many threads at once, added up: the median of each one's bursts over about `seconds`.
double gflops_at_once(int threads, double seconds);

/// Gigabytes a second that a copy on one thread reads and writes, when it moves `bytes` in all: the best of many, measured once a size.
double copy_speed(double bytes);

/// Gigabytes a second that one thread reads of `bytes` at `from` (element-aligned float32 of any values) with full vectors: one pass.
double burst_read(const void* from, int64_t bytes);

/// The same of memory of that size: the best of many, measured once a size.
double read_speed(double bytes);

/// Memory to copy within, as the engine has it: on huge pages where the system has them, touched already.
class CopyBuffers {
 public:
  /// Half of `bytes` is read, half written.
  explicit CopyBuffers(double bytes);
  void copy();
  /// Gigabytes a second, read and written, of one copy.
  double burst();
  double bytes() const { return 2.0 * static_cast<double>(from_->size()); }

 private:
  std::shared_ptr<Buffer> from_, to_;
};

struct Speeds {
  double gflops;    ///< of multiply-adds
  double gb_per_s;  ///< of the copy, read and written
  double share;     ///< of its core that the thread got meanwhile, up to 1
};

/// Seconds to copy `bytes` bytes into memory that the process takes from the system for it, in small pages or in huge ones, whichever take
/// less. What is copied is in memory already. The largest number where there is no memory.
double seconds_into_new_memory(double bytes);

/// What the calling thread gets at this moment: the median of bursts over about `seconds` for each of the two.
Speeds usual_speeds(double seconds, CopyBuffers& buffers);

}  // namespace tenon::benchmarks
