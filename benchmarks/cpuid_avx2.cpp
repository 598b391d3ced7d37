// Shows a program a CPU whose widest vectors are AVX2, whatever the machine has, so that engines which choose their kernels by CPUID are
// compared on that tier where no such machine is at hand. An auditor of the dynamic linker (rtld-audit(7), LD_AUDIT) for Linux on x86-64.
//
// TENON_CPUID_SITES names a file with a line for every program and library that asks for the CPU: its real path, and in hexadecimal where
// in it CPUID instructions are (offsets from its base; `peers/cpuid.py` finds them). Before any code of such a file runs, each is replaced
// by an interrupt that user code may not raise and that is as long. The fault's handler answers as the CPU would, without AVX-512,
// AVX-VNNI, AVX-IFMA, AVX-NE-CONVERT and AMX. Bits are those of the Intel SDM, volume 2, CPUID, leaf 7. A program that cannot be shown
// such a CPU ends with status 3.
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

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
constexpr uint8_t kInterrupt[] = {0xcd, 0x7f};

[[noreturn]] void give_up(const char* why, const char* what) {
  std::fprintf(stderr, "cpuid_avx2: %s %s\n", why, what);
  std::_Exit(3);
}

void answer(int /*signal*/, siginfo_t* /*info*/, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  // An address that can be read: what faults there is an instruction's access, or the interrupt. A jump into nowhere ends the program here.
  if (std::memcmp(reinterpret_cast<const void*>(registers[REG_RIP]), kInterrupt, sizeof kInterrupt) != 0) {
    signal(SIGSEGV, SIG_DFL);  // a fault of the program's own: it comes again, and ends it
    return;
  }
  auto eax = static_cast<uint32_t>(registers[REG_RAX]);
  auto ecx = static_cast<uint32_t>(registers[REG_RCX]);
  const uint32_t leaf = eax;
  const uint32_t subleaf = ecx;
  uint32_t ebx = 0;
  uint32_t edx = 0;
  __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
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
  registers[REG_RIP] += sizeof kInterrupt;
}

void replace(uintptr_t at, const char* file) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = at / page * page;
  const size_t bytes = at + sizeof kCpuid - begin;
  void* pages = reinterpret_cast<void*>(begin);
  auto* code = reinterpret_cast<uint8_t*>(at);
  if (std::memcmp(code, kCpuid, sizeof kCpuid) != 0) give_up("no CPUID where the list has one, in", file);
  if (mprotect(pages, bytes, PROT_READ | PROT_WRITE) != 0) give_up("cannot write to the code of", file);
  std::memcpy(code, kInterrupt, sizeof kInterrupt);
  if (mprotect(pages, bytes, PROT_READ | PROT_EXEC) != 0) give_up("cannot run the code of", file);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) unsigned la_version(unsigned version) {
  struct sigaction action = {};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  if (sigaction(SIGSEGV, &action, nullptr) != 0) give_up("no handler for", "SIGSEGV");
  return version;
}

// Each file that the linker has mapped, before it is relocated.
__attribute__((visibility("default"))) unsigned la_objopen(link_map* object, Lmid_t /*space*/, uintptr_t* /*cookie*/) {
  char path[PATH_MAX];
  if (realpath(object->l_name[0] != '\0' ? object->l_name : "/proc/self/exe", path) == nullptr) return 0;
  const char* list = std::getenv("TENON_CPUID_SITES");
  std::ifstream lines(list != nullptr ? list : "");
  if (!lines) give_up("cannot read the file that TENON_CPUID_SITES names:", list != nullptr ? list : "(unset)");
  for (std::string line; std::getline(lines, line);) {
    const size_t end = line.find('\t');
    if (line.compare(0, end, path) != 0 || end == std::string::npos) continue;
    std::istringstream offsets(line.substr(end));
    for (uintptr_t offset = 0; offsets >> std::hex >> offset;) replace(object->l_addr + offset, path);
  }
  return 0;
}
}
