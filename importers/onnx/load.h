// From the bytes of an ONNX model to a graph.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "graph/graph.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/source.h"

namespace tenon::onnx {

inline constexpr int64_t kNewestIrVersion = 13;
inline constexpr int64_t kNewestOpset = 28;

struct LoadOptions {
  Limits limits;
  std::optional<std::chrono::steady_clock::time_point> deadline;
  const std::atomic<bool>* cancel = nullptr;  ///< set by another thread to stop the load
  std::function<void(double)> progress;       ///< called on the loading thread with the fraction done
  /// Views weights in a mapping of the file instead of reading them. Only for files that nobody changes while the model lives.
  bool map_weights = false;
  /// Leaves large tensors where they are until somebody needs them or Graph::settle() is called, which Model::create() does: weights then
  /// go from the file into their packed form at once. The file stays open until then, and bytes must not be freed before.
  bool read_late = false;
  /// Compares files of external data with the checksums the model gives, where it does: SHA-1 costs far more than reading.
  bool verify_checksums = false;
  /// Initializers that are also graph inputs stay inputs, with the initializer as their default.
  bool overridable_initializers = false;
  /// Declared types of intermediate values and outputs that contradict the inferred ones are errors.
  bool check_declared_types = true;
  /// Values that become outputs after the model's own, by the names the file gives them. Those of function bodies and of branches that are
  /// decided at load are "node name/value name"; what is inside the body of a node that stays an If, Loop or Scan cannot be named.
  std::vector<std::string> extra_outputs;
  /// Where external data lies. Empty: beside a model's file; a model from memory or a stream may then have none.
  std::string directory;
  std::shared_ptr<Allocator> allocator;  ///< of tensors; null for the process's own
  std::shared_ptr<WeightCache> cache;    ///< where packed weights are kept between loads; null for nowhere. Only for what comes from files
  /// Operators of the application, for what the table of ONNX operators does not have.
  std::vector<std::shared_ptr<const CustomOp>> custom;
};

struct ImportedModel {
  Graph graph;
  /// Defaults of graph inputs that may be left out (overridable_initializers).
  std::vector<std::pair<std::string, Tensor>> defaults;
  int64_t model_version = 0;
  std::string producer_version;
};

Result<ImportedModel> load(const std::string& path, const LoadOptions& options = {});
/// `bytes` may be freed once this returns (but see read_late).
Result<ImportedModel> load(std::span<const std::byte> bytes, const LoadOptions& options = {});
Result<ImportedModel> load(const ReadCallback& read, const LoadOptions& options = {});

}  // namespace tenon::onnx
