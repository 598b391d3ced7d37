// Where bytes come from: a file, memory, or a stream, all read by position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/allocator.h"
#include "base/status.h"

struct stat;

namespace tenon::onnx {

class Source {
 public:
  explicit Source(std::string name) : name_(std::move(name)) {}
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  /// File name, "<memory>" or "<stream>": what error messages call it.
  const std::string& name() const { return name_; }
  /// Bytes in all; UINT64_MAX for a stream whose end has not been met.
  virtual uint64_t size() const = 0;
  /// Reads up to n bytes at `offset`; fewer only where the source ends. Thread-safe, but for a stream.
  virtual Result<size_t> read_some(uint64_t offset, size_t n, void* dst) = 0;
  /// Reads exactly n bytes at `offset`.
  Status read(uint64_t offset, size_t n, void* dst);
  /// Says which bytes these are: the same only for a source that has not changed. Empty where that cannot be told.
  virtual std::string identity() const { return {}; }
  /// The whole source in memory, or null.
  virtual const std::byte* memory() const { return nullptr; }

  /// Says that [offset, offset + size) will become a tensor, so a stream can put these bytes where they can stay.
  virtual Status keep(uint64_t offset, uint64_t size) {
    (void)offset, (void)size;
    return {};
  }
  struct View {
    std::shared_ptr<Buffer> buffer;  ///< null when the bytes must be copied
    size_t offset = 0;
    bool mapped = false;  ///< pages of the source come into memory as they are touched
  };
  /// The bytes themselves when they lie, aligned, in memory that may outlive the source.
  virtual View view(uint64_t offset, uint64_t size, size_t alignment) {
    (void)offset, (void)size, (void)alignment;
    return {};
  }

 private:
  std::string name_;
};

/// A regular file. Owns the descriptor. With `map`, views are handed out from a private mapping: the file must not change while
/// any of them lives.
class FileSource final : public Source {
 public:
  /// Opens a model file; symbolic links are followed, anything but a regular file is refused.
  static Result<std::shared_ptr<FileSource>> open(const std::string& path, bool map);
  FileSource(int fd, const struct stat& info, std::string name, bool map);
  ~FileSource() override;
  uint64_t size() const override { return size_; }
  Result<size_t> read_some(uint64_t offset, size_t n, void* dst) override;
  /// Device, inode, size and times of change when the file was opened. Empty when that was just after a change: another one then might not
  /// show in the times.
  std::string identity() const override { return identity_; }
  View view(uint64_t offset, uint64_t size, size_t alignment) override;
  /// Whether `other` describes this very file.
  bool is(const struct stat& other) const;

 private:
  int fd_;
  uint64_t size_;
  std::string identity_;
  bool map_;
  std::mutex mutex_;
  std::shared_ptr<Buffer> mapping_;
};

/// Says that whole pages of a mapped file are not needed for now.
void forget_pages(std::byte* begin, size_t bytes);

/// Memory of the caller, which it may free after the load (see LoadOptions::read_late).
class MemorySource final : public Source {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : Source("<memory>"), bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  Result<size_t> read_some(uint64_t offset, size_t n, void* dst) override;
  const std::byte* memory() const override { return bytes_.data(); }

 private:
  std::span<const std::byte> bytes_;
};

/// Puts up to `n` bytes at `dst` and returns how many, 0 at the end, or an error.
using ReadCallback = std::function<Result<size_t>(void* dst, size_t n)>;

/// A stream read once from front to back. What has been read stays in segments; a tensor announced by keep() gets a segment of its
/// own, which view() then hands out, so its bytes are not copied again.
class StreamSource final : public Source {
 public:
  StreamSource(ReadCallback read, std::shared_ptr<Allocator> allocator);
  uint64_t size() const override { return ended_ ? total_ : UINT64_MAX; }
  Result<size_t> read_some(uint64_t offset, size_t n, void* dst) override;
  Status keep(uint64_t offset, uint64_t size) override;
  View view(uint64_t offset, uint64_t size, size_t alignment) override;

 private:
  struct Segment {
    uint64_t start = 0;
    size_t used = 0;
    std::shared_ptr<Buffer> buffer;
    uint64_t end() const { return start + used; }
  };
  Status fill_to(uint64_t end);
  Status add_segment(size_t capacity);
  size_t find(uint64_t offset) const;

  ReadCallback read_;
  std::shared_ptr<Allocator> allocator_;
  std::vector<Segment> segments_;
  uint64_t total_ = 0;
  bool ended_ = false;
};

}  // namespace tenon::onnx
