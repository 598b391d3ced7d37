#include "base/weight_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>

#include "base/contents.h"
#include "base/load_memory.h"
#include "base/sha1.h"

namespace tenon {

namespace {

// The file: a page that begins with a Header; the bytes of the entries, each from a page boundary on and followed by slack; the index,
// which is the tag and then, for every entry, key, offset and bytes.
constexpr std::array<char, 8> kMagic{'T', 'E', 'N', 'O', 'N', 'W', 'C', '1'};
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxIndex = uint64_t{64} << 20;
constexpr size_t kDigest = 40;
constexpr size_t kBlock = size_t{8} << 20;  // written between two looks at `check`

struct Header {
  std::array<char, 8> magic;
  uint64_t index_offset, index_bytes, tag_bytes;
  std::array<char, kDigest> index_digest;
};
struct Row {
  std::array<char, kDigest> key;
  uint64_t offset, bytes;
};

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string digest(std::string_view text) { return sha1_hex(std::span(text)); }

bool read_at(int fd, uint64_t offset, size_t n, void* to) {
  for (size_t done = 0; done < n;) {
    const ssize_t got = pread(fd, static_cast<char*>(to) + done, n - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

Status write_at(int fd, uint64_t offset, size_t n, const void* from, const std::function<Status()>& check) {
  for (size_t done = 0; done < n;) {
    TENON_TRY(check());
    const ssize_t put = pwrite(fd, static_cast<const char*>(from) + done, std::min(n - done, kBlock), static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return error(Code::kIo, "cannot write: ", std::strerror(put < 0 ? errno : ENOSPC));
    done += static_cast<size_t>(put);
  }
  return {};
}

uint64_t next_page(uint64_t at) { return (at + kPage - 1) / kPage * kPage; }

/// A regular file that nobody but the user and root can have written.
bool is_trusted(const struct stat& info) {
  return S_ISREG(info.st_mode) && (info.st_uid == geteuid() || info.st_uid == 0) && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Removes a file when leaving the scope, unless told otherwise.
struct Removal {
  const std::string& path;
  bool wanted = true;
  ~Removal() {
    if (wanted) unlink(path.c_str());
  }
};

}  // namespace

WeightCache::WeightCache(std::string directory, const std::string& name, std::string tag)
    : directory_(std::move(directory)), path_(directory_ + "/" + name), tag_(std::move(tag)) {
  read_index();
  if (!mapping_) index_.clear();
}

WeightCache::~WeightCache() = default;

void WeightCache::read_index() {
  const File file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat info;
  if (file.get() < 0 || fstat(file.get(), &info) != 0 || !is_trusted(info)) return;
  const auto size = static_cast<uint64_t>(info.st_size);
  Header header;
  if (size < kPage || !read_at(file.get(), 0, sizeof header, &header) || header.magic != kMagic) return;
  if (header.index_offset > size || header.index_bytes > size - header.index_offset || header.index_bytes > kMaxIndex) return;
  std::string text(header.index_bytes, '\0');
  if (!read_at(file.get(), header.index_offset, text.size(), text.data())) return;
  if (digest(text) != std::string_view(header.index_digest.data(), kDigest)) return;
  if (header.tag_bytes > text.size() || std::string_view(text).substr(0, header.tag_bytes) != tag_) return;
  const std::string_view rows = std::string_view(text).substr(header.tag_bytes);
  if (rows.size() % sizeof(Row) != 0) return;
  for (size_t at = 0; at < rows.size(); at += sizeof(Row)) {
    Row row;
    std::memcpy(&row, rows.data() + at, sizeof row);
    const bool inside = row.offset <= header.index_offset && row.bytes <= header.index_offset - row.offset &&
                        kSlack <= header.index_offset - row.offset - row.bytes;
    if (!inside || row.offset % kPage != 0) return;
    index_[std::string(row.key.data(), kDigest)] = {row.offset, row.bytes};
  }
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (at != MAP_FAILED) mapping_ = Buffer::borrow(at, size, [at, size] { munmap(at, size); });
}

std::shared_ptr<Buffer> WeightCache::find(const std::string& key, size_t bytes, bool ahead) {
  const auto found = index_.find(digest(key));
  if (found == index_.end() || found->second.bytes != bytes) return nullptr;
  std::byte* const at = mapping_->address() + found->second.offset;
  auto buffer = Buffer::borrow(at, bytes, [mapping = mapping_] {});
  kept_.push_back({found->first, buffer});
  found_bytes_ += bytes;
#if defined(MADV_POPULATE_READ)
  if (ahead) {  // where the system cannot, pages come when they are touched; its own may be larger than the file's
    const uint64_t before = found->second.offset % static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    madvise(at - before, bytes + before, MADV_POPULATE_READ);
  }
#endif
  return buffer;
}

void WeightCache::keep(const std::string& key, std::shared_ptr<Buffer> buffer) {
  kept_.push_back({digest(key), std::move(buffer)});
  changed_ = true;
}

Status WeightCache::write_to(int fd, const std::function<Status()>& check) const {
  std::string text = tag_;
  uint64_t end = kPage;
  std::set<std::string_view> written;  // two weights of a model may be the same
  for (const Kept& kept : kept_) {
    if (!written.insert(kept.key).second) continue;
    Row row{{}, end, kept.buffer->size()};
    std::copy_n(kept.key.data(), kDigest, row.key.data());
    text.append(reinterpret_cast<const char*>(&row), sizeof row);
    TENON_TRY(write_at(fd, end, kept.buffer->size(), kept.buffer->data(), check));
    end = next_page(end + kept.buffer->size() + kSlack);
  }
  Header header{kMagic, end, text.size(), tag_.size(), {}};
  std::copy_n(digest(text).data(), kDigest, header.index_digest.data());
  TENON_TRY(write_at(fd, end, text.size(), text.data(), check));
  // The bytes are on the disk before the name is: after a crash there is no file that looks whole and is not.
  TENON_TRY(write_at(fd, 0, sizeof header, &header, check));
  if (fdatasync(fd) != 0) return error(Code::kIo, "cannot write: ", std::strerror(errno));
  return {};
}

Status WeightCache::write(const std::function<Status()>& check) {
  const auto written = [&]() -> Status {
    if (!changed_) return {};
    std::error_code made;
    if (std::filesystem::create_directories(directory_, made)) {
      std::filesystem::permissions(directory_, std::filesystem::perms::owner_all, made);
    }
    if (made) return error(Code::kIo, "cannot make directory '", directory_, "': ", made.message());
    // One name for what is not whole yet: whoever holds the lock on it writes, and what a crash leaves is written over.
    const std::string part = path_ + ".part";
    const File file(::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
    if (file.get() < 0) return error(Code::kIo, "cannot write '", part, "': ", std::strerror(errno));
    struct stat mine, named;
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) return {};
    if (fstat(file.get(), &mine) != 0 || stat(part.c_str(), &named) != 0 || mine.st_ino != named.st_ino || mine.st_dev != named.st_dev) {
      return {};  // renamed by its writer between our open() and flock()
    }
    if (!is_trusted(mine)) return error(Code::kIo, "'", part, "' can be written by others");
    Removal removal{part};
    if (ftruncate(file.get(), 0) != 0) return error(Code::kIo, "cannot write '", part, "': ", std::strerror(errno));
    if (Status s = write_to(file.get(), check); !s.ok()) return std::move(s).at_source(part);
    if (rename(part.c_str(), path_.c_str()) != 0) return error(Code::kIo, "cannot rename '", part, "': ", std::strerror(errno));
    removal.wanted = false;
    return {};
  };
  Status status = written();
  kept_.clear();
  changed_ = false;
  return status;
}

namespace {

constexpr size_t kLooksAt = size_t{1} << 20;  // elements in memory are told by their digest up to this size

/// Says what the elements of `t` are; empty where that cannot be told. `cache`: that of its load, if it has one.
std::string identity_of(const Tensor& t, std::shared_ptr<WeightCache>& cache) {
  const Contents* contents = t.buffer()->contents();
  Origin origin = contents ? contents->origin() : Origin();
  if (origin.cache) {
    cache = std::move(origin.cache);
    return origin.identity + "+" + std::to_string(t.offset()) + " " + t.str();
  }
  if (!t.in_place() || t.bytes() > kLooksAt) return {};
  return "elements " + sha1_hex(std::span(t.as<const std::byte>(), t.bytes())) + " " + t.str();
}

}  // namespace

Result<std::shared_ptr<Buffer>> kept_or_made(std::initializer_list<const Tensor*> sources, std::string_view recipe, size_t bytes,
                                             std::shared_ptr<Allocator> allocator, const std::function<Status(std::byte*)>& make) {
  std::shared_ptr<WeightCache> cache;
  std::string key(recipe);
  const auto has_origin = [](const Tensor* t) { return t && t->buffer()->contents() && t->buffer()->contents()->origin().cache; };
  if (std::any_of(sources.begin(), sources.end(), has_origin)) {
    for (const Tensor* source : sources) {
      const std::string identity = source ? identity_of(*source, cache) : "none";
      if (identity.empty()) {
        cache = nullptr;
        break;
      }
      key += "\n" + identity;
    }
  }
  if (cache) {
    if (auto buffer = cache->find(key, bytes, true)) return buffer;
  }
  TENON_ASSIGN(auto buffer, Buffer::allocate(bytes, allocator ? std::move(allocator) : LoadMemory::lasting()));
  TENON_TRY(make(buffer->data()));
  if (cache) cache->keep(key, buffer);
  return buffer;
}

}  // namespace tenon
