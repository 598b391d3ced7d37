// What the opaque handles of tenon.h are.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capi/guard.h"
#include "plan/model.h"

struct tenon_tensor {
  tenon::Tensor tensor;
};

struct tenon_cancel {
  std::atomic<bool> flag{false};
};

struct tenon_profile {
  std::unique_ptr<tenon::Profile> profile;
  int64_t begin_ns = 0;
  mutable std::mutex mutex;
  mutable std::vector<tenon::Profile::Event> seen;  ///< copied out for readers; its strings are what events point to
};

namespace tenon::capi {

/// The host's threads.
class HostThreads : public ThreadProvider {
 public:
  explicit HostThreads(const tenon_thread_pool& pool) : pool_(pool) {}
  void run(int n, void (*fn)(void* arg, int index), void* arg) override { pool_.run(pool_.user, n, fn, arg); }

 private:
  tenon_thread_pool pool_;
};

/// Strings and arrays behind a tenon_value_info.
struct ValueText {
  std::string name;
  DType dtype = DType::kUndefined;
  int rank = -1;
  std::vector<int64_t> dims;
  std::vector<std::string> dim_texts;
  std::vector<tenon_string> dim_names;
  uint32_t flags = 0;
};
ValueText describe(std::string name, const Type& type);
tenon_value_info info_of(const ValueText& v);

/// Strings and arrays behind a tenon_node_info.
struct NodeText {
  NodeId id = kNone;
  std::string name, op, domain, shape, refusals, note;
  int64_t opset = 0;
  int32_t depth = 0;
  const char* kernel = "";
  std::vector<std::string> input_names, output_names;
  std::vector<tenon_string> inputs, outputs;
};

/// A model with what the C API keeps beside it; shared by its handle and its sessions.
struct ModelState {
  std::unique_ptr<HostThreads> threads;  ///< outlives the model
  std::shared_ptr<Model> model;
  std::vector<Tensor> defaults;  ///< an input each; empty handles where it may not be left out
  std::vector<ValueText> inputs, outputs;
  std::string name, producer, source;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< sorted by key
  uint64_t parameter_count = 0, parameter_bytes = 0;
  int64_t load_ns = 0;
  std::string cache_file, cache_note;
  uint64_t cache_bytes = 0;
  mutable std::atomic<uint64_t> runs{0};

  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<NodeText>> nodes;  ///< made when first asked for
  mutable bool explained = false;                        ///< kernels are those that tenon_model_explain found
  /// Texts that tenon_model_explain replaced: strings given out stay valid.
  mutable std::deque<std::string> retired;
};

/// The engine's run options from the caller's. The cancel flag lives as long as the caller's token.
Result<RunOptions> engine_options(const tenon_run_options& options);

/// Most threads that options may ask for.
inline constexpr int32_t kMaxThreads = 1024;

/// Refuses outputs given by the caller whose memory overlaps that of an input or of another output.
Status check_overlap(const ModelState& state, std::span<const Tensor> inputs, std::span<const Tensor> outputs);

/// Index of a name among inputs or outputs; an argument error that lists them otherwise.
Result<size_t> find_value(const std::vector<ValueText>& values, std::string_view name, const char* what);

}  // namespace tenon::capi

struct tenon_model {
  std::shared_ptr<tenon::capi::ModelState> state;
};

struct tenon_session {
  std::shared_ptr<const tenon::capi::ModelState> state;
  std::unique_ptr<tenon::Session> session;
  std::vector<tenon::Tensor> inputs, outputs;
  tenon::Wanted wanted;       ///< outputs to compute
  std::vector<bool> bound;    ///< outputs that are the caller's
  std::vector<bool> varying;  ///< outputs whose dims depend on data: own memory is given up before a run
  bool replan = true;         ///< input dims or wanted outputs changed since the last run
  bool rebound = true;        ///< something was bound since the last run
  bool has_run = false;
  mutable std::vector<tenon_tensor> given;  ///< what tenon_session_output hands out
};
