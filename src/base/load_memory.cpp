#include "base/load_memory.h"

#include <algorithm>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tenon {

namespace {

// A sanitizer watches the ends of blocks of the heap.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

constexpr size_t kPage = 4096;
constexpr size_t kFromHere = 16 << 10;     // smaller blocks come from the heap: a model of these alone needs no slab
constexpr size_t kLargestSlab = 64 << 20;  // but for larger blocks

constexpr size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/// Cuts blocks off slabs of address space, and puts pages under these as far as blocks reach. Thread-safe.
class Slabs final : public Allocator {
 public:
  /// Memory of less than a huge page in all does not take one.
  explicit Slabs(size_t expected)
      : small_(expected < kHugePage),
        next_(std::clamp(rounded(std::min(expected, kLargestSlab) / 8 * 9, kHugePage), kHugePage, kLargestSlab)) {}
  ~Slabs() override {
    for (const Slab& slab : slabs_) munmap(slab.begin, slab.bytes);
  }

  void back(std::byte* block, size_t bytes) override {
    if (bytes < kFromHere) Allocator::back(block, bytes);
  }

 protected:
  void* obtain(size_t bytes) override {
    if (bytes < kFromHere) return Allocator::obtain(bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t wanted = rounded(bytes + kSlack, kAlignment);
    if ((slabs_.empty() || slabs_.back().bytes - slabs_.back().used < wanted) && !add(wanted)) return nullptr;
    Slab& slab = slabs_.back();
    std::byte* const block = slab.begin + slab.used;
    slab.used += wanted;
    cover(slab);
    return block;
  }

  void give_back(void* block, size_t bytes) override {
    if (bytes < kFromHere) Allocator::give_back(block, bytes);
  }

 private:
  struct Slab {
    std::byte* begin;
    size_t bytes, used, backed;
  };

  bool add(size_t wanted) {
    const size_t bytes = std::max(rounded(wanted, kHugePage), next_);
    if (bytes < wanted || bytes + kHugePage < bytes) return false;
    // What is before and after the huge pages goes back.
    void* const got = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) return false;
    const auto at = reinterpret_cast<uintptr_t>(got);
    const size_t before = rounded(at, kHugePage) - at;
    auto* const begin = static_cast<std::byte*>(got) + before;
    if (before != 0) munmap(got, before);
    if (before != kHugePage) munmap(begin + bytes, kHugePage - before);
    slabs_.push_back({begin, bytes, 0, 0});
    next_ = std::min(2 * next_, kLargestSlab);
    return true;
  }

  void cover(Slab& slab) {
    if (small_ && slabs_.size() == 1 && slab.backed < kHugePage) {
      if (slab.backed == 0) madvise(slab.begin, kHugePage, MADV_NOHUGEPAGE);
      const size_t to = std::min(rounded(slab.used, kPage), kHugePage);
#ifdef MADV_POPULATE_WRITE
      madvise(slab.begin + slab.backed, to - slab.backed, MADV_POPULATE_WRITE);
#endif
      slab.backed = to;
    }
    if (slab.used <= slab.backed) return;
    const size_t to = rounded(slab.used, kHugePage), from = slab.backed;
    back_with_pages(slab.begin + from, to - from);
    slab.backed = to;
  }

  const bool small_;
  size_t next_;  ///< bytes of the next slab, where no block needs more
  std::mutex mutex_;
  std::vector<Slab> slabs_;
};

std::shared_ptr<Allocator> new_lasting(size_t expected) { return std::make_shared<Slabs>(expected); }
#else
std::shared_ptr<Allocator> new_lasting(size_t) { return nullptr; }
#endif

thread_local LoadMemory* load_memory = nullptr;

}  // namespace

LoadMemory::LoadMemory(size_t expected) : outer_(load_memory), lasting_(new_lasting(expected)) { load_memory = this; }
LoadMemory::~LoadMemory() { load_memory = outer_; }

std::shared_ptr<Allocator> LoadMemory::lasting() { return load_memory ? load_memory->lasting_ : nullptr; }

Result<std::shared_ptr<Buffer>> LoadMemory::passing(size_t bytes) {
  if (!load_memory) return Buffer::scratch(bytes);
  std::shared_ptr<Buffer>& held = load_memory->passing_;
  if (!held || held->size() < bytes || held.use_count() != 1) {
    if (held.use_count() == 1) held = nullptr;
    TENON_ASSIGN(held, Buffer::scratch(bytes));
  }
  return held;
}

}  // namespace tenon
