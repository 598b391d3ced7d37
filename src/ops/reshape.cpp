#include "ops/reshape.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

namespace {

Shape unknown_shape(int64_t rank) {
  DimList dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(Dim::unknown());
  return dims;
}

/// A shape of as many unknown dims as vector input i has elements, plus `more`.
Shape shape_of_length(const Types& in, int i, int64_t more = 0) {
  constexpr int64_t kMost = 64;  // a longer one is refused once its contents are known
  if (!in[i].ranked() || in[i].rank() != 1 || !in[i].shape[0].is_const()) return Shape::unranked();
  const int64_t rank = in[i].shape[0].value() + more;
  return rank < 0 || rank > kMost ? Shape::unranked() : unknown_shape(rank);
}

/// The quotient of two products of dims, equal factors taken out first, so that a dim of 0 common to both does no harm.
Result<Dim> quotient(DimList above, DimList below, const Shape& from) {
  for (auto b = below.begin(); b != below.end();) {
    const auto a = std::find(above.begin(), above.end(), *b);
    if (a == above.end()) {
      ++b;
    } else {
      above.erase(a);
      b = below.erase(b);
    }
  }
  const Dim n = Shape(above).count(), d = Shape(below).count();
  if (!n.is_const() || !d.is_const()) return Dim::floor_div(n, d);
  if (d.is(0) || n.value() % d.value() != 0) {
    return shape_error("shape: -1 cannot be filled in: input 0 of shape ", from.str(), " does not divide into ", Shape(below).str());
  }
  return Dim(n.value() / d.value());
}

/// A product of const dims that is sure to fit, or an error.
Result<Dim> checked_count(const DimList& dims, const char* name) {
  Dim n = Shape(dims).count();
  const bool all_const = std::all_of(dims.begin(), dims.end(), [](const Dim& d) { return d.is_const(); });
  if (all_const && !n.is_const()) return shape_error(name, ": the product of ", Shape(dims).str(), " overflows");
  return n;
}

}  // namespace

Result<Types> infer(const Reshape& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  TENON_TRY(expect_rank(in, 1, 1));
  const Type& data = in[0];
  const auto target = contents_of(in, 1);
  if (!target) return Types{Type::of(data.dtype, shape_of_length(in, 1))};

  // `open` elements are left to the count of the input: -1, or one that nothing is known about.
  DimList out, others;
  int open = -1, opens = 0;
  bool minus_one = false, zero = false;
  for (size_t i = 0; i < target->size(); ++i) {
    Dim d = (*target)[i];
    if (d.is(-1) || !is_certain(d)) {
      if (d.is(-1) && minus_one) return shape_error("shape ", Shape(*target).str(), " has more than one -1");
      minus_one |= d.is(-1);
      open = static_cast<int>(i);
      ++opens;
      out.push_back(Dim::unknown());
      continue;
    }
    if (d.is_const() && d.value() < 0) {
      return shape_error("shape ", Shape(*target).str(), " has the negative dim ", d.value(), "; only -1 has a meaning");
    }
    zero |= d.is(0);
    if (d.is(0) && !op.allow_zero) {
      if (data.ranked() && static_cast<int>(i) >= data.rank()) {
        return shape_error("shape ", Shape(*target).str(), " copies dim ", i, " of input 0, which has rank ", data.rank());
      }
      d = data.ranked() ? data.shape[i] : Dim::unknown();
    }
    out.push_back(d);
    others.push_back(d);
  }
  if (minus_one && zero && op.allow_zero) {
    return shape_error("shape ", Shape(*target).str(), " has both -1 and 0, which allowzero forbids");
  }
  TENON_ASSIGN(const Dim rest, checked_count(others, "shape"));
  if (opens == 1 && data.ranked()) {
    if (minus_one) {
      TENON_ASSIGN(out[open], quotient(data.shape.dims(), others, data.shape));
    } else if (!rest.is(0)) {
      out[open] = Dim::floor_div(data.shape.count(), rest);
    }
  } else if (opens == 0 && data.ranked() && rest.is_const()) {
    const Dim have = data.shape.count();
    if (have.is_const() && have.value() != rest.value()) {
      return shape_error("input 0 of shape ", data.shape.str(), " has ", have.value(), " elements, but shape ", Shape(out).str(), " needs ",
                         rest.value());
    }
  }
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Reshape&, const BindContext&) { return view_step(); }

