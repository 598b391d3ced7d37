#include "app.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace tenon::cli {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

/// A bar on stderr that appears only when the load has lasted a while.
class ProgressBar {
 public:
  explicit ProgressBar(bool on) : on_(on && isatty(fileno(stderr))) {}
  ~ProgressBar() {
    if (drawn_) std::cerr << "\r\033[K" << std::flush;
  }
  void update(std::string_view stage, uint64_t done, uint64_t total) {
    if (!on_ || seconds_since(start_) < 0.3 || seconds_since(last_) < 0.05) return;
    last_ = Clock::now();
    drawn_ = true;
    constexpr int kWidth = 30;
    const double part = total ? static_cast<double>(done) / static_cast<double>(total) : 0;
    const int filled = std::clamp(static_cast<int>(part * kWidth), 0, kWidth);
    std::cerr << "\r\033[K";
    for (int i = 0; i < kWidth; ++i) std::cerr << (i < filled ? "█" : "░");
    std::cerr << " " << static_cast<int>(part * 100) << "% " << stage << std::flush;
  }

 private:
  bool on_, drawn_ = false;
  Clock::time_point start_ = Clock::now(), last_{};
};

tenon_cancel* interrupt_handle = nullptr;

void on_interrupt(int) {
  tenon_cancel_set(interrupt_handle);
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

CancelToken interrupt_token() {
  static const CancelToken token = [] {
    CancelToken t;
    interrupt_handle = t.get();
    std::signal(SIGINT, on_interrupt);
    return t;
  }();
  return token;
}

void ModelOptions::add_to(CLI::App& app) {
  app.add_option("model", path, "The ONNX file")->required()->type_name("MODEL");
  app.add_option("--threads", threads, "Threads of a run (default: every CPU)")->check(CLI::Range(0, 1024));
  app.add_option("--dim", dims, "Size of a symbolic dim of the inputs")
      ->type_name("NAME=SIZE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--timeout", timeout, "Seconds that the load and each run may take")->check(CLI::NonNegativeNumber);
  app.add_option("--memory-limit", memory_mb, "Megabytes that the model and its runs may hold");
  app.add_option("--disable-pass", disabled_passes, "Leave out a pass of the optimiser")
      ->type_name("NAME")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--pass-steps", pass_steps, "Stop optimising after so many rewrites");
  app.add_option("--extra-output", extra_outputs, "A value inside the model to give as an output")
      ->type_name("NAME")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--no-optimize", no_optimize, "Run the graph as the file has it");
  app.add_flag("--no-onednn", no_onednn, "Never choose a oneDNN kernel");
  app.add_flag("--strict", strict, "Convolve only by methods whose rounding error is that of the direct sum: no Winograd");
  app.add_flag("--openmp", openmp, "Take threads from OpenMP");
  app.add_flag("--verify-checksums", verify_checksums, "Compare files of external data with the SHA-1 the model gives, where it does");
  app.add_option("--cache", cache, "Keep packed weights in this directory for the next load")->type_name("DIRECTORY");
  app.add_flag("--map", map, "View the weights in the mapped file (nobody may change it meanwhile)");
  app.add_flag("--json", json, "Print JSON");
  app.add_flag("--quiet", quiet, "No progress bar and no notes");
}

std::map<std::string, int64_t> ModelOptions::dim_values() const {
  std::map<std::string, int64_t> values;
  for (const std::string& text : dims) {
    const size_t at = text.rfind('=');
    char* end = nullptr;
    const int64_t value = at == std::string::npos ? -1 : std::strtoll(text.c_str() + at + 1, &end, 10);
    if (value < 0 || *end || end == text.c_str() + at + 1) throw Failure{kUsage, "--dim takes NAME=SIZE, got '" + text + "'"};
    values[text.substr(0, at)] = value;
  }
  return values;
}

Options ModelOptions::load_options() const {
  Options o;
  o.threads(threads)
      .optimize(!no_optimize)
      .onednn(!no_onednn)
      .strict(strict)
      .openmp(openmp)
      .map_weights(map)
      .verify_checksums(verify_checksums);
  if (!cache.empty()) o.cache_directory(cache);
  o.memory_limit(memory_mb << 20).pass_step_limit(pass_steps).cancel(interrupt_token());
  if (timeout > 0) o.deadline(std::chrono::milliseconds(static_cast<int64_t>(std::ceil(timeout * 1e3))));
  for (const auto& name : disabled_passes) o.disable_pass(name);
  for (const auto& name : extra_outputs) o.extra_output(name);
  for (const auto& [name, value] : dim_values()) o.dim(name, value);
  return o;
}

RunOptions ModelOptions::run_options() const {
  RunOptions o;
  o.cancel(interrupt_token());
  if (timeout > 0) o.deadline(std::chrono::milliseconds(static_cast<int64_t>(std::ceil(timeout * 1e3))));
  return o;
}

Model ModelOptions::load(Options options) const {
  ProgressBar bar(!quiet && !json);
  options.progress([&](std::string_view stage, uint64_t done, uint64_t total) {
    bar.update(stage, done, total);
    return true;
  });
  return Model::load(path, options);
}

bool color_of(FILE* stream) { return isatty(fileno(stream)) && !std::getenv("NO_COLOR"); }

std::string bold(const std::string& text) { return color_of(stdout) ? "\033[1m" + text + "\033[0m" : text; }

std::string type_text(const ValueInfo& v) {
  std::string dims;
  for (size_t i = 0; i < v.dims.size(); ++i) {
    if (i) dims += ", ";
    dims += v.dims[i] >= 0 ? std::to_string(v.dims[i]) : i < v.symbols.size() && !v.symbols[i].empty() ? std::string(v.symbols[i]) : "?";
  }
  std::string text = std::string(name_of(v.dtype)) + "[" + (v.ranked ? dims : "...") + "]";
  if (v.sequence) text = "sequence(" + text + ")";
  return v.nullable ? "optional(" + text + ")" : text;
}

std::string type_text(const Tensor& t) {
  const Span<const int64_t> dims = t.dims();
  std::string text(name_of(t.dtype()));
  if (t.kind() == Kind::kSequence) return "sequence of " + std::to_string(t.items().size()) + " " + text;
  if (t.kind() == Kind::kNone) return "none";
  text += "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

namespace {
std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}
}  // namespace

std::string bytes_text(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int u = 0;
  while (bytes >= 1000 && u < 4) bytes /= 1000, ++u;
  return format(u == 0 || bytes >= 100 ? "%.0f " : bytes >= 10 ? "%.1f " : "%.2f ", bytes) + units[u];
}

std::string time_text(double s) {
  if (s < 1e-3) return format(s < 1e-5 ? "%.2f µs" : "%.1f µs", s * 1e6);
  if (s < 1) return format(s < 1e-2 ? "%.3f ms" : s < 0.1 ? "%.2f ms" : "%.1f ms", s * 1e3);
  return format("%.2f s", s);
}

std::string count_text(uint64_t n) {
  std::string digits = std::to_string(n);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

namespace {
/// Terminal columns of UTF-8 text: its code points, which is right for what the tables hold.
size_t width(const std::string& s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}
}  // namespace

void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows, const std::string& right) {
  std::vector<size_t> widths(head.size(), 0);
  const auto measure = [&](const std::vector<std::string>& row) {
    const size_t n = row.size() < widths.size() ? row.size() - 1 : widths.size();
    for (size_t i = 0; i < n; ++i) widths[i] = std::max(widths[i], width(row[i]));
  };
  measure(head);
  for (const auto& row : rows) measure(row);
  const auto print = [&](const std::vector<std::string>& row, bool is_head) {
    std::string line = "  ";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - std::min(widths[i], width(row[i])), ' ');
      const bool to_right = i < right.size() && right[i] == 'r';
      line += to_right ? pad + row[i] : i + 1 < row.size() ? row[i] + pad : row[i];
      if (i + 1 < row.size()) line += "  ";
    }
    std::cout << (is_head ? bold(line) : line) << "\n";
  };
  print(head, true);
  for (const auto& row : rows) print(row, false);
}

