// How fast the machine is just now, for scripts that tell a quiet moment from a busy one. Answers each line of its input with one of JSON:
//   speeds THREADS   {"gflops": of multiply-adds, "gb_per_s": of copies of 8 MiB, "share": of its core that a thread got}, measured by so
//                    many threads at once for 20 ms; the speeds are added up, the share is the least
//   copy BYTES       {"gb_per_s": the best copy on one thread that moves so many bytes}
//   read BYTES       {"gb_per_s": the best pass on one thread that reads so many bytes}
//   new BYTES        {"seconds": a copy of so many bytes into memory that is taken from the system for it}
#include <algorithm>
#include <cstdio>
#include <latch>
#include <thread>

#include "benchmarks/machine.h"

namespace tenon::benchmarks {
namespace {

constexpr double kSeconds = 0.01;
constexpr double kMoved = 16 << 20;  // more than a core's own caches hold
constexpr size_t kMostThreads = 1024;

Speeds on_threads(std::vector<CopyBuffers>& buffers, size_t threads) {
  while (buffers.size() < threads) buffers.emplace_back(kMoved);
  std::vector<Speeds> each(threads);
  std::latch ready(static_cast<std::ptrdiff_t>(threads));
  const auto work = [&](size_t k) {
    ready.arrive_and_wait();
    each[k] = usual_speeds(kSeconds, buffers[k]);
  };
  std::vector<std::jthread> others;
  for (size_t k = 1; k < threads; ++k) others.emplace_back(work, k);
  work(0);
  others.clear();
  Speeds sum{0, 0, 1};
  for (const Speeds& s : each) sum = {sum.gflops + s.gflops, sum.gb_per_s + s.gb_per_s, std::min(sum.share, s.share)};
  return sum;
}

}  // namespace
}  // namespace tenon::benchmarks

int main() {
  using namespace tenon::benchmarks;
  std::vector<CopyBuffers> buffers;
  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    double count = 0;
    if (std::sscanf(line, "speeds %lf", &count) == 1 && count >= 1 && count <= kMostThreads) {
      const Speeds speeds = on_threads(buffers, static_cast<size_t>(count));
      std::printf("{\"gflops\": %.6g, \"gb_per_s\": %.6g, \"share\": %.4f}\n", speeds.gflops, speeds.gb_per_s, speeds.share);
    } else if (std::sscanf(line, "copy %lf", &count) == 1 && count >= 1 && count <= 1e10) {
      std::printf("{\"gb_per_s\": %.6g}\n", copy_speed(count));
    } else if (std::sscanf(line, "read %lf", &count) == 1 && count >= 4 && count <= 1e10) {
      std::printf("{\"gb_per_s\": %.6g}\n", read_speed(count));
    } else if (std::sscanf(line, "new %lf", &count) == 1 && count >= 1 && count <= 1e10) {
      std::printf("{\"seconds\": %.6g}\n", seconds_into_new_memory(count));
    } else {
      std::fprintf(stderr, "probe: expected 'speeds THREADS', 'copy BYTES', 'read BYTES' or 'new BYTES', got: %s\n", line);
      return 2;
    }
    std::fflush(stdout);
  }
}
