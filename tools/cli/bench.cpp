// tenon bench: how fast a model loads and runs, and where the time goes.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

#include "values.h"

namespace tenon::cli {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

struct Bench {
  ModelOptions model;
  RandomOptions random;
  std::vector<std::string> inputs;
  double seconds = 3, warmup = 0.5;
  int64_t runs = 0;
  int callers = 1;
  bool by_node = false, no_operators = false;

  void add_to(CLI::App& app);
  int operator()();
};

void Bench::add_to(CLI::App& app) {
  model.add_to(app);
  app.add_option("-i,--input", inputs, "An input, as for tenon run (default: random)")
      ->type_name("NAME=FILE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  random.add_to(app);
  app.add_option("--seconds", seconds, "How long to measure")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--warmup", warmup, "Seconds before measuring")->capture_default_str()->check(CLI::NonNegativeNumber);
  app.add_option("--runs", runs, "Measure this many runs of each caller instead")->check(CLI::PositiveNumber);
  app.add_option("--callers", callers, "Threads that call the model at once")->capture_default_str()->check(CLI::Range(1, 1024));
  app.add_flag("--by-node", by_node, "The table of time by node instead of by operator");
  app.add_flag("--no-operators", no_operators, "No table of time by operator");
}

/// One caller: a session with bound inputs, run over and over.
std::vector<double> measure(const Model& m, const Inputs& in, const RunOptions& options, double warmup, double seconds, int64_t runs) {
  Session session(m);
  for (const auto& [name, tensor] : in) session.bind_input(name, tensor);
  const auto begin = Clock::now();
  do session.run(options);
  while (since(begin) < warmup);
  std::vector<double> times;
  times.reserve(runs ? static_cast<size_t>(runs) : 1 << 16);
  const auto start = Clock::now();
  for (auto before = start;;) {
    session.run(options);
    const auto after = Clock::now();
    times.push_back(std::chrono::duration<double>(after - before).count());
    if (runs ? static_cast<int64_t>(times.size()) >= runs : std::chrono::duration<double>(after - start).count() >= seconds) break;
    before = after;
  }
  return times;
}

double percentile(const std::vector<double>& sorted, double p) {
  const auto rank = static_cast<size_t>(std::ceil(p / 100 * static_cast<double>(sorted.size())));
  return sorted[std::min(sorted.size() - 1, rank ? rank - 1 : 0)];
}

struct Share {
  std::string name, op, kernel;
  double seconds = 0;
  int64_t count = 0;
};

/// Time by operator and kernel (or by node) over a few profiled runs, most first. A control-flow operator counts without its bodies.
std::vector<Share> shares(const Model& m, const Inputs& in, const RunOptions& plain, double run_seconds, bool by_node, int64_t& profiled) {
  Profile profile;
  RunOptions options = plain;
  options.profile(profile);
  profiled = std::clamp(static_cast<int64_t>(0.5 / std::max(run_seconds, 1e-6)), int64_t{1}, int64_t{50});
  for (int64_t i = 0; i < profiled; ++i) (void)m.run(in, {}, options);
  std::map<std::string, Share> by_key;
  std::vector<std::pair<std::chrono::nanoseconds, std::chrono::nanoseconds>> done;  // start and duration of steps not inside a later one
  for (size_t i = 0; i < profile.size(); ++i) {
    const Profile::Event e = profile[i];
    const std::string key = by_node ? std::string(e.node) + "\n" + std::string(e.op) : std::string(e.op) + "\n" + std::string(e.kernel);
    Share& s = by_key[key];
    s.name = e.node, s.op = e.op, s.kernel = e.kernel;
    auto alone = e.duration;
    for (; !done.empty() && done.back().first >= e.start; done.pop_back()) alone -= done.back().second;
    done.emplace_back(e.start, e.duration);
    s.seconds += std::chrono::duration<double>(alone).count();
    ++s.count;
  }
  std::vector<Share> all;
  for (auto& [key, share] : by_key) all.push_back(std::move(share));
  std::sort(all.begin(), all.end(), [](const Share& a, const Share& b) { return a.seconds > b.seconds; });
  return all;
}

int Bench::operator()() {
  const auto load_start = Clock::now();
  const Model m = model.load();
  const double load_seconds = since(load_start);
  Inputs in = read_inputs(m, inputs);
  std::vector<std::string> notes;
  random.dims = model.dim_values();
  for (auto& made : random_inputs(m, in, random, notes)) in.push_back(std::move(made));
  if (!model.quiet) {
    for (const auto& note : notes) std::cerr << "note: " << note << "\n";
  }
  const auto first_start = Clock::now();
  (void)m.run(in, {}, model.run_options());
  const double first_seconds = since(first_start);

  std::vector<double> times;
  std::mutex mutex;
  std::optional<Error> failed;
  const auto wall_start = Clock::now();
  double measured_seconds = 0;
  const auto caller = [&] {
    try {
      const auto mine = measure(m, in, model.run_options(), warmup, seconds, runs);
      const std::lock_guard lock(mutex);
      times.insert(times.end(), mine.begin(), mine.end());
      measured_seconds += std::accumulate(mine.begin(), mine.end(), 0.0);
    } catch (const Error& e) {
      const std::lock_guard lock(mutex);
      failed = e;
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < callers; ++i) others.emplace_back(caller);
  caller();
  for (auto& t : others) t.join();
  if (failed) throw *failed;
  const double wall = since(wall_start);

  std::sort(times.begin(), times.end());
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size());
  const double rate = static_cast<double>(callers) / mean;
  const uint64_t resident = process_memory("VmRSS"), peak = process_memory("VmHWM");
  int64_t profiled = 0;
  std::vector<Share> table;
  if (!no_operators) table = shares(m, in, model.run_options(), mean, by_node, profiled);
  double total = 0;
  for (const Share& s : table) total += s.seconds;

  constexpr double kPercentiles[] = {50, 90, 95, 99};
  if (model.json) {
    Json j = {{"model", model.path},
              {"threads", model.threads},
              {"callers", callers},
              {"load_seconds", load_seconds},
              {"first_run_seconds", first_seconds},
              {"runs", times.size()},
              {"min", times.front()},
              {"mean", mean},
              {"max", times.back()}};
    for (const double p : kPercentiles) j["p" + std::to_string(static_cast<int>(p))] = percentile(times, p);
    j["runs_per_second"] = rate, j["resident_bytes"] = resident, j["resident_peak_bytes"] = peak, j["wall_seconds"] = wall;
    j["inputs"] = Json::object();
    for (const auto& [name, t] : in) j["inputs"][name] = type_text(t);
    j["operators"] = Json::array();
    for (const Share& s : table) {
      Json row = {{"op", s.op},
                  {"kernel", s.kernel},
                  {"count", s.count / profiled},
                  {"seconds", s.seconds / static_cast<double>(profiled)},
                  {"share", s.seconds / total}};
      if (by_node) row["node"] = s.name;
      j["operators"].push_back(std::move(row));
    }
    print_json(j);
    return kOk;
  }
  std::cout << bold(model.path) << "\n";
  for (const auto& [name, t] : in) std::cout << "  " << name << ": " << type_text(t) << "\n";
  std::cout << "\n  load       " << time_text(load_seconds) << "\n  first run  " << time_text(first_seconds) << "\n  memory     "
            << bytes_text(static_cast<double>(resident)) << " resident, peak " << bytes_text(static_cast<double>(peak)) << "\n\n";
  std::cout << "  " << count_text(times.size()) << " runs";
  if (callers > 1) std::cout << " by " << callers << " callers at once";
  std::cout << ", " << count_text(static_cast<uint64_t>(rate)) << " runs/s\n\n";
  std::vector<std::string> head = {"min"}, row = {time_text(times.front())};
  for (const double p : kPercentiles)
    head.push_back("p" + std::to_string(static_cast<int>(p))), row.push_back(time_text(percentile(times, p)));
  head.insert(head.end(), {"max", "mean"}), row.insert(row.end(), {time_text(times.back()), time_text(mean)});
  print_table(head, {row}, "rrrrrrr");
  if (!table.empty()) {
    std::cout << "\n";
    std::vector<std::vector<std::string>> rows;
    for (const Share& s : table) {
      char part[16];
      std::snprintf(part, sizeof part, "%.1f %%", total > 0 ? 100 * s.seconds / total : 0);
      rows.push_back({part, time_text(s.seconds / static_cast<double>(profiled)), std::to_string(s.count / profiled), s.op, s.kernel});
      if (by_node) rows.back().insert(rows.back().begin() + 3, s.name);
    }
    std::vector<std::string> columns = {"share", "time", "nodes", "operator", "kernel"};
    if (by_node) columns.insert(columns.begin() + 3, "node");
    print_table(columns, rows, "rrr");
  }
  return kOk;
}

}  // namespace

Action add_bench(CLI::App& app) {
  auto command = std::make_shared<Bench>();
  command->add_to(*app.add_subcommand("bench", "Measure how fast a model loads and runs, and where the time goes"));
  return [command] { return (*command)(); };
}

}  // namespace tenon::cli
