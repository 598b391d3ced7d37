#include "ops/transpose.h"

#include <algorithm>

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

TEST(Transpose, EveryPermutationOfEveryElementSize) {
  for (const DType dtype : kSizes) {
    for (const Dims& dims : {Dims{3, 4, 5, 6}, Dims{1, 17, 2, 33}, Dims{2, 1, 8, 3}, Dims{0, 3, 4, 5}}) {
      const Tensor x = counting(dtype, dims);
      std::vector<int64_t> perm = {0, 1, 2, 3};
      do {
        Dims out;
        for (const int64_t p : perm) out.push_back(dims[p]);
        expect_moved(run(ops::Transpose{perm}, {&x}), out, x, [&](const Dims& i) {
          Dims from(4);
          for (size_t d = 0; d < 4; ++d) from[perm[d]] = i[d];
          return from;
        });
      } while (std::next_permutation(perm.begin(), perm.end()));
    }
  }
}

TEST(Transpose, ReversesWithoutPerm) {
  const Tensor x = counting(DType::kFloat32, {40, 50, 3});
  expect_moved(run(ops::Transpose{}, {&x}), {3, 50, 40}, x, [](const Dims& i) { return Dims{i[2], i[1], i[0]}; });
  const Tensor scalar = counting(DType::kFloat32, {});
  expect_moved(run(ops::Transpose{}, {&scalar}), {}, scalar, [](const Dims&) { return Dims{}; });
}

TEST(Transpose, RankEight) {
  const Tensor x = counting(DType::kInt16, {2, 3, 2, 3, 2, 3, 2, 3});
  const std::vector<int64_t> perm = {7, 0, 6, 1, 5, 2, 4, 3};
  Dims out;
  for (const int64_t p : perm) out.push_back(x.dims()[p]);
  expect_moved(run(ops::Transpose{perm}, {&x}), out, x, [&](const Dims& i) {
    Dims from(8);
    for (size_t d = 0; d < 8; ++d) from[perm[d]] = i[d];
    return from;
  });
}

TEST(Transpose, MovingOnlyDimsOfOneIsAView) {
  const Tensor x = counting(DType::kFloat32, {1, 5, 1, 7});
  const auto y = run(ops::Transpose{{1, 2, 3, 0}}, {&x});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y).data(), x.data());
}

TEST(Transpose, Types) {
  const Type x = Type::of(DType::kFloat32, {Dim::symbol("n"), 3, 4});
  EXPECT_EQ((*infer(Op(ops::Transpose{{2, 0, 1}}), {x}))[0].shape.str(), "[4, n, 3]");
  EXPECT_EQ((*infer(Op(ops::Transpose{{1, 0}}), {Type::unranked(DType::kInt8)}))[0].rank(), 2);
  EXPECT_FALSE((*infer(Op(ops::Transpose{}), {Type::unranked(DType::kInt8)}))[0].ranked());
  expect_error(infer(Op(ops::Transpose{{0, 1}}), {x}), Code::kShape, {"perm", "3"});
  expect_error(infer(Op(ops::Transpose{{0, 1, 1}}), {x}), Code::kShape, {"perm"});
  expect_error(infer(Op(ops::Transpose{{0, 1, 3}}), {x}), Code::kShape, {"perm"});
  expect_error(infer(Op(ops::Transpose{{0, 1, -1}}), {x}), Code::kShape, {"perm"});
}

}  // namespace
}  // namespace tenon
