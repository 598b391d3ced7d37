#include "importers/onnx/source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tenon::onnx {

namespace {
constexpr size_t kSegment = size_t{64} << 10;
// A stream must deliver this much of a tensor before memory for all that it claims is taken.
constexpr size_t kTrusted = size_t{64} << 20;
constexpr size_t kKeepFrom = size_t{16} << 10;
constexpr size_t kSlack = 64;  // bytes after a tensor that kernels may read
}  // namespace

Status Source::read(uint64_t offset, size_t n, void* dst) {
  TENON_ASSIGN(const size_t got, read_some(offset, n, dst));
  if (got != n) {
    return load_error("truncated: '", name(), "' ends ", n - got, " bytes before position ", offset, " + ", n);
  }
  return {};
}

// --- files -----------------------------------------------------------------------------------------------------------------------

Result<std::shared_ptr<FileSource>> FileSource::open(const std::string& path, bool map) {
  if (path.find('\0') != std::string::npos) return error(Code::kArgument, "file name holds a zero byte");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return error(Code::kIo, "cannot open '", path, "': ", std::strerror(errno));
  struct stat info;
  if (fstat(fd, &info) != 0) {
    const int why = errno;
    close(fd);
    return error(Code::kIo, "cannot read '", path, "': ", std::strerror(why));
  }
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return error(Code::kIo, "'", path, "' is ", S_ISDIR(info.st_mode) ? "a directory, expected a file" : "not a regular file");
  }
  return std::make_shared<FileSource>(fd, info, path, map);
}

namespace {

std::string identity_of(const struct stat& info) {
  constexpr time_t kSettled = 2;  // seconds: no clock of a file system is coarser
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec - std::max(info.st_ctim.tv_sec, info.st_mtim.tv_sec) < kSettled) return {};
  std::string text = "file";
  for (const auto part : {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino), static_cast<int64_t>(info.st_size),
                          static_cast<int64_t>(info.st_mtim.tv_sec), static_cast<int64_t>(info.st_mtim.tv_nsec),
                          static_cast<int64_t>(info.st_ctim.tv_sec), static_cast<int64_t>(info.st_ctim.tv_nsec)}) {
    text += " " + std::to_string(part);
  }
  return text;
}

}  // namespace

FileSource::FileSource(int fd, const struct stat& info, std::string name, bool map)
    : Source(std::move(name)), fd_(fd), size_(static_cast<uint64_t>(info.st_size)), identity_(identity_of(info)), map_(map) {}

FileSource::~FileSource() { close(fd_); }

