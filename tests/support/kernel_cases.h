// Typical work for every family of kernels that has a table (matrix products and convolutions aside, which have cases of their own): each
// row of a family that takes a case is tested against the last one that does, the plain reference, and timed beside it.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/allocator.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/broadcast.h"
#include "kernels/elementwise/cast.h"
#include "kernels/elementwise/select.h"
#include "kernels/elementwise/unary.h"
#include "kernels/movement/movement.h"
#include "kernels/normalization/layer_norm.h"
#include "kernels/normalization/softmax.h"
#include "kernels/pool/pool.h"
#include "kernels/quantize/quantize.h"
#include "kernels/reduction/arg_reduce.h"
#include "kernels/reduction/reduce.h"
#include "kernels/resize/resize.h"

namespace tenon::test {

struct Operand {
  DType dtype = DType::kFloat32;
  int64_t count = 0;
  int64_t limit = 0;  ///< integers lie in [0, limit), or are 0 and 1
  size_t bytes() const { return static_cast<size_t>(count) * size_of(dtype); }
};

template <class Params>
struct KernelCase {
  KernelCase(std::string case_name, Params p, int64_t part_count, std::vector<Operand> inputs, std::vector<Operand> outputs,
             double largest_difference = 0, size_t scratch_bytes = 0, std::shared_ptr<void> kept = {})
      : name(std::move(case_name)),
        params(p),
        parts(part_count),
        in(std::move(inputs)),
        out(std::move(outputs)),
        tolerance(largest_difference),
        scratch(scratch_bytes),
        keep(std::move(kept)) {}

