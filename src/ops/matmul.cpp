#include "ops/matmul.h"

#include <algorithm>

#include "kernels/gemm/bits.h"

namespace tenon::ops {
namespace {

using kernels::GemmFormat;
using kernels::GemmParams;

Status expect_product_dtype(const Types& in, int i) {
  return expect_dtype(
      in, i,
      {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64, DType::kInt32, DType::kInt64, DType::kUint32, DType::kUint64});
}

/// An operand as a stack of matrices: rows, columns and the dims in front.
struct Matrices {
  Dim rows, columns;
  Shape batch;
};
Matrices matrices_of(const Shape& shape, bool trans, bool left) {
  const int rank = shape.rank();
  if (rank == 1) return left ? Matrices{1, shape[0], {}} : Matrices{shape[0], 1, {}};
  Matrices m{shape[rank - 2], shape[rank - 1], Shape(DimList(shape.dims().begin(), shape.dims().end() - 2))};
  if (trans) std::swap(m.rows, m.columns);
  return m;
}

/// C may only be stretched, never stretch the product.
Status expect_addend(const Types& in, int i, const Shape& out) {
  if (!in[i].ranked() || !out.ranked()) return {};
  const Shape& c = in[i].shape;
  bool fits = c.rank() <= out.rank();
  for (int j = 0; fits && j < c.rank(); ++j) {
    const Dim& have = c[static_cast<size_t>(c.rank() - 1 - j)];
    const Dim& want = out[static_cast<size_t>(out.rank() - 1 - j)];
    fits = have.is(1) || dims_equal(have, want).value_or(true);
  }
  return fits ? Status() : input_error(i, "has shape ", c.str(), ", which does not broadcast to the product's shape ", out.str());
}

}  // namespace

Result<Types> infer(const MatMul& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 4));
  TENON_TRY(expect_product_dtype(in, 0));
  for (int i = 1; i < static_cast<int>(in.size()); ++i) {
    if (has(in, i)) TENON_TRY(expect_same_dtype(in, 0, i));
    if (has(in, i) && !in[i].layout.plain() && (i != 1 || in[i].layout.kind != Layout::Kind::kPacked || op.trans_b)) {
      return error(Code::kInternal, "input ", i, " has layout ", in[i].layout.str(), ", expected plain");
    }
  }
  if (op.activation.has_unary && in[0].dtype == DType::kFloat64) {
    return error(Code::kInternal, "computes no activation in float64, and was given one");
  }
  for (int i = 0; i < 2; ++i) TENON_TRY(op.matrices ? expect_rank(in, i, 2) : expect_rank_at_least(in, i, 1));
  Type out = Type::unranked(in[0].dtype);
  if (!in[0].ranked() || !in[1].ranked()) {
    if (op.matrices) out.shape = Shape{Dim::unknown(), Dim::unknown()};
    if (op.matrices && in[0].ranked()) out.shape[0] = in[0].shape[op.trans_a ? 1 : 0];
    if (op.matrices && in[1].ranked()) out.shape[1] = in[1].shape[op.trans_b ? 0 : 1];
    return Types{std::move(out)};
  }
  const Matrices a = matrices_of(in[0].shape, op.trans_a, true), b = matrices_of(in[1].shape, op.trans_b, false);
  if (dims_equal(a.columns, b.rows) == false) {
    return input_error(1, "has shape ", in[1].shape.str(), op.trans_b ? " (transposed)" : "", ": ", b.rows.str(), " rows, expected ",
                       a.columns.str(), " to match input 0 with shape ", in[0].shape.str(), op.trans_a ? " (transposed)" : "");
  }
  TENON_ASSIGN(out.shape, broadcast(a.batch, b.batch));
  if (in[0].rank() > 1) out.shape.dims().push_back(a.rows);
  if (in[1].rank() > 1) out.shape.dims().push_back(b.columns);
  if (has(in, 2)) TENON_TRY(expect_addend(in, 2, out.shape));
  if (has(in, 3)) {
    TENON_TRY(expect_rank(in, 3, out.shape.rank()));
    for (size_t i = 0; in[3].ranked() && i < out.shape.dims().size(); ++i) {
      if (dims_equal(in[3].shape[i], out.shape[i]) == false) {
        return input_error(3, "has shape ", in[3].shape.str(), ", expected the product's shape ", out.shape.str());
      }
    }
  }
  return Types{std::move(out)};
}

