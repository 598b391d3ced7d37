#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Dim i of the output is dim perm[i] of the input; an empty perm reverses the dims.
struct Transpose {
  std::vector<int64_t> perm;

  bool operator==(const Transpose&) const = default;
};

/// (data) -> (transposed: same dtype).
Result<Types> infer(const Transpose&, const Types& in);
Result<Step> bind(const Transpose&, const BindContext&);

/// perm in full for a tensor of `rank` dims; an error when it is no permutation of them.
Result<std::vector<int64_t>> full_perm(const Transpose& op, int rank);

}  // namespace tenon::ops
