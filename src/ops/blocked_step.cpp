#include "ops/blocked_step.h"

#include "kernels/elementwise/cast.h"
#include "kernels/reorder/reorder.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

int64_t blocked_bytes(const Dims& dims) {
  const int64_t block = kernels::channel_block();
  int64_t floats = dims[0] * ((dims[1] + block - 1) / block) * block;
  for (size_t i = 2; i < dims.size(); ++i) floats *= dims[i];
  return floats * 4;
}

/// A cast between an operand of the operator and shared memory, either way.
struct CastPhase {
  kernels::Kernel<kernels::CastParams> kernel;
  kernels::CastParams params;
  int input;                       ///< read when shared_from is -1
  int64_t shared_from, shared_to;  ///< -1: the operator's input; its output 0
};

void run_cast(const CastPhase& k, const kernels::Call& call, kernels::Range range) {
  const void* src[] = {k.shared_from >= 0 ? call.shared + k.shared_from : call.src[k.input]};
  void* dst[] = {k.shared_to >= 0 ? call.shared + k.shared_to : call.dst[0]};
  kernels::Call inner = call;
  inner.src = src;
  inner.dst = dst;
  k.kernel(k.params, inner, range);
}

}  // namespace

int64_t reserve_shared(Step& step, int64_t bytes) {
  const auto at = static_cast<int64_t>(step.shared_bytes);
  step.shared_bytes += static_cast<size_t>((bytes + 127) / 64 * 64);
  return at;
}

void BlockedStep::cast(DType from, DType to, int64_t count, int input, int64_t shared_from, int64_t shared_to) {
  const Cut c = cut(count, 0.2, 64);
  const kernels::CastParams params{.from = from, .to = to, .count = count, .chunk = c.chunk};
  step.phases.push_back(
      Step::phase<CastPhase>(run_cast, {kernels::CastHalfPointer(), params, input, shared_from, shared_to}, c.parts, c.nanoseconds));
}

void BlockedStep::reorder(bool to_blocked, const Dims& dims, int input, int64_t shared_from, int64_t shared_to) {
  kernels::ReorderParams r;
  r.to_blocked = to_blocked, r.batch = dims[0], r.channels = dims[1], r.block = kernels::channel_block();
  for (size_t i = 2; i < dims.size(); ++i) r.pixels *= dims[i];
  r.input = input, r.shared_input = shared_from, r.shared_output = shared_to;
  plan_reorder(r);
  step.phases.push_back(Step::phase(kernels::ReorderPointer(), r, r.parts(), static_cast<double>(count_of(dims)) * 0.3));
}

int64_t BlockedStep::plain(int input) {
  const DType dtype = ctx_.dtype(input);
  if (dtype == DType::kFloat32) return -1;
  const int64_t count = count_of(ctx_.dims(input)), to = reserve(count * 4);
  cast(dtype, DType::kFloat32, count, input, -1, to);
  return to;
}

int64_t BlockedStep::blocked(int input) {
  const int64_t from = plain(input);
  const int64_t to = reserve(blocked_bytes(ctx_.dims(input)));
  reorder(true, ctx_.dims(input), input, from, to);
  return to;
}

int64_t BlockedStep::result() { return reserve(blocked_bytes(ctx_.out_dims(0))); }

Step BlockedStep::finish(int64_t result) && {
  const Dims& dims = ctx_.out_dims(0);
  const DType dtype = ctx_.out_dtype(0);
  if (dtype == DType::kFloat32) {
    reorder(false, dims, 0, result, -1);
  } else {
    const int64_t count = count_of(dims), wide = reserve(count * 4);
    reorder(false, dims, 0, result, wide);
    cast(DType::kFloat32, dtype, count, 0, wide, -1);
  }
  return std::move(step);
}

}  // namespace tenon::ops