namespace {

/// Joins neighbouring dims that every operand walks as one, and drops dims of size 1.
void merge(std::vector<BatchDim>& batch) {
  std::vector<BatchDim> merged;
  for (const BatchDim& d : batch) {
    if (d.size == 1) continue;
    if (!merged.empty()) {
      BatchDim& last = merged.back();
      if (last.a == d.a * d.size && last.b == d.b * d.size && last.c == d.c * d.size && last.d == d.d * d.size) {
        last = {last.size * d.size, d.a, d.b, d.c, d.d};
        continue;
      }
    }
    merged.push_back(d);
  }
  batch = std::move(merged);
}

/// Turns batch dims that share B into rows.
void fold_rows(GemmParams& p, std::vector<BatchDim>& batch) {
  while (!batch.empty()) {
    const BatchDim& d = batch.back();
    if (d.b != 0) return;
    if (p.m == 1) {
      p.a_m = d.a;
      p.c_m = d.c;
      p.d_m = d.d;
    } else if (d.a != p.m * p.a_m || d.c != p.m * p.c_m || (p.addend && d.d != p.m * p.d_m)) {
      return;
    }
    p.m *= d.size;
    batch.pop_back();
  }
}

/// A plain product with one column is the transposed product with one row: A is then streamed as B would be.
void swap_operands(GemmParams& p, std::vector<BatchDim>& batch) {
  p.swapped = !p.swapped;
  std::swap(p.m, p.n);
  const int64_t a_m = p.a_m, a_k = p.a_k;
  p.a_m = p.b_n;
  p.a_k = p.b_k;
  p.b_k = a_k;
  p.b_n = a_m;
  std::swap(p.d_m, p.d_n);
  p.c_m = p.n;
  for (BatchDim& d : batch) std::swap(d.a, d.b);
}

void set_batch(GemmParams& p, const std::vector<BatchDim>& batch) {
  p.batch_rank = static_cast<int32_t>(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    p.batch[i] = batch[i].size;
    p.a_batch[i] = batch[i].a;
    p.b_batch[i] = batch[i].b;
    p.c_batch[i] = batch[i].c;
    p.d_batch[i] = batch[i].d;
  }
}

}  // namespace

Result<Step> product_step(GemmParams p, std::vector<BatchDim> batch, const BindContext& ctx) {
  merge(batch);
  if (p.format == GemmFormat::kNone && p.n == 1 && p.c_m == 1 && p.m > 1) {
    swap_operands(p, batch);
  } else {
    fold_rows(p, batch);
  }
  if (batch.size() > static_cast<size_t>(kernels::kGemmBatchDims)) {
    return limit_error("has ", batch.size(), " batch dims that cannot be merged, expected at most ", kernels::kGemmBatchDims);
  }
  set_batch(p, batch);
  kernels::plan_gemm(p);
  if (p.parts() == 0 || p.m == 0 || p.n == 0) {
    Step step;
    step.kernel = "GemmEmpty";
    return step;
  }
  const bool halves = kernels::is_half(p.dtype);
  bool pack = p.format == GemmFormat::kNone && (halves || p.dtype == DType::kFloat32 || p.dtype == DType::kFloat64);
  if (pack && !halves) {
    for (const auto& row : kernels::gemm) {  // rows before the reference are fast without packing
      if (row.refuse(p) == nullptr && std::string_view(row.name) != "GemmReference") pack = false;
    }
  }
  Phase packing;
  size_t shared = 0;
  if (pack) {
    kernels::GemmPackParams q{
        .dtype = p.dtype, .format = kernels::gemm_format(), .input = p.swapped ? 0 : 1, .k = p.k, .n = p.n, .b_k = p.b_k, .b_n = p.b_n};
    if (p.dtype == DType::kBFloat16 && kernels::has_bfloat16_products()) q.format = kernels::weights_format(p.dtype);
    int64_t elements = kernels::packed_elements(q.format, p.k, p.n, p.dtype);
    for (size_t i = batch.size(); i-- > 0;) {
      if (batch[i].b == 0) continue;
      batch[i].b = elements;
      const auto total = checked_mul(elements, batch[i].size);
      if (!total) return limit_error("packing input 1 overflows: ", elements, " elements times ", batch[i].size);
      elements = *total;
    }
    const auto bytes = checked_mul(elements, kernels::packed_bytes(q.format, p.dtype));
    if (!bytes) return limit_error("packing input 1 overflows: ", elements, " elements");
    for (int i = 0; i < p.batch_rank; ++i) {
      if (p.b_batch[i] == 0) continue;
      q.batch[q.batch_rank] = p.batch[i];
      q.b_batch[q.batch_rank++] = p.b_batch[i];
    }
    p.format = q.format;
    p.shared_b = true;
    shared = static_cast<size_t>(*bytes);
    set_batch(p, batch);
    kernels::plan_gemm(p);
    packing = Step::phase<kernels::GemmPackParams>(kernels::GemmPackPointer(), q, q.parts(), static_cast<double>(*bytes) * 0.05);
  }
  if (kernels::takes_few_bits(p)) {
    const auto floats = checked_mul(kernels::bits_floats(p), p.batches()), bytes = checked_mul(floats.value_or(INT64_MAX), 4);
    if (!bytes) return limit_error("ordering input 0 overflows: ", p.batches(), " batches of ", p.m, " rows");
    shared = static_cast<size_t>(*bytes);
    packing = Step::phase<GemmParams>(kernels::GemmBitsRowsPointer(), p, p.batches(), static_cast<double>(*floats) * 0.3);
    pack = true;
  }
  auto step = ctx.choose(kernels::gemm, p, p.parts(), kernels::gemm_nanoseconds(p));
  if (!step.ok()) return step;
  step->scratch_bytes = static_cast<size_t>(kernels::gemm_scratch(p));
  step->shared_bytes = shared;
  if (pack) step->phases.insert(step->phases.begin(), std::move(packing));
  if (p.residual) step->in_place.push_back({0, 3});
  return step;
}

