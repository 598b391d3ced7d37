// External tensor data, confined to the model's directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "importers/onnx/source.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

/// Opens the data files a model names. A location is a relative path of plain names below the directory: no "..", no absolute path, no
/// symbolic link in any component, no hard link, nothing but a regular file; so a model cannot make the engine read what lies elsewhere.
/// One kind of link is followed, for caches that keep files under their hashes and link names to them: where the model's own path is a
/// link, a link beside it to another file of the folder the model really lies in. Loading the model there could read that file as well.
class ExternalFiles {
 public:
  /// An empty directory refuses every location (a model from memory without the option).
  ExternalFiles(std::string directory, bool map) : directory_(std::move(directory)), map_(map) {}
  ~ExternalFiles();
  ExternalFiles(const ExternalFiles&) = delete;
  ExternalFiles& operator=(const ExternalFiles&) = delete;

  /// Says that `path`, opened as `model`, may be a link: the one case in which links are followed.
  void allow_links_like(const std::string& path, const FileSource& model);

  Result<std::shared_ptr<Source>> open(std::string_view location);
  /// Compares the SHA-1 of a whole file, as open() returned it, with 40 hexadecimal digits. Each file is read for this once.
  Status verify(Source& file, std::string_view checksum, const Watch& watch);
  /// Closes files that nobody else holds.
  void forget() { open_.clear(); }

 private:
  /// The file a link in the model's directory names when it may be followed, otherwise below 0.
  int follow(int directory, const std::string& name) const;

  std::string directory_;
  bool map_;
  int directory_fd_ = -1;
  int linked_fd_ = -1;  ///< the folder that links may lead into
  std::unordered_map<std::string, std::shared_ptr<Source>> open_;
  std::unordered_map<std::string, std::string> checksums_;  ///< by location
};

}  // namespace tenon::onnx
