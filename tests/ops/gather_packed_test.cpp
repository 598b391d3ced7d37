#include "ops/gather_packed.h"

#include <gtest/gtest.h>

#include "base/small_float.h"
#include "ops/matmul.h"
#include "tests/support/rewrite.h"

namespace tenon {
namespace {

struct Packed {
  Tensor tensor;
  Type type;
};
Packed packed(const Tensor& table, bool trans) {
  auto result = ops::pack_matmul_weights(table, trans);
  EXPECT_TRUE(result.ok() && result->has_value());
  Type type = Type::of(table.dtype(), Shape::of((*result)->tensor.dims()));
  type.layout = (*result)->layout;
  return {(*result)->tensor, type};
}

/// Runs GatherPacked on the table packed as it lies, or transposed; the rows of the table are wanted either way.
template <class T>
kernels::Fault::Kind run(const Tensor& table, bool trans, const Tensor& indices, std::vector<T>& out) {
  const Packed b = packed(table, trans);
  const Types in{b.type, Type::of(indices.dtype(), Shape::of(indices.dims()))};
  const Op op = ops::GatherPacked{.columns = trans};
  const auto types = infer(op, in);
  EXPECT_TRUE(types.ok()) << types.status().message();
  Dims dims = indices.dims();
  dims.push_back(table.dims()[1]);
  EXPECT_EQ((*types)[0].shape.to_ints(), dims);
  const TypedBindContext ctx(in, *types, {true});
  const auto step = tenon::bind(op, ctx);
  EXPECT_TRUE(step.ok());
  out.assign(static_cast<size_t>(indices.count() * table.dims()[1]), T(-1.0f));
  const void* src[] = {b.tensor.data(), indices.data()};
  void* dst[] = {out.data()};
  kernels::Fault fault;
  kernels::Call call{.src = src, .dst = dst, .fault = &fault};
  for (const Phase& phase : step->phases) {
    for (int64_t part = phase.parts; part-- > 0;) phase.run(phase.params.get(), call, {part, part + 1});
  }
  return static_cast<kernels::Fault::Kind>(fault.kind.load());
}

template <class T>
void takes_rows_of_the_table() {
  const std::vector<int64_t> wanted{0, 36, 5, -1, 31, 32, 33, -37, 7, 7, 1};
  const Tensor wide = Tensor::of<int64_t>({11}, wanted);
  const Tensor narrow = Tensor::of<int32_t>({11, 1}, std::vector<int32_t>(wanted.begin(), wanted.end()));
  for (const int64_t width : {1, 2, 31, 32, 33, 100}) {
    const Tensor floats = test::values({37, width}, 3);
    Tensor table = *Tensor::allocate(dtype_of<T>, floats.dims());
    for (int64_t i = 0; i < table.count(); ++i) table.as<T>()[i] = T(floats.as<float>()[i]);
    for (const bool trans : {false, true}) {
      if (!trans && width == 1) continue;  // a single column is not packed
      for (const Tensor& indices : {wide, narrow}) {
        std::vector<T> out;
        ASSERT_EQ(run(table, trans, indices, out), kernels::Fault::kNone);
        for (size_t i = 0; i < wanted.size(); ++i) {
          const int64_t row = wanted[i] < 0 ? wanted[i] + 37 : wanted[i];
          for (int64_t j = 0; j < width; ++j)
            ASSERT_EQ(static_cast<float>(out[i * static_cast<size_t>(width) + static_cast<size_t>(j)]),
                      static_cast<float>(table.as<T>()[row * width + j]));
        }
      }
    }
  }
}
TEST(GatherPacked, TakesRowsOfTheTable) {
  takes_rows_of_the_table<float>();
  if (ops::can_gather_packed(DType::kFloat16)) {
    takes_rows_of_the_table<Float16>();
    takes_rows_of_the_table<BFloat16>();
  }
}

TEST(GatherPacked, ReportsAnIndexOutOfRange) {
  const Tensor table = test::values({37, 5}, 3);
  for (const bool trans : {false, true}) {
    for (const int64_t index : {int64_t{37}, int64_t{-38}, INT64_MAX, INT64_MIN}) {
      std::vector<float> out;
      EXPECT_EQ(run(table, trans, Tensor::of<int64_t>({2}, {1, index}), out), kernels::Fault::kIndex);
    }
  }
}

TEST(GatherPacked, RefusesAPlainTable) {
  EXPECT_EQ(infer(Op(ops::GatherPacked{}), {Type::of(DType::kFloat32, Shape::of({4, 4})), Type::of(DType::kInt64, Shape::of({2}))})
                .status()
                .code(),
            Code::kInternal);
}

}  // namespace
}  // namespace tenon
