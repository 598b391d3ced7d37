// Which build of the library is running.
#pragma once

#include <string>

namespace tenon {

/// The linker's build id of the object that holds this code, in hexadecimal; empty where it has none.
std::string build_id();

}  // namespace tenon