Json type_json(const ValueInfo& v) {
  Json shape = nullptr;
  if (v.ranked) {
    shape = Json::array();
    for (size_t i = 0; i < v.dims.size(); ++i) {
      if (v.dims[i] >= 0) shape.push_back(v.dims[i]);
      else if (i < v.symbols.size() && !v.symbols[i].empty() && v.symbols[i] != "?") shape.push_back(std::string(v.symbols[i]));
      else shape.push_back(nullptr);
    }
  }
  return {{"name", std::string(v.name)},
          {"dtype", std::string(name_of(v.dtype))},
          {"shape", shape},
          {"optional", v.optional},
          {"sequence", v.sequence},
          {"nullable", v.nullable}};
}

// A name in a model may hold any bytes; what is not UTF-8 is replaced.
void print_json(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n"; }

bool ends_with(std::string_view text, std::string_view tail) {
  return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) throw Failure{kFile, "cannot read '" + path + "'"};
  return bytes;
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw Failure{kFile, "cannot write '" + path + "'"};
}

uint64_t process_memory(const char* field) {
  std::ifstream in("/proc/self/status");
  const std::string wanted = std::string(field) + ":";
  for (std::string word; in >> word;) {
    uint64_t kilobytes = 0;
    if (word == wanted && in >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace tenon::cli