std::vector<int64_t> batch_strides(const Dims& dims, int inner, int rank, int64_t matrix) {
  std::vector<int64_t> strides(static_cast<size_t>(rank), 0);
  int64_t step = matrix;
  for (int i = static_cast<int>(dims.size()) - inner - 1, j = rank - 1; i >= 0; --i, --j) {
    if (dims[static_cast<size_t>(i)] != 1) strides[static_cast<size_t>(j)] = step;
    step *= dims[static_cast<size_t>(i)];
  }
  return strides;
}

namespace {

void set_activation(GemmParams& p, const Activation& a) {
  p.low = a.low;
  p.high = a.high;
  if (a.has_unary) {
    p.tile = kernels::unary_tile(a.unary);
    p.tile_alpha = a.alpha;
    p.tile_beta = a.beta;
  }
}

}  // namespace

Result<Step> bind(const MatMul& op, const BindContext& ctx) {
  const Dims &a = ctx.dims(0), &b = ctx.dims(1), &out = ctx.out_dims(0);
  const size_t ra = a.size(), rb = b.size();
  const bool a_vector = ra == 1, b_vector = rb == 1;
  const bool trans_a = op.trans_a && !a_vector, trans_b = op.trans_b && !b_vector;
  GemmParams p{.dtype = ctx.dtype(0)};
  p.m = a_vector ? 1 : a[trans_a ? ra - 1 : ra - 2];
  p.k = a_vector ? a[0] : a[trans_a ? ra - 2 : ra - 1];
  p.n = b_vector ? 1 : b[trans_b ? rb - 2 : rb - 1];
  p.a_m = trans_a ? 1 : p.k;
  p.a_k = trans_a ? p.m : 1;
  p.b_k = trans_b ? 1 : p.n;
  p.b_n = trans_b ? p.k : 1;
  p.c_m = p.n;
  p.alpha = op.alpha;
  p.beta = op.beta;
  set_activation(p, op.activation);
  int64_t matrix_b = p.k * p.n;
  if (ctx.layout(1).kind == Layout::Kind::kPacked) {
    p.format = static_cast<GemmFormat>(ctx.layout(1).format);
    const GemmFormat panels = kernels::is_bits(p.format) ? kernels::bits_format(p.format).panels : p.format;
    if (kernels::is_bits(p.format) && b.size() != 2) {
      return error(Code::kInternal, "input 1 is a stack of matrices, which is not packed as ", ctx.layout(1).str());
    }
    const GemmFormat expected = kernels::is_halves(panels) ? kernels::weights_format(p.dtype) : kernels::gemm_format();
    if (panels != expected) {
      return error(Code::kInternal, "input 1 is ", ctx.layout(1).str(), ", expected packed:", static_cast<int>(expected), " on this CPU");
    }
    matrix_b = kernels::is_bits(p.format) ? 0 : kernels::packed_elements(p.format, p.k, p.n, p.dtype);
  }

  const int rank = static_cast<int>(out.size()) - (a_vector ? 0 : 1) - (b_vector ? 0 : 1);
  const auto sa = batch_strides(a, a_vector ? 1 : 2, rank, p.m * p.k), sb = batch_strides(b, b_vector ? 1 : 2, rank, matrix_b);
  std::vector<int64_t> sd(static_cast<size_t>(rank), 0);
  bool same = false;  // C has the shape of the product
  if (ctx.has_input(2) && op.beta != 0) {
    p.addend = true;
    const Dims& c = ctx.dims(2);
    // Strides of C against the product's dims, then split into batch, row and column.
    std::vector<int64_t> strides = batch_strides(c, 0, static_cast<int>(out.size()), 1);
    same = c == out;
    if (!b_vector) {
      p.d_n = strides.back();
      strides.pop_back();
    }
    if (!a_vector) {
      p.d_m = strides.back();
      strides.pop_back();
    }
    sd = strides;
  }
  p.residual = ctx.has_input(3);
  std::vector<BatchDim> batch(static_cast<size_t>(rank));
  int64_t step_c = p.m * p.n;
  for (size_t i = batch.size(); i-- > 0;) {
    batch[i] = {out[i], sa[i], sb[i], step_c, sd[i]};
    step_c *= out[i];
  }
  auto step = product_step(p, std::move(batch), ctx);
  if (step.ok() && same && p.addend && !step->phases.empty()) step->in_place.push_back({0, 2});
  return step;
}

}  // namespace tenon::ops
