// Shows every program that preloads it a CPU whose widest vectors are AVX2, whatever the machine has, so that engines which choose their
// kernels by CPUID are compared on that tier where no such machine is at hand. Linux on x86-64; the CPU must let CPUID fault
// (`cpuid_fault` in /proc/cpuinfo), else the program ends with status 3.
//
// The kernel makes CPUID fault for this thread and those it starts (arch_prctl(2), ARCH_SET_CPUID), and the handler answers as the CPU
// would, without AVX-512, AVX-VNNI, AVX-IFMA, AVX-NE-CONVERT and AMX. Bits are those of the Intel SDM, volume 2, CPUID, leaf 7.
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr uint32_t bits(auto... n) { return ((1U << n) | ...); }

// Leaf 7, subleaf 0: F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS, VP2INTERSECT, AMX-BF16,
// FP16, AMX-TILE, AMX-INT8.
constexpr uint32_t kHiddenEbx = bits(16, 17, 21, 26, 27, 28, 30, 31);
constexpr uint32_t kHiddenEcx = bits(1, 6, 11, 12, 14);
constexpr uint32_t kHiddenEdx = bits(2, 3, 8, 22, 23, 24, 25);
// Subleaf 1: AVX-VNNI, AVX512-BF16, AMX-FP16, AVX-IFMA; AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, AVX-VNNI-INT16, AVX10.
constexpr uint32_t kHiddenEax1 = bits(4, 5, 21, 23);
constexpr uint32_t kHiddenEdx1 = bits(4, 5, 8, 10, 19);

constexpr uint8_t kCpuid[] = {0x0f, 0xa2};

bool let_cpuid(bool work) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, work ? 1 : 0) == 0; }

void answer(int /*signal*/, siginfo_t* /*info*/, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (std::memcmp(reinterpret_cast<const void*>(registers[REG_RIP]), kCpuid, sizeof kCpuid) != 0) {
    signal(SIGSEGV, SIG_DFL);  // a fault of the program's own: it comes again, and ends it
    return;
  }
  auto eax = static_cast<uint32_t>(registers[REG_RAX]);
  auto ecx = static_cast<uint32_t>(registers[REG_RCX]);
  const uint32_t leaf = eax;
  const uint32_t subleaf = ecx;
  uint32_t ebx = 0;
  uint32_t edx = 0;
  let_cpuid(true);
  __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  let_cpuid(false);
  if (leaf == 7 && subleaf == 0) {
    ebx &= ~kHiddenEbx;
    ecx &= ~kHiddenEcx;
    edx &= ~kHiddenEdx;
  } else if (leaf == 7 && subleaf == 1) {
    eax &= ~kHiddenEax1;
    edx &= ~kHiddenEdx1;
  }
  registers[REG_RAX] = eax;
  registers[REG_RBX] = ebx;
  registers[REG_RCX] = ecx;
  registers[REG_RDX] = edx;
  registers[REG_RIP] += sizeof kCpuid;
}

__attribute__((constructor)) void hide() {
  struct sigaction action = {};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  if (sigaction(SIGSEGV, &action, nullptr) == 0 && let_cpuid(false)) return;
  std::fputs("cpuid_avx2: CPUID cannot be made to fault on this machine\n", stderr);
  std::_Exit(3);
}

}  // namespace
