#include "ops/batch_normalization.h"

#include "kernels/batch_normalization/batch_normalization.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const BatchNormalization& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 5));
  TENON_TRY(expect_plain(in));
  for (int i = 0; i < 5; ++i) TENON_TRY(expect_float(in, i));
  TENON_TRY(expect_same_dtype(in, 1, 2));
  TENON_TRY(expect_same_dtype(in, 3, 4));
  TENON_TRY(expect_rank_at_least(in, 0, 1));
  const Type& x = in[0];
  for (int i = 1; i < 5; ++i) {
    if (!op.spatial) {
      if (!x.ranked() || !in[i].ranked()) continue;
      bool fits = in[i].rank() == x.rank() - 1;
      for (int d = 0; fits && d < in[i].rank(); ++d) fits = dims_equal(in[i].shape[d], x.shape[d + 1]) != false;
      if (!fits)
        return input_error(i, "has shape ", in[i].shape.str(), ", expected that of input 0 ", x.shape.str(), " without its first dim");
      continue;
    }
    TENON_TRY(expect_rank(in, i, 1));
    if (!x.ranked() || !in[i].ranked()) continue;
    const Dim channels = x.rank() == 1 ? Dim(1) : x.shape[1];
    if (dims_equal(in[i].shape[0], channels) == false) {
      return input_error(i, "has ", in[i].shape[0].str(), " elements, expected ", channels.str(), ", one a channel of input 0 ",
                         x.shape.str());
    }
  }
  Types out{Type::of(x.dtype, x.shape)};
  if (op.training) {
    for (int i = 0; i < 4; ++i) out.push_back(Type::of(in[3].dtype, in[3].shape));
  }
  return out;
}

Result<Step> bind(const BatchNormalization& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  kernels::BatchNormalizationParams p;
  p.dtype = ctx.dtype(0), p.scale_dtype = ctx.dtype(1), p.mean_dtype = ctx.dtype(3);
  p.batch = x[0];
  p.channels = x.size() > 1 ? x[1] : 1;
  for (size_t i = 2; i < x.size(); ++i) (op.spatial ? p.pixels : p.channels) *= x[i];
  p.epsilon = op.epsilon, p.momentum = op.momentum, p.training = op.training;
  for (int i = 1; i < 5; ++i) p.wanted[i] = op.training && ctx.wants_output(i);
  Step step;
  step.kernel = "BatchNormalization";
  step.phases.push_back(Step::phase(kernels::BatchNormalizationPointer(), p, p.parts(), static_cast<double>(count_of(x)) * 0.3));
  if (!op.training) step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
