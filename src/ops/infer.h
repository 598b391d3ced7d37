// Helpers for type inference. Every message they make says what was expected and what came; the graph adds node, operator and
// tensor name. Inputs may be unranked and dims symbolic: inference then says as much as is certain, and errors only on what is
// certainly wrong.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "ops/type.h"

namespace tenon::ops {

/// Inputs in [min, max] many, the first `min` of them present. Left-out optional inputs are Type::none() or missing at the end.
Status expect_inputs(const Types& in, int min, int max);
inline Status expect_inputs(const Types& in, int n) { return expect_inputs(in, n, n); }
inline bool has(const Types& in, int i) { return i < static_cast<int>(in.size()) && in[i].present(); }

Status expect_dtype(const Types& in, int i, std::initializer_list<DType> allowed);
Status expect_float(const Types& in, int i);    ///< float16, bfloat16, float32, float64
Status expect_numeric(const Types& in, int i);  ///< floats and integers
Status expect_integer(const Types& in, int i);
Status expect_bool(const Types& in, int i);
Status expect_index(const Types& in, int i);  ///< int32 or int64
Status expect_same_dtype(const Types& in, int i, int j);
Status expect_rank(const Types& in, int i, int rank);  ///< no error while unranked
Status expect_rank_at_least(const Types& in, int i, int rank);
Status expect_plain(const Types& in);  ///< every input in plain layout
/// An error that names input i, for conditions the helpers above do not cover.
template <class... Parts>
Status input_error(int i, const Parts&... parts) {
  return shape_error("input ", i, " ", parts...);
}

/// axis in [-rank, rank-1] (or [-rank, rank] when `allow_end`), made non-negative.
Result<int64_t> normal_axis(int64_t axis, int rank, std::string_view name = "axis", bool allow_end = false);

/// The elements of input i when they are known: integers exactly, possibly symbolic. nullopt when they are not.
std::optional<DimList> contents_of(const Types& in, int i);
/// The same when all elements are constant numbers.
std::optional<std::vector<int64_t>> ints_of(const Types& in, int i);
/// The elements of a constant float (or integer) input.
std::optional<std::vector<double>> doubles_of(const Types& in, int i);

/// Numpy broadcasting of two shapes (unranked if either is). Error when two constant dims differ and neither is 1.
Result<Shape> broadcast(const Shape& a, const Shape& b);
/// True, false, or unknown.
std::optional<bool> dims_equal(const Dim& a, const Dim& b);

}  // namespace tenon::ops
