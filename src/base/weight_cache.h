// Weights in the form in which kernels read them, kept in a file from one load of a model to the next: what one load has packed, the
// next one maps. Processes that map the same file share its pages.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"

namespace tenon {

/// The cache of one model. Used by the thread that loads it; what find() returns may go anywhere, and outlive the cache.
class WeightCache {
 public:
  /// The file `name` of `directory`. `tag` says what the bytes depend on beside their keys: the code that packs, the instruction set. A file
  /// that is missing, damaged, of another tag, or that somebody else than the user (or root) owns or may write counts as empty.
  WeightCache(std::string directory, const std::string& name, std::string tag);
  ~WeightCache();
  WeightCache(const WeightCache&) = delete;
  WeightCache& operator=(const WeightCache&) = delete;

  /// The bytes kept under `key`, followed by 64 readable ones, in a mapping that must not be written; null when there are none, or not so
  /// many. `ahead`: brings their pages into the process at once, for bytes that every run reads.
  std::shared_ptr<Buffer> find(const std::string& key, size_t bytes, bool ahead);
  /// Leaves `buffer`, which nobody changes any more, for write().
  void keep(const std::string& key, std::shared_ptr<Buffer> buffer);

  /// Puts the file, with all that was found and kept, in the place of the old one when anything new was kept, and lets go of the buffers.
  /// The directory is made when missing, for the user alone. Readers see the old file or the new one, never a part, whatever happens
  /// meanwhile. When another process is just writing the same file, nothing is done. `check` is asked between blocks and stops the work
  /// with its error. Errors: kIo.
  Status write(const std::function<Status()>& check);

  const std::string& path() const { return path_; }
  size_t found_bytes() const { return found_bytes_; }
  /// Whether anything was found or kept before write().
  bool used() const { return !kept_.empty(); }

 private:
  struct Entry {
    uint64_t offset, bytes;
  };
  struct Kept {
    std::string key;
    std::shared_ptr<Buffer> buffer;
  };
  void read_index();
  Status write_to(int fd, const std::function<Status()>& check) const;

  std::string directory_, path_, tag_;
  std::shared_ptr<Buffer> mapping_;  ///< the whole file; null when it counts as empty
  std::map<std::string, Entry> index_;
  std::vector<Kept> kept_;
  size_t found_bytes_ = 0;
  bool changed_ = false;  ///< kept_ holds something that the file does not
};

/// `bytes` bytes made of the elements of `sources` (null: left out) alone, in the way that `recipe` names: from the cache of the load where
/// it can be told what the sources are and the bytes were kept there, else written by `make`, and kept. Errors are those of `make` and of
/// memory.
Result<std::shared_ptr<Buffer>> kept_or_made(std::initializer_list<const Tensor*> sources, std::string_view recipe, size_t bytes,
                                             std::shared_ptr<Allocator> allocator, const std::function<Status(std::byte*)>& make);

}  // namespace tenon
