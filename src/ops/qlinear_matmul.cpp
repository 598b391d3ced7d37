#include "ops/qlinear_matmul.h"

#include <algorithm>
#include <array>

#include "kernels/integer/integer.h"

namespace tenon::ops {

using kernels::IntegerFormat;
using kernels::IntegerGemmParams;

namespace {

constexpr const char* kNames[kQuantizedInputs] = {"a",       "a_scale",      "a_zero_point", "b", "b_scale", "b_zero_point",
                                                  "y_scale", "y_zero_point", "bias"};

/// Scale or zero point i has one element, one a line [lines], or the operand's dims with 1 for the one of the last two along which it does
/// not vary. `rows`: lines are rows of a, else columns of b.
Status expect_spread(const Types& in, int i, const Type& operand, bool rows) {
  if (!has(in, i) || !in[i].ranked() || !operand.ranked()) return {};
  const Shape &shape = in[i].shape, &of = operand.shape;
  const int rank = of.rank();
  const Dim lines = rank < 2 ? Dim(1) : of[rank - (rows ? 2 : 1)];
  const auto fits = [](const Dim& have, const Dim& want) { return have.is(1) || dims_equal(have, want).value_or(true); };
  bool good = shape.rank() == 0;
  if (shape.rank() == 1) {
    good = fits(shape[0], lines);
  } else if (shape.rank() >= 2 && shape.rank() == rank) {
    good = true;
    for (int d = 0; d < rank; ++d) {
      const bool along = d == rank - (rows ? 2 : 1), across = d == rank - (rows ? 1 : 2);
      good = good && (across ? fits(shape[d], Dim(1)) : along ? fits(shape[d], lines) : fits(shape[d], of[d]));
    }
  }
  if (good) return {};
  return shape_error(kNames[i], " has shape ", shape.str(), ", expected one element or one a ", rows ? "row" : "column", " of ",
                     kNames[rows ? kA : kB], " ", of.str());
}

}  // namespace

Result<Types> infer(const QLinearMatMul& op, const Types& in) {
  TENON_TRY(check_quantized_inputs(in, op.to, kNames));
  const Type &a = in[kA], &b = in[kB];
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].present() || in[i].layout.plain() || (i == kB && in[i].layout.kind == Layout::Kind::kPacked)) continue;
    return error(Code::kInternal, kNames[i], " has layout ", in[i].layout.str(), ", expected plain");
  }
  if (a.ranked() && b.ranked() && a.rank() > 0 && b.rank() > 0) {
    const Dim &columns = a.shape[a.rank() - 1], &rows = b.shape[std::max(0, b.rank() - 2)];
    if (dims_equal(columns, rows) == false) {
      return shape_error("b has shape ", b.shape.str(), ": ", rows.str(), " rows, expected ", columns.str(), " to match a with shape ",
                         a.shape.str());
    }
  }
  TENON_ASSIGN(Types out, infer(MatMul{}, {Type::of(DType::kFloat32, a.shape), Type::of(DType::kFloat32, b.shape)}));
  for (const int i : {kAScale, kAZero}) TENON_TRY(expect_spread(in, i, a, true));
  for (const int i : {kBScale, kBZero}) TENON_TRY(expect_spread(in, i, b, false));
  for (const int i : {kYScale, kYZero}) TENON_TRY(expect_one_element(in, i, kNames));
  if (has(in, kBias)) {
    if (op.to != DType::kFloat32) return shape_error("bias is given, but only float32 results have one");
    if (in[kBias].dtype != DType::kFloat32) return shape_error("bias has dtype ", name_of(in[kBias].dtype), ", expected float32");
    const Shape& bias = in[kBias].shape;
    if (b.ranked() && bias.ranked() && (b.rank() < 2 || bias.rank() != 1 || dims_equal(bias[0], b.shape[b.rank() - 1]) == false)) {
      return shape_error("bias has shape ", bias.str(), ", expected one element a column of b ", b.shape.str());
    }
  }
  out[0].dtype = op.to;
  return out;
}

namespace {

/// A dim in front of the matrices: its size and the strides of everything that is walked along it.
struct Batch {
  enum { kOfA, kOfB, kOfC, kOfAZeros, kOfAScales, kOfBZeros, kOfBScales, kWalked };
  int64_t size = 1;
  std::array<int64_t, kWalked> strides = {};
};

/// Joins neighbouring dims that everything walks as one, and drops dims of size 1.
std::vector<Batch> merged(const std::vector<Batch>& dims) {
  std::vector<Batch> out;
  for (const Batch& d : dims) {
    if (d.size == 1) continue;
    bool joins = !out.empty();
    for (int i = 0; joins && i < Batch::kWalked; ++i) joins = out.back().strides[i] == d.strides[i] * d.size;
    if (joins) {
      out.back() = {out.back().size * d.size, d.strides};
    } else {
      out.push_back(d);
    }
  }
  return out;
}

/// Turns batch dims that share b into rows.
void fold_rows(IntegerGemmParams& p, std::vector<Batch>& batch) {
  while (!batch.empty()) {
    const auto& s = batch.back().strides;
    if (s[Batch::kOfB] != 0 || s[Batch::kOfBZeros] != 0 || s[Batch::kOfBScales] != 0) return;
    if (s[Batch::kOfA] != p.m * p.k || s[Batch::kOfC] != p.m * p.n) return;
    for (const auto& [walked, spread] : {std::pair{Batch::kOfAZeros, &p.a_zeros}, std::pair{Batch::kOfAScales, &p.a_scales}}) {
      if (p.m == 1) {
        if (s[walked] != 0 && s[walked] != 1) return;
      } else if (s[walked] != p.m * spread->step) {
        return;
      }
    }
    if (p.m == 1) p.a_zeros.step = s[Batch::kOfAZeros], p.a_scales.step = s[Batch::kOfAScales];
    p.m *= batch.back().size;
    batch.pop_back();
  }
}

/// The strides of scale or zero point i over the batch dims of the result; over the lines of the matrices as `step`.
std::vector<int64_t> spread(const BindContext& ctx, int i, int batch_rank, bool rows, int64_t& step) {
  step = 0;
  if (!ctx.has_input(i)) return std::vector<int64_t>(static_cast<size_t>(batch_rank), 0);
  const Dims& dims = ctx.dims(i);
  const size_t rank = dims.size();
  if (rank < 2) {
    step = rank == 1 && dims[0] != 1 ? 1 : 0;
    return std::vector<int64_t>(static_cast<size_t>(batch_rank), 0);
  }
  step = dims[rank - (rows ? 2 : 1)] != 1 ? 1 : 0;
  return batch_strides(dims, 2, batch_rank, dims[rank - 1] * dims[rank - 2]);
}

}  // namespace

