#pragma once

#include <string>

namespace tenon::cli {

/// Draws a graph in Graphviz's language with its program `dot`. Failure when that is not installed.
void write_svg(const std::string& path, const std::string& dot);

}  // namespace tenon::cli
