#include "base/allocator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#include <time.h>
#endif

namespace tenon {

namespace {
std::atomic<bool (*)(size_t)> allocation_hook{nullptr};

size_t padded(size_t bytes, size_t alignment) { return (bytes + kSlack + alignment - 1) / alignment * alignment; }
size_t alignment_for(size_t bytes) { return bytes >= kHugePage ? kHugePage : kAlignment; }

#if defined(__linux__)
int64_t nanoseconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}
#endif
}  // namespace

#if defined(__linux__)
void back_with_pages(std::byte* block, size_t bytes) {
  constexpr int64_t kSlow = 1'000'000, kPause = 100'000'000;  // ns: of one page; until the next is tried
  static std::atomic<int64_t> again{0};
  // A block of huge pages is padded to a multiple of them: the last one is worth its memory when half of it is used.
  const size_t whole = bytes < kHugePage ? 0 : (bytes + kHugePage / 2) / kHugePage * kHugePage;
  size_t at = 0;
  if (whole != 0 && nanoseconds(CLOCK_MONOTONIC) >= again.load(std::memory_order_relaxed)) {
    madvise(block, whole, MADV_HUGEPAGE);
    for (bool quick = true; quick && at < whole; at += kHugePage) {
      const int64_t begin = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
      *const_cast<volatile std::byte*>(block + at) = std::byte{0};
      quick = nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin <= kSlow;
      if (!quick) again.store(nanoseconds(CLOCK_MONOTONIC) + kPause, std::memory_order_relaxed);
    }
  }
  if (at < whole) madvise(block + at, whole - at, MADV_NOHUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  // Small pages are quicker asked for together, which takes its time too where the block has been used before.
  constexpr size_t kPage = 4096, kFewPages = 16 * kPage;
  if (whole != 0 && bytes >= at + kFewPages) {
    const auto address = reinterpret_cast<uintptr_t>(block);
    const size_t begin = (address + at + kPage - 1) / kPage * kPage - address, end = (address + bytes) / kPage * kPage - address;
    unsigned char there = 0;
    if (mincore(block + begin, kPage, &there) == 0 && (there & 1) == 0) madvise(block + begin, end - begin, MADV_POPULATE_WRITE);
  }
  if (at < whole) madvise(block + at, whole - at, MADV_HUGEPAGE);
#endif
}
#else
void back_with_pages(std::byte*, size_t) {}
#endif

void set_allocation_hook(bool (*hook)(size_t)) { allocation_hook.store(hook); }

void* Allocator::allocate(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  if (auto* hook = allocation_hook.load(std::memory_order_relaxed); hook && !hook(bytes)) return nullptr;
  const size_t now = bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (limit_ != 0 && now > limit_) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  void* block = obtain(bytes);
  if (!block) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return nullptr;
  }
  size_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return block;
}

void Allocator::deallocate(void* block, size_t bytes) {
  if (!block) return;
  give_back(block, bytes);
  bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

void* Allocator::obtain(size_t bytes) {
  const size_t alignment = alignment_for(bytes);
  return std::aligned_alloc(alignment, padded(bytes, alignment));
}

void Allocator::give_back(void* block, size_t) { std::free(block); }

void Allocator::back(std::byte* block, size_t bytes) { back_with_pages(block, bytes); }

Allocator& Allocator::process() {
  // Never destroyed: buffers may outlive static destruction.
  static Allocator* const instance = new Allocator();
  return *instance;
}

Result<std::shared_ptr<Buffer>> Buffer::untouched(size_t bytes, std::shared_ptr<Allocator> allocator) {
  Allocator& from = allocator ? *allocator : Allocator::process();
  void* block = from.allocate(bytes);
  if (!block) {
    if (from.limit() != 0 && (bytes > from.limit() || from.bytes() > from.limit() - bytes)) {
      return limit_error("memory limit of ", from.limit(), " bytes reached: ", bytes, " more bytes wanted with ", from.bytes(), " in use");
    }
    return error(Code::kNoMem, "out of memory: ", bytes, " bytes wanted");
  }
  auto buffer = std::shared_ptr<Buffer>(new Buffer());
  buffer->data_ = static_cast<std::byte*>(block);
  buffer->size_ = bytes;
  buffer->allocator_ = std::move(allocator);
  buffer->owned_ = true;
  return buffer;
}

Result<std::shared_ptr<Buffer>> Buffer::allocate(size_t bytes, std::shared_ptr<Allocator> allocator) {
  TENON_ASSIGN(auto buffer, untouched(bytes, std::move(allocator)));
  (buffer->allocator_ ? *buffer->allocator_ : Allocator::process()).back(buffer->data_, bytes);
  return buffer;
}

Result<std::shared_ptr<Buffer>> Buffer::scratch(size_t bytes) {
#if defined(__linux__)
  auto* const hook = allocation_hook.load(std::memory_order_relaxed);
  void* block =
      !hook || hook(bytes) ? mmap(nullptr, bytes + kSlack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (block == MAP_FAILED) return error(Code::kNoMem, "out of memory: ", bytes, " bytes wanted");
  return borrow(block, bytes, [block, bytes] { munmap(block, bytes + kSlack); });
#else
  return allocate(bytes);
#endif
}

std::shared_ptr<Buffer> Buffer::borrow(void* data, size_t bytes, std::function<void()> release) {
  auto buffer = std::shared_ptr<Buffer>(new Buffer());
  buffer->data_ = static_cast<std::byte*>(data);
  buffer->size_ = bytes;
  buffer->release_ = std::move(release);
  return buffer;
}

Result<std::shared_ptr<Buffer>> Buffer::late(size_t bytes, std::shared_ptr<const Contents> contents, std::shared_ptr<Allocator> allocator) {
  TENON_ASSIGN(auto buffer, untouched(bytes, std::move(allocator)));
  buffer->contents_ = std::move(contents);
  buffer->late_ = true;
  return buffer;
}

std::shared_ptr<Buffer> Buffer::mapped(void* data, size_t bytes, std::shared_ptr<const Contents> contents, std::function<void()> release) {
  auto buffer = borrow(data, bytes, std::move(release));
  buffer->contents_ = std::move(contents);
  return buffer;
}

void Buffer::fill() const {
  constexpr size_t kStep = size_t{4} << 20;  // between two looks at the load's deadline
  const std::lock_guard<std::mutex> lock(filling_);
  if (!late_.load(std::memory_order_relaxed)) return;
  Status status;
  for (size_t at = 0; at < size_ && status.ok(); at += kStep) {
    const size_t n = std::min(kStep, size_ - at);
    back_with_pages(data_ + at, n);
    status = contents_->read(at, n, data_ + at);
  }
  if (!status.ok()) {
    std::memset(data_, 0, size_);
    contents_->faults().report(std::move(status));
  }
  late_.store(false, std::memory_order_release);
}

Result<const std::byte*> Buffer::peek(size_t offset, size_t n, std::byte* room) const {
  if (in_place()) return data_ + offset;
  TENON_TRY(contents_->read(offset, n, room));
  return room;
}

void Buffer::settled() {
  late_ = false;
  contents_.reset();
}

Buffer::~Buffer() {
  if (owned_) (allocator_ ? *allocator_ : Allocator::process()).deallocate(data_, size_);
  if (release_) release_();
}

}  // namespace tenon
