#include "importers/onnx/external.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "importers/onnx/utf8.h"

namespace tenon::onnx {

namespace {

constexpr size_t kOpenFiles = 64;

/// The names of a location, or why it is refused.
Result<std::vector<std::string>> components(std::string_view location) {
  const std::string shown = printable(location);
  if (location.empty()) return load_error("location of external data is empty");
  if (location.find('\0') != std::string_view::npos) return load_error("location '", shown, "' of external data holds a zero byte");
  if (location.front() == '/') return load_error("location '", shown, "' of external data is absolute, expected a path below the model's directory");
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

/// Whether this open() failure is the model's fault rather than the machine's.
bool is_model_fault(int why) { return why == ENOENT || why == ELOOP || why == ENOTDIR || why == ENAMETOOLONG || why == ENXIO; }

}  // namespace

ExternalFiles::~ExternalFiles() {
  if (directory_fd_ >= 0) close(directory_fd_);
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
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (last ? 0 : O_DIRECTORY);
    const int fd = openat(at.fd, names[i].c_str(), flags);
    if (fd < 0) {
      const int why = errno;
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
  auto file = std::make_shared<FileSource>(at.fd, static_cast<uint64_t>(info.st_size), key, map_);
  at.owned = false;
  if (open_.size() >= kOpenFiles) open_.clear();
  open_.emplace(key, file);
  return std::shared_ptr<Source>(std::move(file));
}

}  // namespace tenon::onnx
