// What a model file may ask for at most. A file is untrusted input: every loop and allocation it can drive is bounded by one of these.
#pragma once

#include <cstdint>

namespace tenon::onnx {

struct Limits {
  int64_t nodes = 1'000'000;                     ///< nodes, functions expanded and subgraphs included
  int rank = 16;                                 ///< dims of a tensor or a graph input
  int subgraph_depth = 32;                       ///< If in Loop in If ...
  int function_depth = 100;                      ///< function that calls a function ...
  int nesting = 100;                             ///< messages within messages on the wire
  int64_t structure_bytes = int64_t{512} << 20;  ///< of the file without the contents of its tensors
  /// Of one dense tensor made from a sparse one, unless four times its bytes in the file are more.
  int64_t expanded_bytes = int64_t{64} << 20;
  /// Of one value that constants alone decide (ConstantOfShape, Expand, Tile ...), beyond four times the size of the file.
  int64_t constant_bytes = int64_t{256} << 20;
};

}  // namespace tenon::onnx
