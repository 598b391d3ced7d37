// tenon completion: a completion script for bash or zsh, made from the commands and options the program has.
#include <iostream>
#include <sstream>

#include "app.h"

namespace tenon::cli {
namespace {

std::string quoted(const std::string& text) {
  std::string q;
  for (const char c : text)
    q += c == '\'' ? std::string("'\\''") : c == '[' || c == ']' || c == ':' ? std::string("\\") + c : std::string(1, c);
  return q;
}

std::vector<const CLI::Option*> options_of(const CLI::App& command) {
  std::vector<const CLI::Option*> result;
  for (const CLI::Option* o : command.get_options()) {
    if (!o->get_lnames().empty()) result.push_back(o);
  }
  return result;
}

std::string bash(const std::vector<const CLI::App*>& commands) {
  std::ostringstream out;
  std::string names;
  for (const CLI::App* c : commands) names += (names.empty() ? "" : " ") + c->get_name();
  out << "# eval \"$(tenon completion bash)\"\n_tenon() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W '"
      << names << " --help --version' -- \"$word\")); return; fi\n  local options=\n  case $command in\n";
  for (const CLI::App* c : commands) {
    std::string list;
    for (const CLI::Option* o : options_of(*c)) list += (list.empty() ? "--" : " --") + o->get_lnames()[0];
    if (c->get_name() == "completion") list += " bash zsh";
    out << "    " << c->get_name() << ") options='" << list << "' ;;\n";
  }
  out << "  esac\n"
         "  case $word in\n"
         "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
         "    *) if [ \"$command\" = completion ]; then COMPREPLY=($(compgen -W 'bash zsh' -- \"$word\")); else COMPREPLY=($(compgen -f -- "
         "\"${word#*=}\")); fi ;;\n"
         "  esac\n}\ncomplete -o filenames -o default -F _tenon tenon\n";
  return out.str();
}

std::string zsh(const std::vector<const CLI::App*>& commands) {
  std::ostringstream out;
  out << "#compdef tenon\n# tenon completion zsh > \"${fpath[1]}/_tenon\"\n_tenon() {\n  local -a commands\n  commands=(\n";
  for (const CLI::App* c : commands) out << "    '" << c->get_name() << ":" << quoted(c->get_description()) << "'\n";
  out << "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  case $words[2] in\n";
  for (const CLI::App* c : commands) {
    out << "    " << c->get_name() << ") _arguments";
    for (const CLI::Option* o : options_of(*c)) {
      const bool takes_value = o->get_items_expected_max() > 0 && o->get_type_size_max() > 0;
      const std::string name = o->get_lnames()[0];
      out << " \\\n      '" << (takes_value ? "*" : "") << "--" << name << "[" << quoted(o->get_description()) << "]"
          << (takes_value ? ":value:_files" : "") << "'";
    }
    out << (c->get_name() == "completion" ? " \\\n      '*:shell:(bash zsh)' ;;\n" : " \\\n      '*:model:_files -g \"*.onnx\"' ;;\n");
  }
  out << "  esac\n}\n_tenon \"$@\"\n";
  return out.str();
}

}  // namespace

Action add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("completion", "Print a completion script for a shell");
  sub->add_option("shell", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  return [&app, shell] {
    const auto commands = static_cast<const CLI::App&>(app).get_subcommands([](const CLI::App*) { return true; });
    std::cout << (*shell == "bash" ? bash(commands) : zsh(commands));
    return static_cast<int>(kOk);
  };
}

}  // namespace tenon::cli
