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

/// A row out of a line of a family's .inc: `when`, an expression of `p` (const Params&), says that the row can do it, `why` why not
/// otherwise.
#define TENON_KERNEL_ROW(Params, Name, when, why) \
  {#Name, []([[maybe_unused]] const Params& p) -> const char* { return (when) ? nullptr : why; }, Name##Pointer},

}  // namespace tenon::kernels
