#include "ops/infer.h"

#include <algorithm>

namespace tenon {

namespace ops {

Status expect_inputs(const Types& in, int min, int max) {
  int given = static_cast<int>(in.size());
  while (given > 0 && !in[given - 1].present()) --given;
  if (given < min || given > max) {
    return shape_error("has ", given, " inputs, expected ",
                       min == max ? std::to_string(min) : std::to_string(min) + " to " + std::to_string(max));
  }
  for (int i = 0; i < min; ++i) {
    if (!in[i].present()) return input_error(i, "is left out, but it is required");
  }
  return {};
}

namespace {
Status expect_if(const Types& in, int i, bool good, const char* expected) {
  return good ? Status() : input_error(i, "has dtype ", name_of(in[i].dtype), ", expected ", expected);
}
}  // namespace

Status expect_dtype(const Types& in, int i, std::initializer_list<DType> allowed) {
  if (std::find(allowed.begin(), allowed.end(), in[i].dtype) != allowed.end()) return {};
  std::string names;
  for (const DType d : allowed) names += (names.empty() ? "" : ", ") + std::string(name_of(d));
  return input_error(i, "has dtype ", name_of(in[i].dtype), ", expected ", allowed.size() > 1 ? "one of " : "", names);
}
Status expect_float(const Types& in, int i) {
  return expect_if(in, i, is_float(in[i].dtype), "a float type (float16, bfloat16, float32, float64)");
}
Status expect_numeric(const Types& in, int i) { return expect_if(in, i, is_numeric(in[i].dtype), "a float or integer type"); }
Status expect_integer(const Types& in, int i) { return expect_if(in, i, is_integer(in[i].dtype), "an integer type"); }
Status expect_bool(const Types& in, int i) { return expect_if(in, i, in[i].dtype == DType::kBool, "bool"); }
Status expect_index(const Types& in, int i) {
  return expect_if(in, i, in[i].dtype == DType::kInt32 || in[i].dtype == DType::kInt64, "int32 or int64");
}

Status expect_same_dtype(const Types& in, int i, int j) {
  if (in[i].dtype == in[j].dtype) return {};
  return shape_error("inputs ", i, " and ", j, " must have the same dtype, but are ", name_of(in[i].dtype), " and ", name_of(in[j].dtype));
}

Status expect_rank(const Types& in, int i, int rank) {
  if (!in[i].ranked() || in[i].rank() == rank) return {};
  return input_error(i, "has rank ", in[i].rank(), " (shape ", in[i].shape.str(), "), expected rank ", rank);
}

Status expect_rank_at_least(const Types& in, int i, int rank) {
  if (!in[i].ranked() || in[i].rank() >= rank) return {};
  return input_error(i, "has rank ", in[i].rank(), " (shape ", in[i].shape.str(), "), expected rank ", rank, " or more");
}

Status expect_plain(const Types& in) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].present() && !in[i].layout.plain()) {
      return error(Code::kInternal, "input ", i, " has layout ", in[i].layout.str(), ", expected plain");
    }
  }
  return {};
}

Result<int64_t> normal_axis(int64_t axis, int rank, std::string_view name, bool allow_end) {
  const int64_t end = rank + (allow_end ? 1 : 0);
  if (axis < -end || axis >= end) {
    return shape_error(name, " ", axis, " is outside [", -end, ", ", end - 1, "] for rank ", rank);
  }
  return axis < 0 ? axis + end : axis;
}

std::optional<DimList> contents_of(const Types& in, int i) {
  if (!has(in, i)) return std::nullopt;
  if (in[i].contents) return in[i].contents;
  const Tensor* t = in[i].constant;
  if (!t || !(is_integer(t->dtype()) || t->dtype() == DType::kBool)) return std::nullopt;
  const std::vector<int64_t> values = t->to_ints();
  return DimList(values.begin(), values.end());
}

std::optional<std::vector<int64_t>> ints_of(const Types& in, int i) {
  if (!has(in, i)) return std::nullopt;
  if (const Tensor* t = in[i].constant) {
    if (is_integer(t->dtype()) || t->dtype() == DType::kBool) return t->to_ints();
    return std::nullopt;
  }
  if (!in[i].contents) return std::nullopt;
  std::vector<int64_t> out;
  for (const Dim& d : *in[i].contents) {
    if (!d.is_const()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

std::optional<std::vector<double>> doubles_of(const Types& in, int i) {
  if (!has(in, i)) return std::nullopt;
  if (const Tensor* t = in[i].constant) {
    if (is_numeric(t->dtype())) return t->to_doubles();
    return std::nullopt;
  }
  const auto ints = ints_of(in, i);
  if (!ints) return std::nullopt;
  return std::vector<double>(ints->begin(), ints->end());
}

std::optional<bool> dims_equal(const Dim& a, const Dim& b) {
  if (a == b) return true;
  const Dim difference = a - b;
  if (difference.is_const()) return difference.value() == 0;
  return std::nullopt;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  if (!a.ranked() || !b.ranked()) return Shape::unranked();
  const int rank = std::max(a.rank(), b.rank());
  DimList out(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const Dim da = ia < 0 ? Dim(1) : a[ia], db = ib < 0 ? Dim(1) : b[ib];
    if (da.is(1)) {
      out[i] = db;
    } else if (db.is(1) || da == db) {
      out[i] = da;
    } else if (da.is_const() && db.is_const()) {
      return shape_error("shapes ", a.str(), " and ", b.str(), " do not broadcast: ", da.value(), " against ", db.value());
    } else if (da.is_const()) {
      out[i] = da;  // the symbolic one must be 1 or equal
    } else if (db.is_const()) {
      out[i] = db;
    } else if (const Dim apart = da - db; apart.is_const()) {
      out[i] = Dim::unknown();  // never equal: one of them must turn out to be 1
    } else if (Dim::min(da, db) == da) {
      out[i] = db;  // min(n, 512) against n: equal, or no broadcast at all
    } else if (Dim::min(da, db) == db) {
      out[i] = da;
    } else {
      out[i] = Dim::unknown();
    }
  }
  return Shape(std::move(out));
}

}  // namespace ops
}  // namespace tenon
