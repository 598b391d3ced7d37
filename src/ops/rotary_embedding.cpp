#include "ops/rotary_embedding.h"

#include "kernels/attention/rotary.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

/// Cosines or sines against the output they are multiplied with, of which `turned` elements of every head are.
Status expect_angles(const Types& in, int input, const Shape& y, const Dim& turned) {
  const Type& t = in[static_cast<size_t>(input)];
  if (!t.ranked()) return {};
  bool fits = t.rank() >= 1 && t.rank() <= 4;
  for (int i = 1; fits && i < t.rank(); ++i) {
    const Dim& have = t.shape[static_cast<size_t>(t.rank() - 1 - i)];
    fits = have.is(1) || dims_equal(have, y[static_cast<size_t>(3 - i)]).value_or(true);
  }
  if (fits) {
    const Dim& width = t.shape[static_cast<size_t>(t.rank() - 1)];
    fits = !width.is_const() || !turned.is_const() || width == turned || width.value() == turned.value() / 2;
  }
  if (fits) return {};
  return input_error(input, "has shape ", t.shape.str(), ", which does not broadcast to the output's shape ", y.str(), " with ",
                     turned.str(), " elements a head or half of them");
}

}  // namespace

Result<Types> infer(const RotaryEmbedding& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  for (int i = 0; i < 3; ++i) TENON_TRY(expect_dtype(in, i, {DType::kFloat32}));
  if (!in[0].ranked()) return Types{Type::unranked(DType::kFloat32)};
  TENON_TRY(expect_rank(in, 0, 4));
  Shape y = in[0].shape;
  if (op.swap) std::swap(y[1], y[2]);
  if (op.rotary_dim < 0 || op.rotary_dim % 2 != 0 || (y[3].is_const() && op.rotary_dim > y[3].value())) {
    return shape_error("attribute 'rotary_dim' is ", op.rotary_dim, ", expected an even number up to the elements of a head, ", y[3].str());
  }
  const Dim turned = op.rotary_dim != 0 ? Dim(op.rotary_dim) : y[3];
  if (turned.is_const() && turned.value() % 2 != 0) return input_error(0, "has ", y[3].str(), " elements a head, expected an even number");
  TENON_TRY(expect_angles(in, 1, y, turned));
  TENON_TRY(expect_angles(in, 2, y, turned));
  if (in[1].ranked() && in[2].ranked() && dims_equal(in[1].shape.dims().back(), in[2].shape.dims().back()) == false) {
    return input_error(2, "has shape ", in[2].shape.str(), ", expected as many elements a head as input 1 of shape ", in[1].shape.str());
  }
  return Types{Type::of(DType::kFloat32, std::move(y))};
}

Result<Step> bind(const RotaryEmbedding& op, const BindContext& ctx) {
  const Dims& y = ctx.out_dims(0);
  kernels::RotaryParams p;
  p.size = y[3];
  p.half = (op.rotary_dim != 0 ? op.rotary_dim : y[3]) / 2;
  p.interleaved = op.interleaved;
  if (count_of(y) == 0) return Step{};
  p.paired_angles = ctx.dims(1).back() == 2 * p.half;
  const auto angle_strides = [](Dims dims, int64_t* strides) {
    dims.insert(dims.begin(), 4 - dims.size(), 1);
    int64_t step = dims[3];
    for (size_t i = 3; i-- > 0;) {
      strides[i] = dims[i] == 1 ? 0 : step;
      step *= dims[i];
    }
  };
  angle_strides(ctx.dims(1), p.cos);
  angle_strides(ctx.dims(2), p.sin);
  for (size_t i = 0; i < 3; ++i) p.dims[i] = y[i];
  const Dims& x = ctx.dims(0);
  p.x[0] = x[1] * x[2] * x[3];
  p.x[1] = x[2] * x[3];
  p.x[2] = x[3];
  if (op.swap) std::swap(p.x[1], p.x[2]);
  const Cut c = cut(p.rows(), static_cast<double>(y[3]) * 0.2 + 5);
  p.chunk = c.chunk;
  Step step;
  step.kernel = "Rotary";
  step.phases.push_back(Step::phase<kernels::RotaryParams>(kernels::RotaryPointer(), p, p.parts(), c.nanoseconds));
  if (!op.swap) step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
