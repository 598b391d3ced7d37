#include "ops/concat.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

void check(DType dtype, const std::vector<Dims>& dims, int64_t axis) {
  std::vector<Tensor> parts;
  std::vector<const Tensor*> in;
  parts.reserve(dims.size());
  const size_t a = static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(dims[0].size()) : axis);
  Dims out = dims[0];
  out[a] = 0;
  for (const Dims& d : dims) {
    parts.push_back(counting(dtype, d));
    in.push_back(&parts.back());
    out[a] += d[a];
  }
  const auto y = run(ops::Concat{axis}, in);
  ASSERT_TRUE(y.ok()) << y.status().message();
  ASSERT_EQ((*y).dims(), out);
  const size_t size = size_of(dtype);
  for_each_index(out, [&](Dims i) {
    const char* got = (*y).as<char>() + flat(out, i) * static_cast<int64_t>(size);
    size_t part = 0;
    for (; i[a] >= dims[part][a]; ++part) i[a] -= dims[part][a];
    const int64_t from = flat(dims[part], i);
    if (dtype == DType::kString) {
      ASSERT_EQ(reinterpret_cast<const StringRef*>(got)->view(), parts[part].as<StringRef>()[from].view());
    } else {
      ASSERT_EQ(0, std::memcmp(got, parts[part].as<char>() + from * static_cast<int64_t>(size), size));
    }
  });
}

TEST(Concat, EveryAxisAndElementSize) {
  for (const DType dtype : kSizes) {
    check(dtype, {{2, 3, 4}, {5, 3, 4}, {1, 3, 4}}, 0);
    check(dtype, {{2, 3, 4}, {2, 1, 4}, {2, 0, 4}, {2, 7, 4}}, 1);
    check(dtype, {{2, 3, 4}, {2, 3, 1}, {2, 3, 2}}, -1);
    check(dtype, {{300, 2}, {300, 1}, {300, 5}}, 1);
    check(dtype, {{3}, {4}}, 0);
    check(dtype, {{2, 3}}, 1);
    check(dtype, {{2, 0}, {2, 0}}, 1);
  }
}

TEST(Concat, RowsLargerThanAPart) {
  check(DType::kFloat32, {{3, 50000}, {3, 1}, {3, 70001}}, 1);
  check(DType::kUint8, {{1, 300000}, {1, 3}}, 1);
}

TEST(Concat, Types) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  const auto f = [](Shape s) { return Type::of(DType::kFloat32, std::move(s)); };
  EXPECT_EQ((*infer(Op(ops::Concat{1}), {f({n, 3}), f({n, m}), f({2, 1})}))[0].shape.str(), "[2, m + 4]");
  EXPECT_EQ((*infer(Op(ops::Concat{0}), {f({n, 3}), Type::unranked(DType::kFloat32)}))[0].shape.str(), "[?, 3]");
  expect_error(infer(Op(ops::Concat{0}), {f({2, 3}), f({2, 3, 1})}), Code::kShape, {"rank", "2", "3"});
  expect_error(infer(Op(ops::Concat{0}), {f({2, 3}), f({2, 4})}), Code::kShape, {"dim 1", "3", "4"});
  expect_error(infer(Op(ops::Concat{2}), {f({2, 3}), f({2, 3})}), Code::kShape, {"axis", "2"});
  expect_error(infer(Op(ops::Concat{0}), {f({}), f({})}), Code::kShape, {"scalar"});
  expect_error(infer(Op(ops::Concat{0}), {f({2}), Type::of(DType::kInt8, {2})}), Code::kShape, {"float32", "int8"});
  expect_error(infer(Op(ops::Concat{0}), {f({INT64_MAX}), f({INT64_MAX})}), Code::kLimit, {"overflow"});
}

}  // namespace
}  // namespace tenon
