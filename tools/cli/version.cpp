// tenon version: the build, the CPU, and what is supported.
#include <iostream>

#include "app.h"

namespace tenon::cli {
namespace {

struct Version {
  bool json = false, operators = false;
  int operator()() const;
};

int Version::operator()() const {
  tenon_build_info info{};
  info.size = sizeof info;
  detail::must(tenon_get_build_info, &info);
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; operators && i < tenon_operator_count(); ++i) {
    tenon_operator_info o{};
    o.size = sizeof o;
    detail::must(tenon_get_operator, i, &o);
    const std::string domain = o.domain.size ? std::string(view(o.domain)) : "ai.onnx";
    list.push_back({{"domain", domain}, {"name", std::string(view(o.name))}, {"opset_min", o.opset_min}, {"opset_max", o.opset_max}});
    rows.push_back({domain, std::string(view(o.name)), std::to_string(o.opset_min) + " to " + std::to_string(o.opset_max)});
  }
  if (json) {
    Json j = {{"version", std::string(view(info.version))}, {"compiler", std::string(view(info.compiler))},
              {"cpu", std::string(view(info.cpu))},         {"cpus", info.cpus},
              {"ir", {info.ir_min, info.ir_max}},           {"opset", {info.opset_min, info.opset_max}},
              {"operator_count", tenon_operator_count()},   {"openmp", info.openmp != 0},
              {"onednn", std::string(view(info.onednn))}};
    if (operators) j["operators"] = list;
    print_json(j);
    return kOk;
  }
  std::cout << "tenon " << view(info.version) << "\n"
            << "  built with   " << view(info.compiler) << (info.openmp ? ", OpenMP" : "") << "\n"
            << "  CPU          " << view(info.cpu) << ", " << info.cpus << " usable\n"
            << "  oneDNN       " << view(info.onednn) << "\n"
            << "  ONNX         IR " << info.ir_min << " to " << info.ir_max << ", opset " << info.opset_min << " to " << info.opset_max
            << ", " << tenon_operator_count() << " operators\n";
  if (operators) {
    std::cout << "\n";
    print_table({"domain", "operator", "opsets"}, rows);
  }
  return kOk;
}

}  // namespace

Action add_version(CLI::App& app) {
  auto command = std::make_shared<Version>();
  CLI::App* sub = app.add_subcommand("version", "Print the version, the CPU and what is supported");
  sub->add_flag("--json", command->json, "Print JSON");
  sub->add_flag("--operators", command->operators, "List the supported operators");
  return [command] { return (*command)(); };
}

}  // namespace tenon::cli
