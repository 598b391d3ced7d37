// The models of tests/data, by name.
#pragma once

#include <string>

inline std::string model_path(const std::string& name) { return std::string(TENON_TEST_DATA) + "/" + name; }
