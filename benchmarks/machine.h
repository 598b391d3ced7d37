// What the machine can do at most, measured in the process that compares with it, on one thread.
#pragma once

#include <cstddef>

namespace tenon::benchmarks {

/// Multiply-adds a nanosecond, counted as two operations each, on full vectors of the instruction set in use (TENON_MAX_ISA caps it).
double peak_gflops();

/// Gigabytes a second that a copy reads and writes, when it moves `bytes` in all.
double copy_speed(double bytes);

}  // namespace tenon::benchmarks
