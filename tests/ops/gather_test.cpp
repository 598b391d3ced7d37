#include "ops/gather.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

/// Gathers with the indices as a constant, which may become a slice, and through the kernel as if they were computed.
void check(DType dtype, const Dims& dims, int64_t axis, const Dims& index_dims, const std::vector<int64_t>& indices, bool narrow = false) {
  const Tensor x = counting(dtype, dims);
  const Tensor wide = Tensor::of<int64_t>(index_dims, indices);
  const Tensor small = Tensor::of<int32_t>(index_dims, std::vector<int32_t>(indices.begin(), indices.end()));
  const size_t a = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(dims.size()) : axis);
  Dims out(dims.begin(), dims.begin() + static_cast<int64_t>(a));
  out.insert(out.end(), index_dims.begin(), index_dims.end());
  out.insert(out.end(), dims.begin() + static_cast<int64_t>(a) + 1, dims.end());
  const Tensor& index = narrow ? small : wide;
  const auto from = [&](const Dims& i) {
    const Dims at(i.begin() + static_cast<int64_t>(a), i.begin() + static_cast<int64_t>(a + index_dims.size()));
    int64_t k = indices[flat(index_dims, at)];
    Dims source(i.begin(), i.begin() + static_cast<int64_t>(a));
    source.push_back(k < 0 ? k + dims[a] : k);
    source.insert(source.end(), i.begin() + static_cast<int64_t>(a + index_dims.size()), i.end());
    return source;
  };
  expect_moved(run(ops::Gather{axis}, {&x, &index}), out, x, from);

  const Types in = {Type::of(dtype, Shape::of(dims)), Type::of(index.dtype(), Shape::of(index_dims))};
  const auto types = infer(Op(ops::Gather{axis}), in);
  ASSERT_TRUE(types.ok());
  const TypedBindContext ctx(in, *types, {true});
  const auto step = tenon::bind(Op(ops::Gather{axis}), ctx);
  ASSERT_TRUE(step.ok());
  auto y = Tensor::allocate(dtype, out);
  ASSERT_TRUE(y.ok());
  const void* src[] = {x.data(), index.data()};
  void* dst[] = {(*y).data()};
  kernels::Fault fault;
  kernels::Call call;
  call.src = src;
  call.dst = dst;
  call.fault = &fault;
  for (const Phase& phase : (*step).phases) {
    for (int64_t part = phase.parts; part-- > 0;) phase.run(phase.params.get(), call, {part, part + 1});
  }
  ASSERT_EQ(fault.kind.load(), 0);
  expect_moved(*y, out, x, from);
}

TEST(Gather, EveryAxisAndElementSize) {
  for (const DType dtype : kSizes) {
    for (const bool narrow : {false, true}) {
      check(dtype, {4, 5, 6}, 0, {3}, {3, 0, -1}, narrow);
      check(dtype, {4, 5, 6}, 1, {2, 2}, {4, -5, 0, 0}, narrow);
      check(dtype, {4, 5, 6}, -1, {3}, {1, 1, 5}, narrow);
      check(dtype, {4, 5, 6}, 1, {}, {2}, narrow);
      check(dtype, {5}, 0, {}, {-2}, narrow);
      check(dtype, {4, 5, 6}, 1, {2, 2}, {0, 1, 2, 3}, narrow);
      check(dtype, {4, 5, 6}, 1, {3}, {4, 2, 0}, narrow);
      check(dtype, {4, 5, 6}, 1, {0}, {}, narrow);
      check(dtype, {0, 5}, 1, {2}, {1, 3}, narrow);
    }
  }
  check(DType::kFloat32, {3, 40000}, 0, {4}, {2, 0, 0, 1});
}

TEST(Gather, LeadingScalarIndexIsAView) {
  const Tensor x = counting(DType::kFloat32, {4, 6}), i = Tensor::scalar<int64_t>(-2);
  const auto y = run(ops::Gather{0}, {&x, &i});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y).as<char>(), x.as<char>() + 2 * 6 * 4);
}

TEST(Gather, IndexOutOfRangeIsARunError) {
  const Tensor x = counting(DType::kFloat32, {2, 3});
  for (const int64_t bad : {int64_t{99}, int64_t{2}, int64_t{-3}, INT64_MIN, INT64_MAX}) {
    const Tensor i = Tensor::scalar(bad);
    expect_error(run(ops::Gather{0}, {&x, &i}), Code::kRun, {std::to_string(bad), "2"});
  }
  const Tensor empty = counting(DType::kFloat32, {0, 3}), zero = Tensor::scalar<int64_t>(0);
  expect_error(run(ops::Gather{0}, {&empty, &zero}), Code::kRun, {"0"});
}

TEST(Gather, Types) {
  const Type x = Type::of(DType::kFloat32, {Dim::symbol("n"), 3});
  EXPECT_EQ((*infer(Op(ops::Gather{1}), {x, Type::of(DType::kInt32, {Dim::symbol("m"), 2})}))[0].shape.str(), "[n, m, 2]");
  expect_error(infer(Op(ops::Gather{2}), {x, Type::of(DType::kInt64, {1})}), Code::kShape, {"axis", "2"});
  expect_error(infer(Op(ops::Gather{0}), {Type::of(DType::kFloat32, Shape{}), Type::of(DType::kInt64, {1})}), Code::kShape, {"scalar"});
  expect_error(infer(Op(ops::Gather{0}), {x, Type::of(DType::kFloat32, {1})}), Code::kShape, {"float32", "int64"});
}

}  // namespace
}  // namespace tenon