  std::string name;
  Params params;
  int64_t parts;
  std::vector<Operand> in, out;
  double tolerance;  ///< between rows, relative to 1 + the value
  size_t scratch;
  std::shared_ptr<void> keep;  ///< what params point to
};

namespace cases {

using namespace kernels;  // NOLINT: the cases are a table of kernel parameters
inline constexpr DType kF32 = DType::kFloat32, kF16 = DType::kFloat16, kBF16 = DType::kBFloat16, kF64 = DType::kFloat64,
                       kI64 = DType::kInt64;

inline const char* suffix(DType dtype) {
  return dtype == kF32 ? "" : dtype == kF16 ? "/float16" : dtype == kF64 ? "/float64" : "/bfloat16";
}
/// What one more rounding in another place costs.
inline double tolerance(DType dtype) { return dtype == kF64 ? 1e-14 : dtype == kF32 ? 1e-5 : dtype == kF16 ? 2e-3 : 1e-2; }
inline int64_t pieces(int64_t n, int64_t chunk) { return (n + chunk - 1) / chunk; }

template <class F>
void elementwise(int64_t n, F&& f) {
  constexpr int64_t kChunk = 16384;
  const int64_t parts = pieces(n, kChunk);
  constexpr std::pair<const char*, UnaryKind> kUnary[] = {
      // clang-format off
      {"relu", UnaryKind::kRelu}, {"exp", UnaryKind::kExp}, {"sigmoid", UnaryKind::kSigmoid}, {"tanh", UnaryKind::kTanh},
      {"gelu", UnaryKind::kGelu}, {"erf", UnaryKind::kErf}, {"sqrt", UnaryKind::kSqrt},
      // clang-format on
  };
  for (const auto& [name, kind] : kUnary) {
    for (const DType t : {kF32, kF16, kBF16, kF64}) {
      f(unary, KernelCase<UnaryParams>(std::string(name) + suffix(t), {kind, t, 0, 0, n, kChunk}, parts, {{t, n}}, {{t, n}}, tolerance(t)));
    }
  }
  const int64_t rows = n / 512, n2 = rows * 512;
  constexpr std::pair<const char*, BinaryKind> kBinary[] = {
      // clang-format off
      {"add", BinaryKind::kAdd}, {"mul", BinaryKind::kMul}, {"div", BinaryKind::kDiv}, {"max", BinaryKind::kMax},
      {"pow", BinaryKind::kPow}, {"less", BinaryKind::kLess},
      // clang-format on
  };
  for (const auto& [name, kind] : kBinary) {
    for (const DType t : {kF32, kF16}) {
      for (const bool row : {false, true}) {
        BinaryParams p{.kind = kind, .dtype = t, .exponent_dtype = t, .count = n2, .chunk = kChunk, .shape = {}};
        const std::array<int64_t, 2> whole{rows, 512};
        const std::array<int64_t, 1> one{512};
        make_broadcast_shape<2>(whole, {whole, row ? std::span<const int64_t>(one) : std::span<const int64_t>(whole)}, p.shape);
        f(binary, KernelCase<BinaryParams>(std::string(name) + (row ? "/row" : "") + suffix(t), p, pieces(n2, kChunk),
                                           {{t, n2}, {t, row ? 512 : n2}}, {{is_comparison(kind) ? DType::kBool : t, n2}}, tolerance(t)));
      }
    }
  }
  constexpr std::pair<DType, DType> kCasts[] = {
      // clang-format off
      {kF32, kF16}, {kF16, kF32}, {kF32, kBF16}, {kBF16, kF32}, {kI64, kF32}, {kF32, DType::kInt32}, {kF32, kI64}, {DType::kUint8, kF32},
      {DType::kInt8, kF32},
      {DType::kBool, kF32},
      // clang-format on
  };
  for (const auto& [from, to] : kCasts) {
    f(cast, KernelCase<CastParams>(std::string(name_of(from)) + "_to_" + std::string(name_of(to)),
                                   {.from = from, .to = to, .count = n, .chunk = kChunk}, parts, {{from, n, 100}}, {{to, n}}));
  }
  f(clip, KernelCase<ClipParams>("both", {kF32, false, n, kChunk}, parts, {{kF32, n}, {kF32, 1}, {kF32, 1}}, {{kF32, n}}));
  WhereParams w{.element_size = 4, .count = n, .chunk = kChunk, .shape = {}};
  const std::array<int64_t, 1> dims{n};
  make_broadcast_shape<3>(dims, {dims, dims, dims}, w.shape);
  f(where, KernelCase<WhereParams>("same_shape", w, parts, {{DType::kBool, n}, {kF32, n}, {kF32, n}}, {{kF32, n}}));
}

template <class F>
void quantization(int64_t rows, int64_t n, F&& f) {
  const int64_t count = rows * n;
  for (const DType t : {DType::kInt8, DType::kUint8, DType::kInt4, DType::kUint2}) {
    const int64_t limit = t == DType::kInt4 ? 8 : t == DType::kUint2 ? 4 : 100;
    for (const bool column : {false, true}) {  // a scale each, or one for all
      QuantizeParams p{.narrow = t, .zero_point = true, .axis = count, .block = 16384};
      if (column) p.outer = rows, p.axis = 1, p.inner = n, p.block = 1, p.scale_inner = 1, p.chunk = 16;
      const int64_t scales = column ? n : 1, parts = pieces(p.groups(), p.chunk);
      const std::string name = std::string(name_of(t)) + (column ? "/column" : "");
      f(quantize, KernelCase<QuantizeParams>(name, p, parts, {{kF32, count}, {kF32, scales}, {t, scales, limit}}, {{t, count}}));
      f(dequantize, KernelCase<QuantizeParams>(name, p, parts, {{t, count, limit}, {kF32, scales}, {t, scales, limit}}, {{kF32, count}}));
    }
  }
}

template <class F>
void normalization(int64_t rows, int64_t n, F&& f) {
  const int64_t count = rows * n;
  for (const DType t : {kF32, kF16, kF64}) {
    f(softmax, KernelCase<SoftmaxParams>(std::string("hardmax_rows") + suffix(t),
                                         {.kind = SoftmaxKind::kHardmax, .dtype = t, .outer = rows, .n = n, .chunk = 4}, pieces(rows, 4),
                                         {{t, count}}, {{t, count}}));
    f(softmax, KernelCase<SoftmaxParams>(std::string("rows") + suffix(t), {.dtype = t, .outer = rows, .n = n, .chunk = 4}, pieces(rows, 4),
                                         {{t, count}}, {{t, count}}, tolerance(t)));
    f(softmax, KernelCase<SoftmaxParams>(std::string("log_rows") + suffix(t),
                                         {.kind = SoftmaxKind::kLogSoftmax, .dtype = t, .outer = rows, .n = n, .chunk = 4}, pieces(rows, 4),
                                         {{t, count}}, {{t, count}}, tolerance(t)));
    f(softmax, KernelCase<SoftmaxParams>(std::string("columns") + suffix(t), {.dtype = t, .n = n, .inner = rows, .chunk = 64},
                                         pieces(rows, 64), {{t, count}}, {{t, count}}, tolerance(t)));
  }
  for (const DType t : {kF32, kF16, kBF16}) {
    for (const bool rms : {false, true}) {
      LayerNormParams p{.dtype = t,
                        .scale_dtype = t,
                        .out_dtype = t,
                        .rms = rms,
                        .has_bias = !rms,
                        .whole_scale = true,
                        .rows = rows,
                        .n = n,
                        .chunk = 4,
                        .shape = {}};
      const std::array<int64_t, 2> whole{rows, n};
      const std::array<int64_t, 1> one{n};
      make_broadcast_shape<2>(whole, {one, one}, p.shape);
      f(layer_norm,
        KernelCase<LayerNormParams>(std::string(rms ? "rms" : "mean") + suffix(t), p, pieces(rows, 4), {{t, count}, {t, n}, {t, n}},
                                    {{t, count}, {kF32, 0}, {kF32, 0}}, 10 * tolerance(t), static_cast<size_t>(3 * n) * 4));
    }
  }
  f(group_norm, KernelCase<GroupNormParams>("32", {.batch = 1, .channels = n, .inner = rows, .groups = 32}, 32,
                                            {{kF32, count}, {kF32, n}, {kF32, n}}, {{kF32, count}}, 1e-4));
  f(lp_norm, KernelCase<LpNormParams>("2", {.outer = rows, .n = n, .chunk = 4}, pieces(rows, 4), {{kF32, count}}, {{kF32, count}}, 1e-5));
}

template <class F>
void reduction(int64_t rows, int64_t n, F&& f) {
  const int64_t count = rows * n;
  constexpr std::pair<const char*, ReduceKind> kReduce[] = {
      // clang-format off
      {"sum", ReduceKind::kSum}, {"max", ReduceKind::kMax}, {"mean", ReduceKind::kMean}, {"l2", ReduceKind::kL2},
      {"log_sum_exp", ReduceKind::kLogSumExp},
      // clang-format on
  };
  for (const auto& [name, kind] : kReduce) {
    ReduceParams p{.kind = kind,
                   .kept_rank = 1,
                   .reduced_rank = 1,
                   .kept_dims = {rows},
                   .kept_strides = {n},
                   .reduced_dims = {n},
                   .reduced_strides = {1},
                   .outputs = rows,
                   .reduced = n,
                   .chunk = 16};
    f(reduce, KernelCase<ReduceParams>(std::string(name) + "/rows", p, pieces(rows, 16), {{kF32, count}}, {{kF32, rows}}, 1e-4));
    p.kept_dims[0] = p.outputs = n, p.kept_strides[0] = 1, p.reduced_dims[0] = p.reduced = rows, p.reduced_strides[0] = n, p.chunk = 64;
    f(reduce, KernelCase<ReduceParams>(std::string(name) + "/columns", p, pieces(n, 64), {{kF32, count}}, {{kF32, n}}, 1e-4));
  }
  f(arg_reduce,
    KernelCase<ArgReduceParams>("max/rows", {.outer = rows, .n = n, .chunk = 16}, pieces(rows, 16), {{kF32, count}}, {{kI64, rows}}));
  f(arg_reduce,
    KernelCase<ArgReduceParams>("max/columns", {.n = rows, .inner = n, .chunk = 64}, pieces(n, 64), {{kF32, count}}, {{kI64, n}}));
  ReduceParams runs{.kind = ReduceKind::kMax,
                    .kept_rank = 1,
                    .reduced_rank = 1,
                    .kept_dims = {count / 8},
                    .kept_strides = {8},
                    .reduced_dims = {8},
                    .reduced_strides = {1},
                    .outputs = count / 8,
                    .reduced = 8,
                    .chunk = 512};
  f(reduce, KernelCase<ReduceParams>("max/runs_of_8", runs, pieces(count / 8, 512), {{kF32, count}}, {{kF32, count / 8}}, 1e-4));
  f(cumulative,
    KernelCase<CumulativeParams>("sum/rows", {.outer = rows, .n = n, .chunk = 16}, pieces(rows, 16), {{kF32, count}}, {{kF32, count}}));
}

template <class F>
void image(int64_t channels, int64_t size, F&& f) {
  const int64_t half = size / 2, count = channels * size * size;
  for (const int64_t block : {int64_t{0}, static_cast<int64_t>(float_lanes() >= 16 ? 16 : 8)}) {
    const int64_t planes = block == 0 ? channels : channels / block, width = block == 0 ? 1 : block;
    const std::string blocked = block == 0 ? "" : "/blocked";
    for (const auto& [name, kind] :
         std::initializer_list<std::pair<const char*, PoolKind>>{{"max", PoolKind::kMax}, {"average", PoolKind::kAverage}}) {
      for (const int64_t stride : {2, 1}) {
        for (const DType t : {kF32, DType::kUint8}) {
          if (t != kF32 && (kind != PoolKind::kMax || block != 0)) continue;
          const int64_t kernel = stride == 2 ? 3 : 5, out = stride == 2 ? half : size;
          PoolParams p{};
          p.kind = kind, p.dtype = t, p.spatial = 2, p.block = static_cast<int32_t>(block), p.planes = planes;
          for (int i = 0; i < 2; ++i) {
            p.in[i] = size, p.out[i] = out, p.kernel[i] = kernel, p.stride[i] = stride, p.dilation[i] = 1,
            p.pad[i] = p.pad_end[i] = kernel / 2;
          }
          const int64_t parts = plan_pool(p);
          f(pool,
            KernelCase<PoolParams>(name + std::to_string(kernel) + "s" + std::to_string(stride) + blocked + (t == kF32 ? "" : "/uint8"), p,
                                   parts, {{t, count, 256}}, {{t, planes * width * out * out}}, 1e-6,
                                   static_cast<size_t>(std::max(pool_scratch_bytes(p), block == 0 ? pool_line_bytes(p) : 0))));
        }
      }
      f(global_pool, KernelCase<GlobalPoolParams>(
                         name + blocked, {.kind = kind, .block = static_cast<int32_t>(block), .planes = planes, .pixels = size * size},
                         planes, {{kF32, count}}, {{kF32, planes * width}}));
    }
  }

  ResizeRule rule{.mode = ResizeMode::kNearest, .coordinates = Coordinates::kAsymmetric, .nearest = NearestMode::kFloor};
  const auto axes = [&](int64_t taps) {
    ResizeAxis axis{.in = size, .out = 2 * size, .scale = 2, .width = static_cast<double>(2 * size), .taps = taps};
    axis.weight_at = (axis.out * 4 + 63) / 64 * 64;
    return axis;
  };
  const auto tables = [&](const ResizeAxis& axis) {
    auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(axis.weight_at + axis.taps * axis.out * 4));
    build_resize_tables<float>(rule, axis, 0, 1, bytes->data());
    return bytes;
  };
  {
    const ResizeAxis axis = axes(1);
    const auto bytes = tables(axis);
    ResizeNearestParams p;
    p.tables = bytes->data();
    p.loops = 2, p.loop[0] = {channels, size * size * 4, -1}, p.loop[1] = {axis.out, size * 4, axis.start_at};
    p.row = axis.out, p.row_start_at = axis.start_at, p.factor = 2, p.planes_double = true;
    p.rows = channels * axis.out, p.rows_per_part = 16;
    for (const DType t : {kF32, kF16, kI64, DType::kUint8}) {
      p.element = static_cast<int64_t>(size_of(t));
      p.loop[0].stride = size * size * p.element, p.loop[1].stride = size * p.element;
      f(resize_nearest, KernelCase<ResizeNearestParams>("double/" + std::string(name_of(t)), p, p.parts(), {{t, count, 100}},
                                                        {{t, 4 * count}}, 0, 0, bytes));
    }
  }
  rule.mode = ResizeMode::kLinear, rule.coordinates = Coordinates::kHalfPixel;
  const ResizeAxis axis = axes(resize_taps(rule, size, 2));
  const auto bytes = tables(axis);
  ResizePassParams pass;
  pass.tables = bytes->data(), pass.axis = axis, pass.outer = channels, pass.inner = size, pass.units_per_part = 64;
  f(resize_pass, KernelCase<ResizePassParams>("linear/rows", pass, pass.parts(), {{kF32, count}}, {{kF32, 2 * count}}, 1e-5, 0, bytes));
  pass.outer = channels * size, pass.inner = 1;
  f(resize_pass,
    KernelCase<ResizePassParams>("linear/last_axis", pass, pass.parts(), {{kF32, count}}, {{kF32, 2 * count}}, 1e-5, 0, bytes));
  ResizeBilinearParams both;
  both.tables = bytes->data(), both.x = both.y = axis, both.doubles = true, both.planes = channels, both.rows_per_part = 16;
  both.blocks = pieces(axis.out, 16);
  f(resize_bilinear, KernelCase<ResizeBilinearParams>("double", both, both.parts(), {{kF32, count}}, {{kF32, 4 * count}}, 1e-5,
                                                      both.scratch_bytes(), bytes));
}

template <class F>
void movement(int64_t rows, int64_t n, F&& f) {
  const int64_t count = rows * n;
  const auto copy = [&](const char* name, std::vector<CopyLoop> loops) {
    CopyParams p;
    plan_copy(loops, 4, 0, 0, &p);
    f(copy_table, KernelCase<CopyParams>(name, p, p.parts(), {{kF32, count}}, {{kF32, count}}));
  };
  copy("transpose", {{n, 4, rows * 4}, {rows, n * 4, 4}});
  copy("repeat", {{rows, n * 4, n * 4}, {n, 0, 4}});
  copy("tile", {{8, 0, count / 8 * 4}, {rows / 8, n / 8 * 4, n * 4}, {8, 0, n / 8 * 4}, {n / 8, 4, 4}});
  copy("channels_last", {{count / 3, 4, 12}, {3, count / 3 * 4, 4}});
  copy("heads", {{8, n / 8 * 4, rows * (n / 8) * 4}, {rows, n * 4, n / 8 * 4}, {n / 8, 4, 4}});
  GatherParams g{.axis = rows, .indices = rows, .inner = n * 4};
  g.cut();
  f(gather_table, KernelCase<GatherParams>("rows", g, g.parts(), {{kF32, count}, {kI64, rows, rows}}, {{kF32, count}}));
  GatherParams e{.outer = 1, .axis = count, .indices = count, .inner = 4};
  e.cut();
  f(gather_table, KernelCase<GatherParams>("elements", e, e.parts(), {{kF32, count}, {kI64, count, count}}, {{kF32, count}}));
  const auto offsets = std::make_shared<std::vector<int64_t>>(std::vector<int64_t>{0, n, 4 * n});
  JoinParams j{.pieces = 2, .offsets = offsets->data(), .rows = rows, .row_bytes = 4 * n};
  j.cut();
  f(join_table, KernelCase<JoinParams>("concat", j, j.parts(), {{kF32, count / 4}, {kF32, count / 4 * 3}}, {{kF32, count}}, 0, 0, offsets));
  PadParams pad{};
  pad.rank = 2, pad.element = 4, pad.value_bytes = 4, pad.value_input = 1;
  pad.src_dims[0] = rows, pad.src_dims[1] = n, pad.dst_dims[0] = pad.rows = rows + 2, pad.dst_dims[1] = n + 2,
  pad.before[0] = pad.before[1] = 1;
  pad.rows_per_part = rows_per_part((n + 2) * 4);
  f(pad_table, KernelCase<PadParams>("constant", pad, pad.parts(), {{kF32, count}, {kF32, 1}}, {{kF32, (rows + 2) * (n + 2)}}));
}

}  // namespace cases

