// The one way large memory is obtained: aligned, accounted, limited, and able to fail on purpose in tests.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/contents.h"
#include "base/status.h"

namespace tenon {

inline constexpr size_t kAlignment = 64;
inline constexpr size_t kSlack = 64;  ///< bytes after a block that vector loads may read

/// From this size on a block begins at a huge page: packed weights and arenas are walked end to end.
inline constexpr size_t kHugePage = size_t{2} << 20;

/// Thread-safe. A block is aligned to kAlignment and followed by kSlack readable bytes.
class Allocator {
 public:
  /// limit: most bytes alive at once, 0 for none.
  explicit Allocator(size_t limit = 0) : limit_(limit) {}
  virtual ~Allocator() = default;

  /// Null when the limit would be passed, memory is out, or a test injected a failure. Contents undefined.
  void* allocate(size_t bytes);
  void deallocate(void* block, size_t bytes);
  /// Puts pages under a block that is about to be written whole, where allocate() has not: see back_with_pages().
  virtual void back(std::byte* block, size_t bytes);

  size_t limit() const { return limit_; }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }

  static Allocator& process();  ///< the default one, without limit

 protected:
  /// Null when memory is out.
  virtual void* obtain(size_t bytes);
  virtual void give_back(void* block, size_t bytes);

 private:
  size_t limit_;
  std::atomic<size_t> bytes_{0};
  std::atomic<size_t> peak_{0};
};

/// Test hook: when set, called before every allocation of every Allocator; returning false makes it fail.
void set_allocation_hook(bool (*hook)(size_t bytes));

/// Puts pages under memory of an Allocator that is about to be written whole (a block, or a part that begins at a huge page):
/// huge ones, as long as they come quickly. Clearing one takes a tenth of a millisecond or two, but a system short of them compacts memory
/// first, and a virtual machine may have to ask its host for every part of one, fifty times slower, while small pages are at hand.
/// Small ones are left to the system to join later. Thread-safe.
void back_with_pages(std::byte* block, size_t bytes);

/// Memory with an owner: allocated here, or a caller's with a release callback. Shared by reference counting. The bytes may be late:
/// then data() reads them first.
class Buffer {
 public:
  /// For memory about to be written whole: its pages are there already. kNoMem or kLimit on failure. The allocator must outlive the
  /// buffer (it is kept alive by the shared_ptr).
  static Result<std::shared_ptr<Buffer>> allocate(size_t bytes, std::shared_ptr<Allocator> allocator = nullptr);
  /// Memory for a moment, straight from the system: its pages go back with it, where a hole in the heap would stay. kNoMem on failure.
  static Result<std::shared_ptr<Buffer>> scratch(size_t bytes);
  /// Memory of somebody else. `release` runs once, when the last reference goes, on whichever thread that is.
  static std::shared_ptr<Buffer> borrow(void* data, size_t bytes, std::function<void()> release = {});
  /// As allocate(), but no byte is read, or page touched, before somebody asks.
  static Result<std::shared_ptr<Buffer>> late(size_t bytes, std::shared_ptr<const Contents> contents,
                                              std::shared_ptr<Allocator> allocator = nullptr);
  /// As borrow(), of memory that may be read at a price (a mapped file): peek() takes them from `contents` instead.
  static std::shared_ptr<Buffer> mapped(void* data, size_t bytes, std::shared_ptr<const Contents> contents, std::function<void()> release);

  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  /// The bytes, read now when they are late; zeros, and a report to the ReadFaults of the load, when that fails. Thread-safe.
  std::byte* data() const {
    if (late_.load(std::memory_order_acquire)) fill();
    return data_;
  }
  /// Where the bytes are or will be.
  std::byte* address() const { return data_; }
  size_t size() const { return size_; }

  bool late() const { return late_.load(std::memory_order_acquire); }
  /// Whether peek() finds the bytes in place.
  bool in_place() const { return !contents_ || (owned_ && !late()); }
  /// Bytes [offset, offset + n): in place, or read into `room` when they are late or mapped. Thread-safe.
  Result<const std::byte*> peek(size_t offset, size_t n, std::byte* room) const;
  /// Null when the bytes have always been in memory, or since settled().
  const Contents* contents() const { return contents_.get(); }
  /// The bytes are in place now: lets go of the contents. Nobody else may use the buffer meanwhile.
  void settled();

 private:
  Buffer() = default;
  /// As allocate(), but no page is touched.
  static Result<std::shared_ptr<Buffer>> untouched(size_t bytes, std::shared_ptr<Allocator> allocator);
  void fill() const;

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<Allocator> allocator_;
  bool owned_ = false;
  std::function<void()> release_;
  std::shared_ptr<const Contents> contents_;
  mutable std::mutex filling_;
  mutable std::atomic<bool> late_{false};
};

}  // namespace tenon
