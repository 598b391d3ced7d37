#include "ops/range.h"

#include <cmath>

#include "kernels/movement/movement.h"
#include "ops/copy.h"

namespace tenon::ops {

namespace {

/// ceil((limit - start) / delta), at least 0, without overflow.
Result<int64_t> count_of(int64_t start, int64_t limit, int64_t delta) {
  if (delta == 0) return shape_error("delta is 0, expected another number");
  if (delta > 0 ? start >= limit : start <= limit) return int64_t{0};
  const uint64_t low = static_cast<uint64_t>(delta > 0 ? start : limit), high = static_cast<uint64_t>(delta > 0 ? limit : start);
  const uint64_t step = delta > 0 ? static_cast<uint64_t>(delta) : 0 - static_cast<uint64_t>(delta);
  const uint64_t n = (high - low - 1) / step + 1;
  if (n > static_cast<uint64_t>(INT64_MAX)) return limit_error("range from ", start, " to ", limit, " has more than 2^63 elements");
  return static_cast<int64_t>(n);
}

Result<int64_t> count_of(double start, double limit, double delta) {
  if (delta == 0) return shape_error("delta is 0, expected another number");
  const double n = std::ceil((limit - start) / delta);
  if (std::isnan(n)) return shape_error("range from ", start, " to ", limit, " by delta ", delta, " has no length");
  if (n >= 0x1p62) return limit_error("range from ", start, " to ", limit, " by delta ", delta, " has more than 2^62 elements");
  return n > 0 ? static_cast<int64_t>(n) : 0;
}

}  // namespace

Result<Types> infer(const Range&, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  for (int i = 0; i < 3; ++i) {
    TENON_TRY(expect_same_dtype(in, 0, i));
    if (in[i].is_static() && !in[i].shape.count().is(1)) return input_error(i, "has shape ", in[i].shape.str(), ", expected a scalar");
  }
  const DType dtype = in[0].dtype;
  Dim n = Dim::unknown();
  if (is_float(dtype)) {
    const auto start = doubles_of(in, 0), limit = doubles_of(in, 1), delta = doubles_of(in, 2);
    if (delta && (*delta)[0] == 0) return shape_error("delta is 0, expected another number");
    if (start && limit && delta) {
      TENON_ASSIGN(n, count_of((*start)[0], (*limit)[0], (*delta)[0]));
    }
  } else {
    const auto start = contents_of(in, 0), limit = contents_of(in, 1), delta = contents_of(in, 2);
    if (delta && (*delta)[0].is(0)) return shape_error("delta is 0, expected another number");
    if (start && limit && delta) {
      const Dim &a = (*start)[0], &b = (*limit)[0], &d = (*delta)[0];
      if (a.is_const() && b.is_const() && d.is_const()) {
        TENON_ASSIGN(n, count_of(a.value(), b.value(), d.value()));
      } else if (d.is_const() && d.value() > 0) {
        const Dim distance = b - a;
        n = Dim::ceil_div(is_not_negative(distance) ? distance : Dim::max(distance, Dim(0)), d);
      }
    }
  }
  return Types{Type::of(dtype, {n})};
}

Result<Step> bind(const Range&, const BindContext& ctx) {
  kernels::RangeParams p;
  p.dtype = ctx.out_dtype(0);
  p.count = ctx.out_dims(0)[0];
  if (p.count == 0) return Step{};
  p.per_part = kernels::rows_per_part(static_cast<int64_t>(size_of(p.dtype)));
  return ctx.choose(kernels::range_table, p, p.parts(), static_cast<double>(p.count));
}

}  // namespace tenon::ops