/// The last row of the family that takes the case; null when none does.
template <class Params>
const kernels::Row<Params>* reference_row(const kernels::Table<Params>& table, const Params& params) {
  const kernels::Row<Params>* last = nullptr;
  for (const auto& row : table) {
    if (row.refuse(params) == nullptr) last = &row;
  }
  return last;
}

/// Calls f(table, case) for every case, in sizes fit for timing when `large`, else small and uneven ones.
template <class F>
void for_each_kernel_case(bool large, F&& f) {
  cases::elementwise(large ? 1 << 20 : 512 * 67 + 13, f);
  large ? cases::quantization(2048, 512, f) : cases::quantization(67, 83, f);
  large ? cases::normalization(2048, 768, f) : cases::normalization(37, 96, f);
  large ? cases::reduction(1024, 1024, f) : cases::reduction(37, 83, f);
  large ? cases::image(64, 112, f) : cases::image(48, 14, f);
  large ? cases::movement(1024, 1536, f) : cases::movement(39, 40, f);
}

/// The buffers of a case, its inputs filled: floats in [0.1, 2), integers as their operand says.
template <class Params>
class KernelRun {
 public:
  /// as_engine: in memory as the engine's, on huge pages where the system has them, instead of memory that ends where an operand does.
  explicit KernelRun(const KernelCase<Params>& c, bool as_engine = false) : case_(c), scratch_(c.scratch + 64) {
    uint32_t seed = 1;
    for (const Operand& o : c.in) {
      memory_.push_back(memory(o.bytes(), as_engine));
      fill(o, memory_.back().get(), seed++);
      src_.push_back(o.count == 0 ? nullptr : memory_.back().get());
    }
    for (const Operand& o : c.out) {
      memory_.push_back(memory(o.bytes(), as_engine));
      dst_.push_back(o.count == 0 ? nullptr : memory_.back().get());
    }
  }

