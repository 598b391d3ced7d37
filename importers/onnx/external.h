// External tensor data, confined to the model's directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "importers/onnx/source.h"

namespace tenon::onnx {

/// Opens the data files a model names. A location is a relative path of plain names below the directory: no "..", no absolute path, no
/// symbolic link in any component, no hard link, nothing but a regular file; so a model cannot make the engine read what lies elsewhere.
class ExternalFiles {
 public:
  /// An empty directory refuses every location (a model from memory without the option).
  ExternalFiles(std::string directory, bool map) : directory_(std::move(directory)), map_(map) {}
  ~ExternalFiles();
  ExternalFiles(const ExternalFiles&) = delete;
  ExternalFiles& operator=(const ExternalFiles&) = delete;

  Result<std::shared_ptr<Source>> open(std::string_view location);
  /// Closes files that nobody else holds.
  void forget() { open_.clear(); }

 private:
  std::string directory_;
  bool map_;
  int directory_fd_ = -1;
  std::unordered_map<std::string, std::shared_ptr<Source>> open_;
};

}  // namespace tenon::onnx
