#include "ops/attention.h"

#include "ops/matmul.h"

namespace tenon::ops {
namespace {

/// The four dims an operand's shape stands for.
struct Heads {
  Dim batch, heads, rows, size;
};
Heads heads_of(const Shape& s, bool by_row, bool transposed, const Attention::Window& window = {}) {
  if (!s.ranked()) return {Dim::unknown(), Dim::unknown(), Dim::unknown(), Dim::unknown()};
  const size_t at = s.rank() == 4 ? 1 : 0;
  Heads h{at == 1 ? s[0] : Dim(1), s[at], s[at + 1], s[at + 2]};
  if (by_row) std::swap(h.heads, h.rows);
  if (transposed) std::swap(h.rows, h.size);
  if (window.heads > 0) h.heads = window.heads;
  return h;
}

Status expect_window(const Type& in, bool by_row, const Attention::Window& window, int input) {
  if (window == Attention::Window{} || !in.ranked()) return {};
  const Dim& heads = in.shape[static_cast<size_t>(in.rank() == 4 ? 2 : 1)];
  const bool inside = window.first >= 0 && window.heads > 0 && (!heads.is_const() || heads.value() - window.first >= window.heads);
  if (by_row && inside) return {};
  return input_error(input, "has ", heads.str(), " heads", by_row ? "" : ", not by row", ", of which it should give ", window.heads,
                     " from ", window.first, " on");
}

Status expect_equal_dims(const Dim& a, const Dim& b, int input, std::string_view what) {
  if (dims_equal(a, b) != false) return {};
  return input_error(input, "has ", a.str(), " ", what, ", expected ", b.str());
}

}  // namespace

Result<Types> infer(const Attention& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3, 4));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32}));
  int rank = 0;
  for (int i = 0; i < static_cast<int>(in.size()); ++i) {
    if (!has(in, i)) continue;
    TENON_TRY(expect_same_dtype(in, 0, i));
    const Type& t = in[static_cast<size_t>(i)];
    if (i == 3 || !t.ranked()) continue;
    if (rank == 0) rank = t.rank();
    if (t.rank() != rank || rank < 3 || rank > 4)
      return input_error(i, "has rank ", t.rank(), ", expected rank 3 or 4, equal for Q, K and V");
  }
  if (rank == 0) return Types{Type::unranked(in[0].dtype)};
  TENON_TRY(expect_window(in[0], op.q_by_row, op.q_heads, 0));
  TENON_TRY(expect_window(in[1], op.k_by_row, op.k_heads, 1));
  TENON_TRY(expect_window(in[2], op.v_by_row, op.v_heads, 2));
  const Heads q = heads_of(in[0].shape, op.q_by_row, false, op.q_heads),
              k = heads_of(in[1].shape, op.k_by_row, op.k_transposed, op.k_heads),
              v = heads_of(in[2].shape, op.v_by_row, false, op.v_heads);
  TENON_TRY(expect_equal_dims(k.batch, q.batch, 1, "batches"));
  TENON_TRY(expect_equal_dims(v.batch, q.batch, 2, "batches"));
  TENON_TRY(expect_equal_dims(v.heads, k.heads, 2, "heads"));
  TENON_TRY(expect_equal_dims(v.rows, k.rows, 2, "rows"));
  TENON_TRY(expect_equal_dims(k.size, q.size, 1, "elements a head"));
  if (q.size.is_const() && q.size.value() > kernels::kAttentionSize) {
    return input_error(0, "has ", q.size.str(), " elements a head, expected at most ", kernels::kAttentionSize);
  }
  if (q.heads.is_const() && k.heads.is_const() && (k.heads.value() == 0 ? q.heads.value() != 0 : q.heads.value() % k.heads.value() != 0)) {
    return input_error(1, "has ", k.heads.str(), " heads, expected a divisor of ", q.heads.str());
  }
  if (has(in, 3) && in[3].ranked()) {
    const DimList scores = rank == 4 ? DimList{q.batch, q.heads, q.rows, k.rows} : DimList{q.heads, q.rows, k.rows};
    const int extra = rank - in[3].rank();
    bool fits = extra >= 0;
    for (int i = 0; fits && i < in[3].rank(); ++i) {
      const Dim& have = in[3].shape[static_cast<size_t>(i)];
      fits = have.is(1) || dims_equal(have, scores[i + extra]).value_or(true);
    }
    if (!fits)
      return input_error(3, "has shape ", in[3].shape.str(), ", which does not broadcast to the scores' shape ", Shape(scores).str());
  }
  DimList y{q.heads, q.rows, v.size};
  if (op.y_by_row) std::swap(y[0], y[1]);
  if (rank == 4) y.insert(y.begin(), q.batch);
  return Types{Type::of(in[0].dtype, Shape(std::move(y)))};
}

