#include "importers/onnx/external.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/sha1.h"
#include "importers/onnx/utf8.h"

namespace tenon::onnx {

namespace {

constexpr size_t kOpenFiles = 64;
constexpr size_t kChecksumPart = size_t{1} << 18;

/// The names of a location, or why it is refused.
Result<std::vector<std::string>> components(std::string_view location) {
  const std::string shown = printable(location);
  if (location.empty()) return load_error("location of external data is empty");
  if (location.find('\0') != std::string_view::npos) return load_error("location '", shown, "' of external data holds a zero byte");
  if (location.front() == '/')
    return load_error("location '", shown, "' of external data is absolute, expected a path below the model's directory");
  if (location.size() > 4096) return load_error("location of external data has ", location.size(), " characters: '", shown, "'");
  std::vector<std::string> names;
  while (!location.empty()) {
    const size_t slash = location.find('/');
    const std::string_view name = location.substr(0, slash);
    location = slash == std::string_view::npos ? std::string_view{} : location.substr(slash + 1);
    if (slash != std::string_view::npos && location.empty()) return load_error("location '", shown, "' of external data names a directory");
    if (name == "..") return load_error("location '", shown, "' of external data leaves the model's directory");
    if (name.empty() || name == ".") continue;
    names.emplace_back(name);
  }
  if (names.empty()) return load_error("location '", shown, "' of external data names a directory, expected a regular file");
  if (names.size() > 64) return load_error("location '", shown, "' of external data has ", names.size(), " components");
  return names;
}

struct Descriptor {
  int fd = -1;
  bool owned = true;
  ~Descriptor() {
    if (owned && fd >= 0) close(fd);
  }
};

constexpr int kOpenFile = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/// Whether this open() failure is the model's fault rather than the machine's.
bool is_model_fault(int why) { return why == ENOENT || why == ELOOP || why == ENOTDIR || why == ENAMETOOLONG || why == ENXIO; }

}  // namespace

ExternalFiles::~ExternalFiles() {
  if (directory_fd_ >= 0) close(directory_fd_);
  if (linked_fd_ >= 0) close(linked_fd_);
}

void ExternalFiles::allow_links_like(const std::string& path, const FileSource& model) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) return;
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), std::free);
  if (!real) return;
  const std::string target = real.get();
  const size_t slash = target.rfind('/');
  Descriptor folder{::open(target.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  // Links may have changed meanwhile: it is the folder only if the model is in it.
  if (folder.fd < 0 || fstatat(folder.fd, target.c_str() + slash + 1, &info, AT_SYMLINK_NOFOLLOW) != 0 || !model.is(info)) return;
  linked_fd_ = folder.fd;
  folder.owned = false;
}

int ExternalFiles::follow(int directory, const std::string& name) const {
  if (linked_fd_ < 0) return -1;
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(directory, name.c_str(), target.data(), target.size());
  if (size <= 0 || static_cast<size_t>(size) == target.size()) return -1;
  target.resize(static_cast<size_t>(size));
  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  const std::string file = slash == std::string::npos ? target : target.substr(slash + 1);
  // Which folder it is, not how it is written, decides; and the file is opened in the one that is allowed.
  const Descriptor named{openat(directory, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  struct stat a, b;
  if (named.fd < 0 || fstat(named.fd, &a) != 0 || fstat(linked_fd_, &b) != 0) return -1;
  if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || file.empty() || file == "." || file == "..") return -1;
  return openat(linked_fd_, file.c_str(), kOpenFile);
}

Status ExternalFiles::verify(Source& file, std::string_view checksum, const Watch& watch) {
  const bool digits =
      checksum.size() == 40 && std::all_of(checksum.begin(), checksum.end(), [](unsigned char c) { return std::isxdigit(c); });
  if (!digits) return load_error("checksum '", printable(checksum), "' of external data is not a SHA-1 of 40 hexadecimal digits");
  std::string& known = checksums_[file.name()];
  if (known.empty()) {
    Sha1 sha1;
    std::vector<std::byte> room(kChecksumPart);
    for (uint64_t at = 0; at < file.size(); at += room.size()) {
      TENON_TRY(watch.check());
      const auto n = static_cast<size_t>(std::min<uint64_t>(room.size(), file.size() - at));
      TENON_TRY(file.read(at, n, room.data()));
      sha1.update(room.data(), n);
    }
    known = sha1.hex();
  }
  const bool same =
      std::equal(checksum.begin(), checksum.end(), known.begin(), [](unsigned char a, char b) { return std::tolower(a) == b; });
  if (!same) return load_error("external data '", printable(file.name()), "' has the SHA-1 ", known, ", expected ", checksum);
  return {};
}

Result<std::shared_ptr<Source>> ExternalFiles::open(std::string_view location) {
  const std::string key(location);
  if (const auto found = open_.find(key); found != open_.end()) return found->second;
  TENON_ASSIGN(const auto names, components(location));
  const std::string shown = printable(location);
  if (directory_.empty()) {
    return load_error("external data '", shown, "' needs the directory option: a model that is not loaded from a path has no directory");
  }
  if (directory_fd_ < 0) {
    directory_fd_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd_ < 0) return error(Code::kIo, "cannot open the model's directory '", directory_, "': ", std::strerror(errno));
  }
  Descriptor at{directory_fd_, false};
  for (size_t i = 0; i < names.size(); ++i) {
    const bool last = i + 1 == names.size();
    int fd = openat(at.fd, names[i].c_str(), kOpenFile | (last ? 0 : O_DIRECTORY));
    const int why = errno;
    if (fd < 0 && names.size() == 1) fd = follow(at.fd, names[i]);
    if (fd < 0) {
      struct stat info;
      // Which of the reasons for ELOOP and ENOTDIR it was.
      const bool link = fstatat(at.fd, names[i].c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
      if (link) return load_error("external data '", shown, "' is reached through a symbolic link, '", names[i], "'");
      if (why == ENXIO) return load_error("external data '", shown, "' is not a regular file");
      return error(is_model_fault(why) ? Code::kLoad : Code::kIo, "cannot open external data '", shown, "': ", std::strerror(why));
    }
    if (at.owned) close(at.fd);
    at.fd = fd;
    at.owned = true;
  }
  struct stat info;
  if (fstat(at.fd, &info) != 0) return error(Code::kIo, "cannot read external data '", shown, "': ", std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return load_error("external data '", shown, "' is not a regular file");
  if (info.st_nlink > 1) return load_error("external data '", shown, "' has ", info.st_nlink, " hard links, expected one");
  auto file = std::make_shared<FileSource>(at.fd, info, key, map_);
  at.owned = false;
  if (open_.size() >= kOpenFiles) open_.clear();
  open_.emplace(key, file);
  return std::shared_ptr<Source>(std::move(file));
}

}  // namespace tenon::onnx
