// What the commands of `tenon` share.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tenon/tenon.hpp"

namespace tenon::cli {

using Json = nlohmann::ordered_json;

/// Exit codes, as `tenon --help` lists them. An error of the engine is 10 + its class (tenon_status).
enum Exit : int { kOk = 0, kDifferent = 1, kUsage = 2, kFile = 3, kEngine = 10, kInterrupted = 130 };
extern const char* const kExitCodes;

/// A command that failed for a reason that is not the engine's.
struct Failure {
  int exit;
  std::string text;
};

/// Options of every command that loads a model.
struct ModelOptions {
  std::string path, cache;
  int threads = 0;
  double timeout = 0;             // seconds, 0: none
  std::vector<std::string> dims;  // name=value
  std::vector<std::string> disabled_passes;
  std::vector<std::string> extra_outputs;
  int64_t pass_steps = 0;
  uint64_t memory_mb = 0;
  bool no_optimize = false, no_onednn = false, strict = false, openmp = false, map = false, verify_checksums = false, json = false,
       quiet = false;

  void add_to(CLI::App& app);
  std::map<std::string, int64_t> dim_values() const;
  Options load_options() const;
  RunOptions run_options() const;
  /// Loads with a progress bar on the terminal when it takes long. Ctrl-C cancels.
  Model load() const { return load(load_options()); }
  Model load(Options options) const;
};

/// Ctrl-C cancels what uses this token; a second one kills the process.
CancelToken interrupt_token();

// Printing.
bool color_of(FILE* stream);
std::string bold(const std::string& text);
std::string type_text(const ValueInfo& v);
std::string type_text(const Tensor& t);
std::string bytes_text(double bytes);
std::string time_text(double seconds);
std::string count_text(uint64_t n);
/// Columns as wide as their widest cell; numbers (columns named in `right`) to the right. The last cell of a row that is shorter than the
/// head may run on over the columns after it.
void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows, const std::string& right = "");
Json type_json(const ValueInfo& v);
void print_json(const Json& json);
bool ends_with(std::string_view text, std::string_view tail);
std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);
/// The figures of /proc/self/status in bytes: "VmRSS", "VmHWM"; 0 where there are none.
uint64_t process_memory(const char* field);

// Commands: each adds itself to the app and returns what to do when it was chosen.
using Action = std::function<int()>;
Action add_run(CLI::App& app);
Action add_inspect(CLI::App& app);
Action add_bench(CLI::App& app);
Action add_optimize(CLI::App& app);
Action add_version(CLI::App& app);
Action add_completion(CLI::App& app);

}  // namespace tenon::cli