namespace {

/// Sizes and strides of an operand that lies row-major.
struct Strides {
  int64_t batch, heads, rows, size;
  kernels::AttentionParams::Operand operand;
  int64_t last = 1;  ///< stride along the size of a head
};
Strides strides_of(const Dims& dims, bool by_row, bool transposed, const Attention::Window& window = {}) {
  const size_t at = dims.size() == 4 ? 1 : 0;
  Strides s{at == 1 ? dims[0] : 1, dims[at], dims[at + 1], dims[at + 2], {}};
  s.operand.batch = dims[at] * dims[at + 1] * dims[at + 2];
  s.operand.head = dims[at + 1] * dims[at + 2];
  s.operand.row = dims[at + 2];
  if (by_row) {
    std::swap(s.heads, s.rows);
    std::swap(s.operand.head, s.operand.row);
  }
  if (transposed) {
    std::swap(s.rows, s.size);
    std::swap(s.operand.row, s.last);
  }
  if (window.heads > 0) {
    s.heads = window.heads;
    s.operand.from = window.first * s.operand.head;
  }
  return s;
}

Phase pack(int input, const Strides& s, int64_t k, int64_t n, int64_t b_k, int64_t b_n, int64_t to) {
  kernels::GemmPackParams q{
      .format = kernels::gemm_format(), .input = input, .to = to, .from = s.operand.from, .k = k, .n = n, .b_k = b_k, .b_n = b_n};
  q.batch_rank = 2;
  q.batch[0] = s.batch;
  q.b_batch[0] = s.operand.batch;
  q.batch[1] = s.heads;
  q.b_batch[1] = s.operand.head;
  return Step::phase<kernels::GemmPackParams>(kernels::GemmPackPointer(), q, q.parts(),
                                              static_cast<double>(k * n) * static_cast<double>(s.batch * s.heads) * 0.2);
}

}  // namespace

Result<Step> bind(const Attention& op, const BindContext& ctx) {
  const Strides q = strides_of(ctx.dims(0), op.q_by_row, false, op.q_heads),
                k = strides_of(ctx.dims(1), op.k_by_row, op.k_transposed, op.k_heads);
  const Strides v = strides_of(ctx.dims(2), op.v_by_row, false, op.v_heads), y = strides_of(ctx.out_dims(0), op.y_by_row, false);
  kernels::AttentionParams p;
  p.batch = q.batch;
  p.heads = q.heads;
  p.kv_heads = k.heads;
  p.queries = q.rows;
  p.keys = k.rows;
  p.size = q.size;
  p.value_size = v.size;
  p.scale = op.scale;
  p.softcap = op.softcap;
  p.nan_to_zero = op.nan_to_zero;
  p.q = q.operand;
  p.k = k.operand;
  p.k_size = k.last;
  p.v = v.operand;
  p.y = y.operand;
  if (ctx.has_input(3)) {
    p.masked = true;
    p.mask_replaces = op.mask_replaces;
    Dims mask = ctx.dims(3);
    mask.insert(mask.begin(), 4 - mask.size(), 1);
    int64_t step = 1, strides[4];
    for (size_t i = 4; i-- > 0;) {
      strides[i] = mask[i] == 1 ? 0 : step;
      step *= mask[i];
    }
    p.mask = {strides[0], strides[1], strides[2]};
    p.mask_key = strides[3];
  }
  Step step;
  step.kernel = "AttentionBlocks";
  if (p.batch * p.heads * p.queries * p.value_size == 0) return step;
  kernels::plan_attention(p);
  step.scratch_bytes = static_cast<size_t>(kernels::attention_scratch(p));
  const double work = static_cast<double>(p.batch * p.heads) * static_cast<double>(p.queries) * static_cast<double>(p.keys);
  const double nanoseconds = work * (static_cast<double>(p.size + p.value_size) / 40 + (p.softcap != 0 ? 1.5 : 0.5));
  if (kernels::takes_few_queries(p)) {
    step.kernel = "AttentionFew";
    step.phases.push_back(Step::phase<kernels::AttentionParams>(kernels::AttentionFewPointer(), p, p.parts(), nanoseconds));
    return step;
  }
  const auto format = kernels::gemm_format();
  const auto k_floats = checked_mul(kernels::packed_floats(format, p.size, p.keys), p.batch * p.kv_heads);
  const auto v_floats = checked_mul(kernels::packed_floats(format, p.keys, p.value_size), p.batch * p.kv_heads);
  const auto floats = k_floats && v_floats ? checked_add(*k_floats, *v_floats) : std::nullopt;
  const auto bytes = floats ? checked_mul(*floats, 4) : std::nullopt;
  if (!bytes) return limit_error("packing K and V overflows");
  step.shared_bytes = static_cast<size_t>(*bytes);
  p.v_at = *k_floats;
  if (p.keys > 0) {
    step.phases.push_back(pack(1, k, p.size, p.keys, p.k_size, p.k.row, p.k_at));
    step.phases.push_back(pack(2, v, p.keys, p.value_size, p.v.row, 1, p.v_at));
  }
  step.phases.push_back(Step::phase<kernels::AttentionParams>(kernels::AttentionBlocksPointer(), p, p.parts(), nanoseconds));
  return step;
}

}  // namespace tenon::ops
