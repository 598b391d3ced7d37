#include "ops/copy.h"

namespace tenon::ops {

namespace {
constexpr int64_t kMostBytes = int64_t{1} << 47;  // of an address space
}

Result<Dims> byte_strides(const Dims& dims, DType dtype) {
  Dims strides(dims.size());
  int64_t stride = static_cast<int64_t>(size_of(dtype));
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    const auto next = checked_mul(stride, dims[i] > 0 ? dims[i] : 1);
    if (!next || *next > kMostBytes) return limit_error("a tensor of shape ", str(dims), " is larger than any memory");
    stride = *next;
  }
  return strides;
}

int64_t product(const Dims& dims, size_t begin, size_t end) {
  int64_t n = 1;
  for (size_t i = begin; i < end; ++i) n *= dims[i];
  return n;
}

Step view_step(int64_t offset) {
  Step step;
  step.views.push_back({0, 0, offset});
  step.kernel = "View";
  return step;
}

Result<Step> copy_step(const BindContext& ctx, std::vector<kernels::CopyLoop> loops, int64_t src_offset) {
  const Dims& dims = ctx.out_dims(0);
  TENON_ASSIGN(const Dims strides, byte_strides(dims, ctx.out_dtype(0)));
  if (is_empty(dims)) return Step{};
  // Loops beyond the output's rank have their dst set already.
  for (size_t i = 0; i < dims.size() && i < loops.size(); ++i) loops[i].dst = strides[i];
  kernels::CopyParams params;
  if (!kernels::plan_copy(loops, static_cast<int64_t>(size_of(ctx.out_dtype(0))), src_offset, 0, &params)) {
    return limit_error("more than ", kernels::kMaxLoops, " dims that do not move as one");
  }
  if (params.is_one_run()) return view_step(src_offset);
  return ctx.choose(kernels::copy_table, params, params.parts(), kernels::copy_nanoseconds(params));
}

Result<std::vector<int64_t>> constant_ints(const BindContext& ctx, int i) {
  if (!ctx.has_input(i)) return std::vector<int64_t>();
  if (const Tensor* t = ctx.constant(i)) return t->to_ints();
  return error(Code::kInternal, "input ", i, " decides the output's shape, but is not known when the step is made");
}

bool is_certain(const Dim& d) { return d.is_const() || d.str().find('?') == std::string::npos; }
bool is_not_negative(const Dim& d) { return d.is_const() ? d.value() >= 0 : d.str().find('-') == std::string::npos && is_certain(d); }

}  // namespace tenon::ops