Result<Step> bind(const QLinearMatMul& op, const BindContext& ctx) {
  const Dims &a = ctx.dims(kA), &b = ctx.dims(kB), &out = ctx.out_dims(0);
  const size_t ra = a.size(), rb = b.size();
  const bool a_vector = ra == 1, b_vector = rb == 1;
  IntegerGemmParams p{.a = ctx.dtype(kA), .b = ctx.dtype(kB), .c = op.to};
  if (ctx.has_input(kAScale)) p.scale = ctx.dtype(kAScale);
  p.a_zero = ctx.has_input(kAZero), p.b_zero = ctx.has_input(kBZero), p.c_zero = ctx.has_input(kYZero), p.bias = ctx.has_input(kBias);
  p.m = a_vector ? 1 : a[ra - 2];
  p.k = a[ra - 1];
  p.n = b_vector ? 1 : b[rb - 1];
  if (p.m == 0 || p.n == 0 || std::find(out.begin(), out.end(), 0) != out.end()) {
    Step step;
    step.kernel = "IntegerGemmEmpty";
    return step;
  }
  const bool packed = ctx.layout(kB).kind == Layout::Kind::kPacked;
  p.format = kernels::integer_panels();
  p.shared_b = !packed;
  if (packed && static_cast<IntegerFormat>(ctx.layout(kB).format) != p.format) {
    return error(Code::kInternal, "b is ", ctx.layout(kB).str(), ", expected packed:", static_cast<int>(p.format), " on this CPU");
  }
  const int64_t matrix = kernels::integer_panels_bytes(p.format, p.k, p.n);
  const int rank = static_cast<int>(out.size()) - (a_vector ? 0 : 1) - (b_vector ? 0 : 1);
  std::vector<Batch> batch(static_cast<size_t>(rank));
  const std::vector<int64_t> walked[Batch::kWalked] = {
      batch_strides(a, a_vector ? 1 : 2, rank, p.m * p.k),
      batch_strides(b, b_vector ? 1 : 2, rank, matrix),
      {},
      spread(ctx, kAZero, rank, true, p.a_zeros.step),
      spread(ctx, kAScale, rank, true, p.a_scales.step),
      spread(ctx, kBZero, rank, false, p.b_zeros.step),
      spread(ctx, kBScale, rank, false, p.b_scales.step),
  };
  int64_t step_c = p.m * p.n;
  for (size_t i = batch.size(); i-- > 0;) {
    batch[i].size = out[i];
    for (size_t w = 0; w < Batch::kWalked; ++w) batch[i].strides[w] = w == Batch::kOfC ? step_c : walked[w][i];
    step_c *= out[i];
  }
  batch = merged(batch);
  fold_rows(p, batch);
  if (batch.size() > static_cast<size_t>(kernels::kGemmBatchDims)) {
    return limit_error("has ", batch.size(), " batch dims that cannot be merged, expected at most ", kernels::kGemmBatchDims);
  }
  p.batch_rank = static_cast<int32_t>(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto& s = batch[i].strides;
    p.batch[i] = batch[i].size;
    p.a_batch[i] = s[Batch::kOfA], p.b_batch[i] = s[Batch::kOfB], p.c_batch[i] = s[Batch::kOfC];
    p.a_zeros.batch[i] = s[Batch::kOfAZeros], p.a_scales.batch[i] = s[Batch::kOfAScales];
    p.b_zeros.batch[i] = s[Batch::kOfBZeros], p.b_scales.batch[i] = s[Batch::kOfBScales];
  }
  kernels::plan_integer_gemm(p);
  const double products = static_cast<double>(p.batches()) * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  TENON_ASSIGN(Step step, ctx.choose(kernels::integer_gemm, p, p.parts(), kernels::integer_nanoseconds(products)));
  step.scratch_bytes = static_cast<size_t>(kernels::integer_gemm_scratch(p));
  if (packed) return step;
  kernels::IntegerPackParams pack{.dtype = p.b, .format = p.format, .input = kB, .k = p.k, .n = p.n, .rows = p.k};
  for (size_t i = 0; i + 2 < rb; ++i) pack.matrices *= b[i];
  const auto bytes = checked_mul(matrix, pack.matrices);
  if (!bytes) return limit_error("packing b overflows: ", matrix, " bytes times ", pack.matrices);
  step.shared_bytes = static_cast<size_t>(*bytes);
  step.phases.insert(step.phases.begin(),
                     Step::phase(kernels::IntegerPackPointer(), pack, pack.parts(), static_cast<double>(*bytes) * 0.1));
  return step;
}

}  // namespace tenon::ops