  void operator()(kernels::Kernel<Params> kernel) { (*this)(kernel, {0, case_.parts}); }
  void operator()(kernels::Kernel<Params> kernel, kernels::Range parts) {
    auto* scratch = scratch_.data() + (64 - reinterpret_cast<uintptr_t>(scratch_.data()) % 64) % 64;
    const kernels::Call call{.src = src_.data(), .dst = dst_.data(), .scratch = scratch, .fault = &fault_};
    kernel(case_.params, call, parts);
  }

  /// Output 0 as doubles.
  std::vector<double> result() const {
    const Operand& o = case_.out[0];
    std::vector<double> v(static_cast<size_t>(o.count));
    kernels::cast_elements({.from = o.dtype, .to = DType::kFloat64, .count = o.count, .chunk = o.count}, dst_[0], v.data(), o.count);
    return v;
  }

  /// Bytes read and written.
  double moved() const {
    size_t n = 0;
    for (const Operand& o : case_.in) n += o.bytes();
    for (const Operand& o : case_.out) n += o.bytes();
    return static_cast<double>(n);
  }

 private:
  static std::shared_ptr<std::byte> memory(size_t bytes, bool as_engine) {
    if (!as_engine || bytes == 0) return {new std::byte[bytes](), std::default_delete<std::byte[]>()};
    auto buffer = *Buffer::allocate(bytes);
    std::memset(buffer->data(), 0, bytes);
    return {buffer, buffer->data()};
  }

  static void fill(const Operand& o, std::byte* to, uint32_t seed) {
    std::vector<double> values(static_cast<size_t>(o.count));
    for (double& x : values) {
      seed = seed * 1664525 + 1013904223;
      x = is_any_float(o.dtype) ? 0.1 + static_cast<double>(seed >> 8) * 1.9 / (1 << 24)
                                : static_cast<double>((seed >> 8) % (o.limit > 0 ? o.limit : 2));
    }
    kernels::cast_elements({.from = DType::kFloat64, .to = o.dtype, .count = o.count, .chunk = o.count}, values.data(), to, o.count);
  }

  const KernelCase<Params>& case_;
  std::vector<std::shared_ptr<std::byte>> memory_;
  std::vector<const void*> src_;
  std::vector<void*> dst_;
  std::vector<std::byte> scratch_;
  kernels::Fault fault_;
};

}  // namespace tenon::test