bool FileSource::is(const struct stat& other) const {
  struct stat mine;
  return fstat(fd_, &mine) == 0 && mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

Result<size_t> FileSource::read_some(uint64_t offset, size_t n, void* dst) {
  size_t done = 0;
  while (done < n) {
    if (offset + done > static_cast<uint64_t>(INT64_MAX)) break;
    const ssize_t got = pread(fd_, static_cast<char*>(dst) + done, n - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error(Code::kIo, "cannot read '", name(), "': ", std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Source::View FileSource::view(uint64_t offset, uint64_t size, size_t alignment) {
  if (!map_ || size == 0 || offset % alignment != 0 || offset > size_ || size > size_ - offset) return {};
  // The bytes after the file's end exist only up to the end of its last page.
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (offset + size + kSlack > (size_ + page - 1) / page * page) return {};
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!mapping_) {
    void* at = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (at == MAP_FAILED) {
      map_ = false;
      return {};
    }
    mapping_ = Buffer::borrow(at, size_, [at, bytes = size_] { munmap(at, bytes); });
  }
  return {mapping_, static_cast<size_t>(offset), true};
}

void forget_pages(std::byte* begin, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto at = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t from = (at + page - 1) / page * page, to = (at + bytes) / page * page;
  if (to > from) madvise(begin + (from - at), to - from, MADV_DONTNEED);
}

// --- memory ----------------------------------------------------------------------------------------------------------------------

Result<size_t> MemorySource::read_some(uint64_t offset, size_t n, void* dst) {
  if (offset >= bytes_.size()) return size_t{0};
  const size_t got = std::min<uint64_t>(n, bytes_.size() - offset);
  if (got) std::memcpy(dst, bytes_.data() + offset, got);
  return got;
}

// --- streams ---------------------------------------------------------------------------------------------------------------------

StreamSource::StreamSource(ReadCallback read, std::shared_ptr<Allocator> allocator)
    : Source("<stream>"), read_(std::move(read)), allocator_(std::move(allocator)) {}

Status StreamSource::add_segment(size_t capacity) {
  TENON_ASSIGN(auto buffer, Buffer::allocate(capacity, allocator_));
  segments_.push_back({total_, 0, std::move(buffer)});
  return {};
}

Status StreamSource::fill_to(uint64_t end) {
  while (!ended_ && total_ < end) {
    if (segments_.empty() || segments_.back().used == segments_.back().buffer->size()) TENON_TRY(add_segment(kSegment));
    Segment& last = segments_.back();
    const size_t room = std::min<uint64_t>(last.buffer->size() - last.used, end - total_);
    TENON_ASSIGN(const size_t got, read_(last.buffer->data() + last.used, room));
    if (got > room) return error(Code::kArgument, "the read callback returned ", got, " bytes, asked for at most ", room);
    if (got == 0) ended_ = true;
    last.used += got;
    total_ += got;
  }
  return {};
}

size_t StreamSource::find(uint64_t offset) const {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), offset, [](uint64_t at, const Segment& s) { return at < s.start; });
  return static_cast<size_t>(after - segments_.begin()) - 1;
}

Result<size_t> StreamSource::read_some(uint64_t offset, size_t n, void* dst) {
  TENON_TRY(fill_to(offset > UINT64_MAX - n ? UINT64_MAX : offset + n));
  if (offset >= total_) return size_t{0};
  const size_t wanted = std::min<uint64_t>(n, total_ - offset);
  size_t done = 0;
  for (size_t i = find(offset); done < wanted; ++i) {
    const Segment& s = segments_[i];
    const auto skip = static_cast<size_t>(offset + done - s.start);
    const size_t part = std::min(wanted - done, s.used - skip);
    std::memcpy(static_cast<char*>(dst) + done, s.buffer->data() + skip, part);
    done += part;
  }
  return wanted;
}

Status StreamSource::keep(uint64_t offset, uint64_t size) {
  if (size < kKeepFrom || offset < (segments_.empty() ? total_ : segments_.back().start)) return {};
  TENON_TRY(fill_to(offset));
  if (offset > total_) return {};  // the stream ended before
  const uint64_t end = offset > UINT64_MAX - size ? UINT64_MAX : offset + size;
  // Bytes at the end that the reader's window has already taken move to the new segment.
  const auto taken = static_cast<size_t>(std::min(total_, end) - offset);
  if (total_ > end) return {};
  TENON_ASSIGN(auto buffer, Buffer::allocate(std::min<uint64_t>(size, kTrusted), allocator_));
  if (taken) {
    Segment& last = segments_.back();
    std::memcpy(buffer->data(), last.buffer->data() + (offset - last.start), taken);
    last.used -= taken;
  }
  segments_.push_back({offset, taken, std::move(buffer)});
  TENON_TRY(fill_to(offset + segments_.back().buffer->size()));
  if (size <= kTrusted || total_ < offset + kTrusted) return {};
  TENON_ASSIGN(auto whole, Buffer::allocate(size, allocator_));
  std::memcpy(whole->data(), segments_.back().buffer->data(), kTrusted);
  segments_.back().buffer = std::move(whole);
  return fill_to(end);
}

Source::View StreamSource::view(uint64_t offset, uint64_t size, size_t alignment) {
  if (size < kKeepFrom || segments_.empty() || offset >= total_) return {};
  const Segment& s = segments_[find(offset)];
  if (offset != s.start || size != s.buffer->size() || s.used != size) return {};
  if (reinterpret_cast<uintptr_t>(s.buffer->data()) % alignment != 0) return {};
  return {s.buffer, 0, false};
}

}  // namespace tenon::onnx
