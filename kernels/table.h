// A kernel family is a table of rows, best first, the plain reference last. The operator asks the table once, when a plan is
// made; tests and benchmarks walk the same table.
#pragma once

#include <cstddef>

#include "kernels/kernel.h"

namespace tenon::kernels {

template <class Params>
struct Row {
  const char* name;
  /// Null when this row can do it, otherwise why not (a static string shown by `tenon inspect --kernels`).
  const char* (*refuse)(const Params&);
  /// The function for the instruction set in use (see dispatch.h).
  Kernel<Params> (*pointer)();
};

/// A span of rows; `Table<P>{rows}` over a static array.
template <class Params>
struct Table {
  const char* family;
  const Row<Params>* rows;
  size_t size;
  const Row<Params>* begin() const { return rows; }
  const Row<Params>* end() const { return rows + size; }
};

}  // namespace tenon::kernels
