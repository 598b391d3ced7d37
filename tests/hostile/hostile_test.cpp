// Loads and runs every case of cases.py from a path, from memory and from a stream, each in a process of its own, and checks the class of
// the answer, the words of its message, the time and the memory it took.
//   test_hostile MANIFEST [--only ID] [--verbose]
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "importers/onnx/load.h"
#include "plan/model.h"

namespace {

using namespace tenon;
using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSeconds = 10;
constexpr long kMegabytes = 2048;  // shadow memory and quarantine
#elif defined(TENON_EMULATED)      // an instruction there takes many
constexpr double kSeconds = 10;
constexpr long kMegabytes = 256;
#else
constexpr double kSeconds = 1;
constexpr long kMegabytes = 256;
#endif
constexpr int kPatience = 30;  // seconds of wall clock: the machine may be busy

struct Case {
  std::string id, file, expected, what;
  std::vector<std::string> words;
  std::map<std::string, std::string> options;
};

enum class Entry { kPath, kBytes, kStream };
const char* name_of(Entry e) { return e == Entry::kPath ? "path" : e == Entry::kBytes ? "bytes" : "stream"; }

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> out;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, by);) {
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

Result<std::vector<Case>> read_manifest(const std::string& path) {
  std::ifstream in(path);
  if (!in) return error(Code::kIo, "cannot read ", path);
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  std::vector<Case> cases;
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells;
    std::stringstream row(line);
    for (std::string cell; std::getline(row, cell, '\t');) cells.push_back(cell);
    if (cells.size() != 6) return error(Code::kIo, "bad line in ", path, ": ", line);
    Case c{cells[0], directory + cells[1], cells[2], cells[5], split(cells[3], '|'), {}};
    for (const std::string& option : split(cells[4], ' ')) {
      const size_t eq = option.find('=');
      c.options[option.substr(0, eq)] = option.substr(eq + 1);
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

/// An input of the declared type, unknown dims 1, every element 1 (or "a"); a sequence of two of these.
Result<Tensor> sample(const Type& type) {
  if (type.structure.sequence) {
    TENON_ASSIGN(const Tensor item, sample(Type::of(type.dtype, type.shape)));
    return Tensor::sequence(type.dtype, {item, item});
  }
  Dims dims;
  if (type.ranked()) {
    for (const Dim& d : type.shape) dims.push_back(d.is_const() ? d.value() : 1);
  }
  TENON_ASSIGN(Tensor t, Tensor::allocate(type.dtype, dims));
  if (type.dtype == DType::kString) return t;
  std::memset(t.data(), 0, t.bytes());
  dispatch<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, bool>(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < t.count(); ++i) t.as<T>()[i] = static_cast<T>(1);
  });
  return t;
}

/// Loads as the C API does. `bytes` holds the file for as long as the model may read from it.
Result<onnx::ImportedModel> load(const Case& c, Entry entry, std::string& bytes) {
  onnx::LoadOptions options;
  options.read_late = true;
  if (entry == Entry::kPath) return onnx::load(c.file, options);
  options.directory = c.file.substr(0, c.file.rfind('/'));
  std::ifstream in(c.file, std::ios::binary);
  if (entry == Entry::kBytes) {
    bytes.assign((std::istreambuf_iterator<char>(in)), {});
    return onnx::load(std::as_bytes(std::span(bytes.data(), bytes.size())), options);
  }
  return onnx::load(
      [&](void* to, size_t n) -> Result<size_t> {
        in.read(static_cast<char*>(to), static_cast<std::streamsize>(n));
        return static_cast<size_t>(in.gcount());
      },
      options);
}

/// A file cut to nothing, and whole again at the end.
struct Truncated {
  std::string path, bytes;
  void start(const std::string& file) {
    path = file;
    std::ifstream in(path, std::ios::binary);
    bytes.assign((std::istreambuf_iterator<char>(in)), {});
    if (truncate(path.c_str(), 0) != 0) path.clear();
  }
  ~Truncated() {
    if (!path.empty()) std::ofstream(path, std::ios::binary) << bytes;
  }
};

Status load_and_run(const Case& c, Entry entry) {
  std::string bytes;
  TENON_ASSIGN(onnx::ImportedModel imported, load(c, entry, bytes));
  Truncated truncated;
  if (const auto file = c.options.find("truncate"); file != c.options.end())
    truncated.start(c.file.substr(0, c.file.rfind('/') + 1) + file->second);
  ModelOptions options;
  options.threads = 1;
  RunOptions run;
  if (const auto m = c.options.find("memory"); m != c.options.end()) options.memory_limit = std::stoull(m->second) << 20;
  if (const auto d = c.options.find("deadline"); d != c.options.end())
    run.deadline = Clock::now() + std::chrono::milliseconds(std::stoi(d->second));
  TENON_ASSIGN(const auto model, Model::create(std::move(imported.graph), options));
  std::vector<Tensor> inputs;
  for (const ValueInfo& v : model->inputs()) {
    TENON_ASSIGN(Tensor t, sample(v.type));
    inputs.push_back(std::move(t));
  }
  std::vector<Tensor> outputs(model->outputs().size());
  return model->run(inputs, outputs, run);
}

struct Answer {
  std::string klass, message, trouble;
  double seconds = 0;
  long megabytes = 0;
};

Answer ask(const Case& c, Entry entry) {
  int ends[2];
  if (pipe(ends) != 0) return {"", "", "no pipe", 0, 0};
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(kPatience + 5);
    const Status status = load_and_run(c, entry);
    const std::string text = std::string(status.ok() ? "accept" : code_name(status.code())) + "\n" + status.message();
    for (size_t at = 0; at < text.size();) {
      const ssize_t n = write(ends[1], text.data() + at, text.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    close(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  Answer answer;
  std::string text;
  const auto end = Clock::now() + std::chrono::seconds(kPatience);
  for (char buffer[4096];;) {
    pollfd p{ends[0], POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0 || poll(&p, 1, static_cast<int>(left)) <= 0) {
      kill(child, SIGKILL);
      answer.trouble = "no answer in " + std::to_string(kPatience) + " s";
      break;
    }
    const ssize_t n = read(ends[0], buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  answer.seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  answer.megabytes = used.ru_maxrss >> 10;
  if (answer.trouble.empty() && WIFSIGNALED(status)) answer.trouble = std::string("killed by ") + strsignal(WTERMSIG(status));
  if (answer.trouble.empty() && WEXITSTATUS(status) != 0) answer.trouble = "exit code " + std::to_string(WEXITSTATUS(status));
  const size_t line = text.find('\n');
  answer.klass = text.substr(0, line);
  if (line != std::string::npos) answer.message = text.substr(line + 1);
  return answer;
}

/// What is wrong with an answer; empty when nothing is.
std::string judge(const Case& c, const Answer& a) {
  if (!a.trouble.empty()) return a.trouble;
  if (c.expected == "error" ? a.klass == "accept" || a.klass == "internal" : a.klass != c.expected)
    return "expected " + c.expected + ", got " + a.klass;
  if (a.klass != "accept") {
    for (const std::string& word : c.words) {
      if (a.message.find(word) == std::string::npos) return "the message lacks '" + word + "'";
    }
  }
  char text[64];
  // Loops that run until a limit stops them take what the limit gives.
  if (a.seconds > kSeconds && !c.options.contains("deadline")) {
    std::snprintf(text, sizeof text, "took %.2f s of processor time", a.seconds);
    return text;
  }
  if (a.megabytes > kMegabytes) return "took " + std::to_string(a.megabytes) + " MiB";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string only;
  bool verbose = false;
  for (int i = 2; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
    if (!std::strcmp(argv[i], "--verbose")) verbose = true;
  }
  const auto cases = read_manifest(argv[1]);
  if (!cases.ok()) {
    std::printf("%s\n", cases.status().message().c_str());
    return 77;  // skipped: nothing was generated
  }
  std::signal(SIGPIPE, SIG_IGN);
  int asked = 0, wrong = 0;
  for (const Case& c : *cases) {
    if (!only.empty() && c.id.rfind(only, 0) != 0) continue;
    for (const Entry entry : {Entry::kPath, Entry::kBytes, Entry::kStream}) {
      ++asked;
      const Answer answer = ask(c, entry);
      const std::string fault = judge(c, answer);
      if (fault.empty() && !verbose) continue;
      wrong += !fault.empty();
      std::printf("%s %s (%s), %s: %s\n    %.3f s, %ld MiB, %s: %s\n", fault.empty() ? "ok   " : "WRONG", c.id.c_str(), c.what.c_str(),
                  name_of(entry), fault.c_str(), answer.seconds, answer.megabytes, answer.klass.c_str(), answer.message.c_str());
      if (!fault.empty()) break;  // the other entries say the same
    }
  }
  std::printf("%zu cases, %d questions, %d wrong\n", cases->size(), asked, wrong);
  return wrong == 0 ? 0 : 1;
}
