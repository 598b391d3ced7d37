// Laying out buffers of known size and lifetime in one arena.
#pragma once

#include <cstddef>
#include <vector>

namespace tenon {

struct Lifetime {
  size_t bytes = 0;
  int first = 0;      ///< step that writes it
  int last = 0;       ///< last step that touches it
  size_t offset = 0;  ///< result
};

/// Gives every buffer an offset (a multiple of 64) so that buffers alive at the same time do not overlap; returns the arena's size.
/// Greedy by size, best fit among the gaps (the "greedy by size" strategy of Pisarchyk and Lee, "Efficient Memory Management for Deep
/// Neural Net Inference", 2020).
size_t pack_lifetimes(std::vector<Lifetime>& buffers);

}  // namespace tenon
