// tenon run: one run of a model on given or random inputs; outputs printed, saved, compared.
#include <cmath>
#include <iostream>

#include "npy.h"
#include "values.h"

namespace tenon::cli {
namespace {

struct Run {
  ModelOptions model;
  RandomOptions random;
  std::vector<std::string> inputs, wanted, saves, expects;
  std::string save_all, profile;
  bool use_random = false, full = false;
  double rtol = 1e-3, atol = 1e-4;

  void add_to(CLI::App& app);
  int operator()();
};

std::pair<std::string, std::string> name_and_path(const std::string& text, const char* option) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) throw Failure{kUsage, std::string(option) + " takes NAME=FILE, got '" + text + "'"};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

struct Summary {
  double least = INFINITY, most = -INFINITY, mean = 0;
  bool numbers = false;
};

Summary summarise(const Tensor& t) {
  Summary s;
  if (t.dtype() == DType::kString || t.count() == 0) return s;
  s.numbers = true;
  for (size_t i = 0; i < t.count(); ++i) {
    const double v = element(t, i);
    s.least = std::min(s.least, v), s.most = std::max(s.most, v), s.mean += v;
  }
  s.mean /= static_cast<double>(t.count());
  return s;
}

Json output_json(const Tensor& t, bool full) {
  if (t.kind() == Kind::kNone) return nullptr;
  if (t.kind() == Kind::kSequence) {
    Json items = Json::array();
    for (const Tensor& item : t.items()) items.push_back(output_json(item, full));
    return {{"dtype", std::string(name_of(t.dtype()))}, {"items", items}};
  }
  Json j = {{"dtype", std::string(name_of(t.dtype()))}, {"shape", Dims(t.dims().begin(), t.dims().end())}};
  if (const Summary s = summarise(t); s.numbers) j["min"] = s.least, j["max"] = s.most, j["mean"] = s.mean;
  if (full || t.count() <= 1000) j["data"] = to_json(t);
  return j;
}

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", v);
  return text;
}

void save(const std::string& path, const Tensor& t) {
  if (ends_with(path, ".json")) {
    write_file(path, output_json(t, true).dump(2) + "\n");
  } else if (t.kind() == Kind::kSequence && ends_with(path, ".npz")) {
    std::vector<std::pair<std::string, Tensor>> items;
    for (const Tensor& item : t.items()) items.emplace_back("item_" + std::to_string(items.size()), item);
    write_npz(path, items);
  } else {
    write_file(path, format_npy(t));
  }
}

void print(const std::string& title, const Tensor& t, bool full) {
  std::cout << title << ": " << type_text(t) << "\n";
  if (t.kind() == Kind::kNone) return;
  if (t.kind() == Kind::kSequence) {
    size_t i = 0;
    for (const Tensor& item : t.items()) print("  [" + std::to_string(i++) + "]", item, full);
    return;
  }
  if (const Summary s = summarise(t); s.numbers && t.count() > 1) {
    std::cout << "  min " << number(s.least) << ", max " << number(s.most) << ", mean " << number(s.mean) << "\n";
  }
  std::cout << "  " << (full ? to_json(t).dump(-1, ' ', false, Json::error_handler_t::replace) : preview(t)) << "\n";
}

void Run::add_to(CLI::App& app) {
  const auto many = [&](const char* name, std::vector<std::string>& values, const char* help, const char* type) {
    app.add_option(name, values, help)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  model.add_to(app);
  many("-i,--input", inputs, "An input: a .npy, .npz, .pb or .json file, or JSON", "NAME=FILE");
  app.add_flag("--random", use_random, "Random values for the inputs that are not given");
  random.add_to(app);
  many("--output", wanted, "An output to compute (default: all)", "NAME");
  many("-o,--save", saves, "Save an output as .npy or .json", "NAME=FILE");
  app.add_option("--save-all", save_all, "Save all outputs as .npz")->type_name("FILE");
  many("--expect", expects, "Compare an output; exit code 1 when it differs", "NAME=FILE");
  app.add_option("--rtol", rtol, "Relative tolerance of --expect")->capture_default_str();
  app.add_option("--atol", atol, "Absolute tolerance of --expect")->capture_default_str();
  app.add_option("--profile", profile, "Write a Chrome trace of the run")->type_name("FILE");
  app.add_flag("--full", full, "Print every element");
}

int Run::operator()() {
  const Model m = model.load();
  Inputs in = read_inputs(m, inputs);
  std::vector<std::string> notes;
  if (use_random) {
    random.dims = model.dim_values();
    for (auto& made : random_inputs(m, in, random, notes)) in.push_back(std::move(made));
  }
  if (!model.quiet) {
    for (const auto& note : notes) std::cerr << "note: " << note << "\n";
  }
  RunOptions options = model.run_options();
  Profile recording;
  if (!profile.empty()) options.profile(recording);
  const auto start = std::chrono::steady_clock::now();
  const Outputs out = m.run(in, wanted, options);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!profile.empty()) write_file(profile, recording.json());

  for (const auto& text : saves) {
    const auto [name, path] = name_and_path(text, "--save");
    save(path, out[name]);
  }
  if (!save_all.empty()) write_npz(save_all, {out.begin(), out.end()});

  Json report = {{"model", model.path}, {"seconds", seconds}, {"outputs", Json::object()}};
  bool all_equal = true;
  std::vector<std::string> lines;
  for (const auto& text : expects) {
    const auto [name, path] = name_and_path(text, "--expect");
    const Tensor& got = out[name];
    const Difference d = compare(got, read_value(path, m.output(m.find_output(name))), rtol, atol);
    all_equal &= d.equal;
    lines.push_back(name + (d.equal ? ": as expected, largest difference " + number(d.worst) : ": " + d.text));
    report["expected"][name] = {{"equal", d.equal}, {"largest_difference", d.worst}, {"text", d.text}};
  }
  if (model.json) {
    for (const auto& [name, t] : out) report["outputs"][name] = output_json(t, full);
    print_json(report);
  } else {
    for (const auto& [name, t] : out) print(bold(name), t, full);
    for (const auto& line : lines) std::cout << line << "\n";
    if (!model.quiet) std::cout << "ran in " << time_text(seconds) << "\n";
  }
  return all_equal ? kOk : kDifferent;
}

}  // namespace

Action add_run(CLI::App& app) {
  auto command = std::make_shared<Run>();
  command->add_to(*app.add_subcommand("run", "Run a model once"));
  return [command] { return (*command)(); };
}

}  // namespace tenon::cli