Result<Types> infer(const Flatten& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  if (!in[0].ranked()) return Types{Type::of(in[0].dtype, unknown_shape(2))};
  int64_t axis = in[0].rank();  // allowed, and what every negative axis is counted from
  if (op.axis != axis) {
    TENON_ASSIGN(axis, normal_axis(op.axis, in[0].rank()));
  }
  const auto& dims = in[0].shape.dims();
  const auto split = dims.begin() + axis;
  TENON_ASSIGN(const Dim rows, checked_count({dims.begin(), split}, "axis"));
  TENON_ASSIGN(const Dim columns, checked_count({split, dims.end()}, "axis"));
  return Types{Type::of(in[0].dtype, Shape{rows, columns})};
}

Result<Step> bind(const Flatten&, const BindContext&) { return view_step(); }

namespace {

/// The axes of input 1 as a mask over `rank` dims.
Result<std::vector<bool>> axes_mask(const std::vector<int64_t>& axes, int rank) {
  std::vector<bool> mask(static_cast<size_t>(rank), false);
  for (const int64_t a : axes) {
    TENON_ASSIGN(const int64_t axis, normal_axis(a, rank, "axes"));
    if (mask[axis]) return shape_error("axes name dim ", axis, " twice");
    mask[axis] = true;
  }
  return mask;
}

Status expect_axes(const Types& in) {
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  if (in[1].ranked() && in[1].rank() > 1) return input_error(1, "has rank ", in[1].rank(), ", expected axes of rank 1");
  return {};
}

}  // namespace

Result<Types> infer(const Squeeze&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 2));
  TENON_TRY(expect_plain(in));
  const Type& data = in[0];
  if (!has(in, 1)) {
    DimList out;
    if (!data.ranked()) return Types{Type::unranked(data.dtype)};
    for (const Dim& d : data.shape) {
      if (!d.is_const()) return Types{Type::unranked(data.dtype)};  // it may be 1
      if (!d.is(1)) out.push_back(d);
    }
    return Types{Type::of(data.dtype, Shape(std::move(out)))};
  }
  TENON_TRY(expect_axes(in));
  const auto axes = ints_of(in, 1);
  if (!axes) {
    if (!data.ranked() || !in[1].is_static()) return Types{Type::unranked(data.dtype)};
    const int64_t rank = data.rank() - in[1].shape.count().value();
    return Types{rank < 0 ? Type::unranked(data.dtype) : Type::of(data.dtype, unknown_shape(rank))};
  }
  if (!data.ranked()) return Types{Type::unranked(data.dtype)};
  TENON_ASSIGN(const auto mask, axes_mask(*axes, data.rank()));
  DimList out;
  for (int i = 0; i < data.rank(); ++i) {
    const Dim& d = data.shape[i];
    if (!mask[i]) {
      out.push_back(d);
    } else if (d.is_const() && !d.is(1)) {
      return shape_error("axes name dim ", i, " of input 0, which is ", d.value(), " (shape ", data.shape.str(), "), expected 1");
    }
  }
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Squeeze&, const BindContext&) { return view_step(); }

Result<Types> infer(const Unsqueeze&, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_axes(in));
  const Type& data = in[0];
  if (!data.ranked()) return Types{Type::unranked(data.dtype)};
  const auto axes = ints_of(in, 1);
  if (!axes) {
    return Types{
        Type::of(data.dtype, in[1].ranked() && in[1].rank() == 0 ? unknown_shape(data.rank() + 1) : shape_of_length(in, 1, data.rank()))};
  }
  TENON_ASSIGN(const auto mask, axes_mask(*axes, data.rank() + static_cast<int>(axes->size())));
  DimList out;
  int from = 0;
  for (const bool inserted : mask) out.push_back(inserted ? Dim(1) : data.shape[from++]);
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Unsqueeze&, const BindContext&) { return view_step(); }

}  // namespace tenon::ops
