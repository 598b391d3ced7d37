#include "graphviz.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "app.h"

extern char** environ;

namespace tenon::cli {

void write_svg(const std::string& path, const std::string& dot) {
  char source[] = "/tmp/tenon-graph-XXXXXX";
  const int file = mkstemp(source);
  if (file < 0) throw Failure{kFile, "cannot write a temporary file"};
  close(file);
  write_file(source, dot);
  std::string program = "dot", format = "-Tsvg", option = "-o", target = path, input = source;
  char* arguments[] = {program.data(), format.data(), option.data(), target.data(), input.data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "dot", nullptr, nullptr, arguments, environ);
  int status = 0;
  if (!failed) waitpid(child, &status, 0);
  unlink(source);
  // A program that could not be started shows as 127 where posix_spawn cannot tell.
  if (failed || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) throw Failure{kFile, "drawing needs Graphviz: apt-get install graphviz"};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Failure{kFile, "dot could not write '" + path + "'"};
}

}  // namespace tenon::cli
