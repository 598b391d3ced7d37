#include "ops/expand.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

TEST(Expand, BroadcastsBothWays) {
  for (const DType dtype : kSizes) {
    struct Case {
      Dims in;
      std::vector<int64_t> shape;
      Dims out;
    };
    for (const Case& c : {Case{{3, 1}, {2, 1, 6}, {2, 3, 6}}, Case{{3, 1}, {3, 4}, {3, 4}}, Case{{2, 3}, {1}, {2, 3}},
                          Case{{}, {2, 3}, {2, 3}}, Case{{1}, {}, {1}}, Case{{1, 5, 1, 2}, {4, 1, 3, 2}, {4, 5, 3, 2}},
                          Case{{1, 3}, {0, 3}, {0, 3}}, Case{{1}, {70000}, {70000}}, Case{{300, 1, 3}, {300, 100, 3}, {300, 100, 3}}}) {
      const Tensor x = counting(dtype, c.in), shape = ints(c.shape);
      expect_moved(run(ops::Expand{}, {&x, &shape}), c.out, x, [&](const Dims& i) {
        Dims from;
        for (size_t d = 0; d < c.in.size(); ++d) from.push_back(c.in[d] == 1 ? 0 : i[d + i.size() - c.in.size()]);
        return from;
      });
    }
  }
}

TEST(Expand, Types) {
  const Dim n = Dim::symbol("n");
  Type shape = Type::of(DType::kInt64, {2});
  shape.contents = DimList{n, 4};
  EXPECT_EQ((*infer(Op(ops::Expand{}), {Type::of(DType::kFloat32, {1}), shape}))[0].shape.str(), "[n, 4]");
  EXPECT_EQ((*infer(Op(ops::Expand{}), {Type::of(DType::kFloat32, {2, 3, 1}), Type::of(DType::kInt64, {2})}))[0].shape.str(), "[2, 3, ?]");
  EXPECT_EQ((*infer(Op(ops::Expand{}), {Type::of(DType::kFloat32, {n, 3}), Type::of(DType::kInt64, {1})}))[0].shape.str(), "[n, 3]");
  const Tensor bad = ints({4}), negative = ints({-1}), huge = ints({int64_t{1} << 60});
  const Type x = Type::of(DType::kFloat32, {3});
  expect_error(infer(Op(ops::Expand{}), {x, type_of(bad)}), Code::kShape, {"3", "4"});
  expect_error(infer(Op(ops::Expand{}), {x, type_of(negative)}), Code::kShape, {"-1"});
  const Tensor one = counting(DType::kFloat32, {1});
  expect_error(run(ops::Expand{}, {&one, &huge}), Code::kLimit, {"larger"});
}

TEST(Tile, RepeatsEveryDim) {
  for (const DType dtype : kSizes) {
    struct Case {
      Dims in;
      std::vector<int64_t> repeats;
    };
    for (const Case& c : {Case{{2, 3}, {2, 1}}, Case{{2, 3}, {1, 3}}, Case{{2, 3, 4}, {3, 2, 4}}, Case{{1, 5}, {4, 1}}, Case{{5}, {0}},
                          Case{{}, {}}, Case{{0, 2}, {3, 3}}, Case{{2, 1, 2, 1, 2, 3}, {1, 2, 3, 1, 2, 2}}, Case{{1000}, {70}}}) {
      const Tensor x = counting(dtype, c.in), repeats = ints(c.repeats);
      Dims out;
      for (size_t d = 0; d < c.in.size(); ++d) out.push_back(c.in[d] * c.repeats[d]);
      expect_moved(run(ops::Tile{}, {&x, &repeats}), out, x, [&](Dims i) {
        for (size_t d = 0; d < i.size(); ++d) i[d] %= c.in[d];
        return i;
      });
    }
  }
}

TEST(Tile, Types) {
  const Tensor repeats = ints({2, 3}), negative = ints({1, -1}), huge = ints({INT64_MAX, 1});
  const Type x = Type::of(DType::kFloat32, {Dim::symbol("n"), 5});
  EXPECT_EQ((*infer(Op(ops::Tile{}), {x, type_of(repeats)}))[0].shape.str(), "[2*n, 15]");
  expect_error(infer(Op(ops::Tile{}), {Type::of(DType::kFloat32, {5}), type_of(repeats)}), Code::kShape, {"repeats", "2", "1"});
  expect_error(infer(Op(ops::Tile{}), {x, type_of(negative)}), Code::kShape, {"repeats", "-1"});
  expect_error(infer(Op(ops::Tile{}), {Type::of(DType::kFloat32, {5, 5}), type_of(huge)}), Code::kLimit, {"repeats", "overflow"});
}

}  // namespace
}  // namespace tenon
