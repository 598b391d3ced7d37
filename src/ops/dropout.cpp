#include "ops/dropout.h"

#include <cstring>
#include <random>

#include "kernels/elementwise/cast.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

struct Fill {
  int32_t output = 0;
  int64_t bytes = 0;
};
void fill_ones(const Fill& p, const kernels::Call& call, kernels::Range range) {
  if (range.begin < range.end) std::memset(call.dst[p.output], 1, static_cast<size_t>(p.bytes));
}

struct Drop {
  DType dtype = DType::kFloat32;
  DType ratio_dtype = DType::kFloat32;
  bool has_ratio = false;
  bool mask = false;
  int64_t seed = 0;
  int64_t count = 0;
};

double as_double(DType dtype, const void* value) {
  double out = 0;
  kernels::cast_elements({dtype, DType::kFloat64, true, Float8E8M0::Round::kUp, 1, 1}, value, &out, 1);
  return out;
}

/// One part: the random numbers come in sequence.
void drop(const Drop& p, const kernels::Call& call, kernels::Range range) {
  if (range.begin >= range.end) return;
  const bool training = *call.in<bool>(2);
  const double ratio = !training ? 0 : p.has_ratio ? as_double(p.ratio_dtype, call.src[1]) : 0.5;
  bool* mask = p.mask ? call.out<bool>(1) : nullptr;
  if (!(ratio > 0)) {
    if (call.dst[0] != call.src[0]) std::memcpy(call.dst[0], call.src[0], static_cast<size_t>(p.count) * size_of(p.dtype));
    if (mask) std::memset(mask, 1, static_cast<size_t>(p.count));
    return;
  }
  std::mt19937 random(static_cast<uint32_t>(p.seed));
  const double scale = ratio < 1 ? 1 / (1 - ratio) : 0;
  dispatch<float, double, Float16, BFloat16, Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ>(p.dtype, [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < p.count; ++i) {
      // numpy's 53-bit uniform double of two draws.
      const uint32_t a = static_cast<uint32_t>(random()) >> 5, b = static_cast<uint32_t>(random()) >> 6;
      const bool keep = (a * 67108864.0 + b) / 9007199254740992.0 >= ratio;
      if (mask) mask[i] = keep;
      const T x = call.in<T>(0)[i];
      if constexpr (std::is_same_v<T, double>) call.out<T>(0)[i] = keep ? x * scale : 0;
      else call.out<T>(0)[i] = T(keep ? static_cast<float>(x) * static_cast<float>(scale) : 0.0f);
    }
  });
}

}  // namespace

Result<Types> infer(const Dropout&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 3));
  TENON_TRY(expect_plain(in));
  if (!is_any_float(in[0].dtype)) return input_error(0, "has dtype ", name_of(in[0].dtype), ", expected a float type");
  if (has(in, 1) && !is_any_float(in[1].dtype))
    return input_error(1, "(ratio) has dtype ", name_of(in[1].dtype), ", expected a float type");
  if (has(in, 2)) TENON_TRY(expect_bool(in, 2));
  return Types{Type::of(in[0].dtype, in[0].shape), Type::of(DType::kBool, in[0].shape)};
}

Result<Step> bind(const Dropout& op, const BindContext& ctx) {
  const int64_t count = count_of(ctx.dims(0));
  const Tensor* training = ctx.has_input(2) ? ctx.constant(2) : nullptr;
  Step step;
  if (!ctx.has_input(2) || (training && training->count() > 0 && !*training->as<bool>())) {
    step.kernel = "View";
    step.views.push_back({0, 0, 0});
    if (ctx.wants_output(1)) step.phases.push_back(Step::phase<Fill>(fill_ones, {1, count}, 1, static_cast<double>(count) * 0.05));
    return step;
  }
  Drop p;
  p.dtype = ctx.dtype(0);
  p.has_ratio = ctx.has_input(1);
  if (p.has_ratio) p.ratio_dtype = ctx.dtype(1);
  p.mask = ctx.wants_output(1);
  p.seed = op.seed;
  p.count = count;
  step.kernel = "Drop";
  step.phases.push_back(Step::phase<Drop>(drop, p, 1, static_cast<double>(count) * 10));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops
