#include "base/cpu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#include "base/parallel.h"

namespace tenon {

unsigned flush_denormals(bool on) {
#if defined(__x86_64__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(on ? before | kFlushToZero | kDenormalsAreZero : before & ~(kFlushToZero | kDenormalsAreZero));
  return before;
#elif defined(__aarch64__)
  uint64_t fpcr;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  const uint64_t flushed = on ? fpcr | (1u << 24) : fpcr & ~(1u << 24);
  asm volatile("msr fpcr, %0" ::"r"(flushed));
  return static_cast<unsigned>(fpcr);
#else
  static_cast<void>(on);
  return 0;
#endif
}

void restore_float_mode(unsigned before) {
#if defined(__x86_64__)
  _mm_setcsr(before);
#elif defined(__aarch64__)
  const uint64_t fpcr = before;
  asm volatile("msr fpcr, %0" ::"r"(fpcr));
#else
  static_cast<void>(before);
#endif
}

#if defined(__x86_64__)
namespace {

/// What CPUID answers for a leaf and its subleaf.
struct CpuId {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  explicit CpuId(uint32_t leaf, uint32_t subleaf = 0) {
    __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d);
  }  // zeros where the CPU lacks the leaf
};

constexpr uint32_t bits(std::initializer_list<uint32_t> places) {
  uint32_t all = 0;
  for (const uint32_t i : places) all |= uint32_t{1} << i;
  return all;
}
constexpr bool all_of(uint32_t word, uint32_t wanted) { return (word & wanted) == wanted; }

/// The registers that the operating system keeps (XCR0).
uint32_t kept_registers() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

// Bits: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID, and volume 1, 13.3 (XCR0).
Isa best_isa() {
  static const Isa best = [] {
    constexpr uint32_t kFma = 12, kMovbe = 22, kOsXsave = 27, kAvx = 28, kF16c = 29;  // leaf 1, c
    constexpr uint32_t kBmi1 = 3, kAvx2 = 5, kBmi2 = 8;                               // leaf 7, b
    constexpr uint32_t kAvx512F = 16, kAvx512Dq = 17, kAvx512Cd = 28, kAvx512Bw = 30, kAvx512Vl = 31;
    constexpr uint32_t kLzcnt = 5;  // leaf 0x80000001, c
    const CpuId basic(1), extended(7), amd(0x80000001);
    if (!all_of(basic.c, bits({kFma, kMovbe, kOsXsave, kAvx, kF16c})) || !all_of(extended.b, bits({kBmi1, kAvx2, kBmi2})) ||
        !all_of(amd.c, bits({kLzcnt})) || !all_of(kept_registers(), bits({1, 2})))
      return Isa::kBaseline;
    const bool avx512 = all_of(extended.b, bits({kAvx512F, kAvx512Dq, kAvx512Cd, kAvx512Bw, kAvx512Vl}));
    return avx512 && all_of(kept_registers(), bits({5, 6, 7})) ? Isa::kAvx512 : Isa::kAvx2;
  }();
  return best;
}

const CpuExtensions& cpu_extensions() {
  static const CpuExtensions extensions = [] {
    constexpr uint32_t kAvx512Vnni = 11;               // leaf 7, c
    constexpr uint32_t kAvxVnni = 4, kAvx512Bf16 = 5;  // leaf 7, subleaf 1, a
    const CpuId first(7), second(7, 1);                // zeros where the CPU lacks the subleaf
    return CpuExtensions{.avx_vnni = all_of(second.a, bits({kAvxVnni})),
                         .avx512_vnni = all_of(first.c, bits({kAvx512Vnni})),
                         .avx512_bf16 = all_of(second.a, bits({kAvx512Bf16}))};
  }();
  return extensions;
}

namespace {
constexpr const char* kIsaNames[] = {"sse4", "avx2", "avx512"};
}

Result<Isa> allowed_isa() {
  const char* cap = std::getenv("TENON_MAX_ISA");
  if (cap == nullptr) return best_isa();
  const auto* found = std::find_if(std::begin(kIsaNames), std::end(kIsaNames), [&](const char* n) { return std::string_view(n) == cap; });
  if (found == std::end(kIsaNames)) return error(Code::kArgument, "TENON_MAX_ISA is '", cap, "', expected sse4, avx2 or avx512");
  const auto wanted = static_cast<Isa>(found - kIsaNames);
  if (wanted > best_isa()) return error(Code::kArgument, "TENON_MAX_ISA asks for ", cap, ", which this CPU does not have");
  return wanted;
}

Result<std::string> instruction_set() {
  TENON_ASSIGN(const Isa isa, allowed_isa());
  return std::string(kIsaNames[static_cast<int>(isa)]);
}
#else
Isa best_isa() { return Isa::kBaseline; }

const CpuExtensions& cpu_extensions() {
  static const CpuExtensions none;
  return none;
}

Result<Isa> allowed_isa() { return Isa::kBaseline; }

Result<std::string> instruction_set() {
#if defined(__aarch64__)
  return std::string("neon");
#else
  return std::string("scalar");
#endif
}
#endif

namespace {

#if defined(__linux__)
/// CPUs granted by "quota period", 0 when unlimited or unreadable.
double quota_of(const std::string& quota_text, const std::string& period_text) {
  const double quota = std::atof(quota_text.c_str()), period = std::atof(period_text.c_str());
  return quota > 0 && period > 0 ? quota / period : 0;
}

std::string first_word(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

/// The tightest quota of the process's cgroup and its ancestors; 0 when there is none.
double cgroup_quota() {
  double tightest = 0;
  const auto take = [&](double q) {
    if (q > 0 && (tightest == 0 || q < tightest)) tightest = q;
  };
  std::ifstream membership("/proc/self/cgroup");
  for (std::string line; std::getline(membership, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    for (;;) {
      if (v2) {
        std::ifstream in("/sys/fs/cgroup" + path + "/cpu.max");
        std::string quota, period;
        if (in >> quota >> period) take(quota_of(quota, period));
      } else {
        for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
          take(quota_of(first_word(mount + path + "/cpu.cfs_quota_us"), first_word(mount + path + "/cpu.cfs_period_us")));
        }
      }
      if (path.empty() || path == "/") break;
      path.resize(path.find_last_of('/'));
    }
  }
  return tightest;
}
#endif

}  // namespace

int available_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  if (const double quota = cgroup_quota(); quota > 0) cpus = std::min(cpus, static_cast<int>(std::ceil(quota)));
#endif
  return std::max(cpus, 1);
}

}  // namespace tenon
