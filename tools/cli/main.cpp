// The command line: `tenon run | inspect | bench | optimize | version | completion`.
#include <csignal>
#include <cstdio>
#include <iostream>

#include "app.h"

namespace tenon::cli {

const char* const kExitCodes =
    "Exit codes:\n"
    "  0    success\n"
    "  1    the results differ from those expected (run --expect, optimize --check)\n"
    "  2    the command line is wrong\n"
    "  3    an input or output file of the command could not be read or written\n"
    "  11   an input does not fit the model        12   the model could not be loaded\n"
    "  13   shapes inside the model do not fit     14   a run failed on its values\n"
    "  15   a limit or the timeout was reached     16   cancelled\n"
    "  17   out of memory                          18   the model file could not be read\n"
    "  19   an internal error of the library       130  interrupted (Ctrl-C)\n";

namespace {

int report(const CLI::App& app, bool json, const std::string& text, Json details, int code) {
  if (json) {
    print_json({{"error", std::move(details)}});
  } else {
    const bool color = color_of(stderr);
    std::cerr << (color ? "\033[1;31m" : "") << "tenon" << (app.get_name().empty() ? "" : " " + app.get_name())
              << (color ? ":\033[0m " : ": ") << text << "\n";
  }
  return code;
}

int run_action(const CLI::App& command, const Action& action) {
  const CLI::Option* flag = command.get_option_no_throw("--json");
  const bool json = flag && flag->count() > 0;
  try {
    const int code = action();
    std::cout.flush();
    if (std::cout.fail()) return kFile;
    return code;
  } catch (const Failure& f) {
    return report(command, json, f.text, {{"code", "command"}, {"message", f.text}}, f.exit);
  } catch (const Error& e) {
    const Json details = {{"code", std::string(name_of(e.code()))},
                          {"message", e.message()},
                          {"text", e.text()},
                          {"node", e.node()},
                          {"op", e.op()},
                          {"domain", e.domain()},
                          {"opset", e.opset()},
                          {"tensor", e.tensor()},
                          {"source", e.source()}};
    const bool interrupted = e.code() == Code::kCancelled && interrupt_token().cancelled();
    return report(command, json, e.message(), details, interrupted ? kInterrupted : kEngine + static_cast<int>(e.code()));
  } catch (const std::bad_alloc&) {
    return report(command, json, "out of memory", {{"code", "nomem"}, {"message", "out of memory"}}, kEngine + int{TENON_NOMEM});
  } catch (const std::exception& e) {
    return report(command, json, e.what(), {{"code", "internal"}, {"message", e.what()}}, kEngine + int{TENON_INTERNAL});
  }
}

int run_command_line(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Tenon runs ONNX models.", "tenon");
  app.footer(kExitCodes);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.set_version_flag("--version", std::string(version()));
  const Action actions[] = {add_run(app), add_inspect(app), add_bench(app), add_optimize(app), add_version(app), add_completion(app)};
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  const auto commands = app.get_subcommands([](CLI::App*) { return true; });
  for (size_t i = 0; i < commands.size(); ++i) {
    if (commands[i]->parsed()) return run_action(*commands[i], actions[i]);
  }
  return kUsage;
}

}  // namespace
}  // namespace tenon::cli

int main(int argc, char** argv) {
  try {
    return tenon::cli::run_command_line(argc, argv);
  } catch (const std::exception& e) {  // before a command is known, or while a failure is reported
    std::fprintf(stderr, "tenon: %s\n", e.what());
    return tenon::cli::kEngine + int{TENON_INTERNAL};
  }
}
