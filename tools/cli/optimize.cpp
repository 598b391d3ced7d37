// tenon optimize: what the passes do to a model, whether they keep its results, and which rewrite does not.
#include <iostream>

#include "graphviz.h"
#include "values.h"

namespace tenon::cli {
namespace {

struct Optimize {
  ModelOptions model;
  RandomOptions random;
  std::vector<std::string> inputs;
  std::string output;
  bool check = false, bisect = false;
  double rtol = 1e-3, atol = 1e-4;

  void add_to(CLI::App& app);
  int operator()();

 private:
  Model load_plain() const;
  Difference difference(const Outputs& expected, const Inputs& in, int64_t steps) const;
};

void Optimize::add_to(CLI::App& app) {
  model.add_to(app);
  app.add_option("-o,--output", output, "Write the optimised graph: .txt, .dot or .svg")->type_name("FILE");
  app.add_flag("--check", check, "Compare the results with those of the graph as it was; exit code 1 when they differ");
  app.add_flag("--bisect", bisect, "Find the first rewrite after which the results differ");
  app.add_option("-i,--input", inputs, "An input for --check, as for tenon run (default: random)")
      ->type_name("NAME=FILE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  random.add_to(app);
  app.add_option("--rtol", rtol, "Relative tolerance of --check")->capture_default_str();
  app.add_option("--atol", atol, "Absolute tolerance of --check")->capture_default_str();
}

Model Optimize::load_plain() const {
  ModelOptions plain = model;
  plain.no_optimize = true;
  return plain.load();
}

Difference Optimize::difference(const Outputs& expected, const Inputs& in, int64_t steps) const {
  ModelOptions limited = model;
  if (steps >= 0) limited.pass_steps = steps;
  Options options = limited.load_options();
  if (steps == 0) options.optimize(false);
  const Outputs got = limited.load(options).run(in, {}, model.run_options());
  Difference worst;
  for (size_t i = 0; i < expected.size(); ++i) {
    Difference d = compare(got[i], expected[i], rtol, atol);
    d.text = (got.begin() + static_cast<std::ptrdiff_t>(i))->first + ": " + d.text;
    if (!d.equal || (worst.equal && d.worst > worst.worst)) worst = d;
    if (!d.equal) break;
  }
  return worst;
}

int Optimize::operator()() {
  const Model before = load_plain(), after = model.load();
  const tenon_model_info was = before.info(), is = after.info();
  int64_t rewrites = 0;
  Json passes = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const tenon_pass_info& p : after.passes()) {
    rewrites += p.rewrites;
    passes.push_back(
        {{"name", std::string(view(p.name))}, {"seconds", static_cast<double>(p.nanoseconds) * 1e-9}, {"rewrites", p.rewrites}});
    rows.push_back({std::to_string(p.rewrites), time_text(static_cast<double>(p.nanoseconds) * 1e-9), std::string(view(p.name))});
  }
  Json report = {
      {"model", model.path}, {"nodes_before", was.node_count}, {"nodes_after", is.node_count}, {"rewrites", rewrites}, {"passes", passes}};
  if (!model.json) {
    std::cout << was.node_count << " nodes before, " << is.node_count << " after " << rewrites << " rewrites\n\n";
    print_table({"rewrites", "time", "pass"}, rows, "rr");
  }

  int code = kOk;
  if (check || bisect) {
    Inputs in = read_inputs(before, inputs);
    std::vector<std::string> notes;
    random.dims = model.dim_values();
    for (auto& made : random_inputs(before, in, random, notes)) in.push_back(std::move(made));
    const Outputs expected = before.run(in, {}, model.run_options());
    const Difference all = difference(expected, in, -1);
    code = all.equal ? kOk : kDifferent;
    report["equal"] = all.equal, report["largest_difference"] = all.worst;
    if (!all.equal) report["difference"] = all.text;
    if (!model.json) std::cout << "\n" << (all.equal ? "same results; largest difference " + Json(all.worst).dump() : all.text) << "\n";
    if (bisect && !all.equal) {
      int64_t good = 0, bad = rewrites;
      while (bad - good > 1) {
        const int64_t middle = good + (bad - good) / 2;
        (difference(expected, in, middle).equal ? good : bad) = middle;
      }
      report["first_bad_rewrite"] = bad;
      ModelOptions stopped = model;
      stopped.pass_steps = bad;
      std::string culprit;
      int64_t done = 0;
      for (const tenon_pass_info& p : stopped.load().passes()) {
        if (p.rewrites > 0) culprit = view(p.name);
        done += p.rewrites;
      }
      report["last_pass"] = culprit;
      if (!model.json)
        std::cout << "the results differ from rewrite " << bad << " of " << rewrites << " on (compare --pass-steps " << good << " and "
                  << bad << ")\n";
    }
  }
  if (model.json) print_json(report);
  if (!output.empty()) {
    const bool is_svg = output.size() > 4 && output.compare(output.size() - 4, 4, ".svg") == 0;
    const bool is_dot = output.size() > 4 && output.compare(output.size() - 4, 4, ".dot") == 0;
    if (is_svg) write_svg(output, after.graph(TENON_GRAPH_DOT));
    else write_file(output, after.graph(is_dot ? TENON_GRAPH_DOT : TENON_GRAPH_TEXT));
  }
  return code;
}

}  // namespace

Action add_optimize(CLI::App& app) {
  auto command = std::make_shared<Optimize>();
  command->add_to(*app.add_subcommand("optimize", "Show what the optimiser does to a model, and check it"));
  return [command] { return (*command)(); };
}

}  // namespace tenon::cli
