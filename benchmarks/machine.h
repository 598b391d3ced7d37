// What the machine can do at most, measured in the process that compares with it.
#pragma once

#include <cstddef>
#include <vector>

namespace tenon::benchmarks {

/// Multiply-adds a nanosecond on one thread, counted as two operations each, on full vectors of the instruction set in use (TENON_MAX_ISA
/// caps it): of one burst of some tens of microseconds, as cores change their speed from one millisecond to the next.
double burst_gflops();

/// Gigabytes a second that a copy on one thread reads and writes, when it moves `bytes` in all: the best of many, measured once a size.
double copy_speed(double bytes);

/// Memory to copy within, touched already.
class CopyBuffers {
 public:
  explicit CopyBuffers(double bytes);
  void copy();
  double bytes() const { return 2.0 * static_cast<double>(from_.size()); }

 private:
  std::vector<std::byte> from_, to_;
};

struct Speeds {
  double gflops;    ///< of multiply-adds
  double gb_per_s;  ///< of the copy, read and written
  double share;     ///< of its core that the thread got meanwhile, up to 1
};

/// What the calling thread gets at this moment: the median of bursts over about `seconds` for each of the two.
Speeds usual_speeds(double seconds, CopyBuffers& buffers);

}  // namespace tenon::benchmarks
