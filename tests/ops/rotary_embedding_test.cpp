#include "ops/rotary_embedding.h"

#include <gtest/gtest.h>

#include <random>

#include "ops/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

Tensor random_tensor(const Dims& dims, uint32_t seed) {
  Tensor t = *Tensor::allocate(DType::kFloat32, dims);
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = dist(gen);
  return t;
}

/// Element [i, j, k, l] of a tensor that is broadcast, its dims counted from the last.
double at(const Tensor& t, const Dims& index) {
  int64_t offset = 0;
  const size_t skip = index.size() - t.dims().size();
  for (size_t d = 0; d < t.dims().size(); ++d) offset = offset * t.dims()[d] + (t.dims()[d] == 1 ? 0 : index[skip + d]);
  return static_cast<double>(t.as<float>()[offset]);
}

void check(const ops::RotaryEmbedding& op, const Dims& x_dims, const Dims& angles) {
  SCOPED_TRACE(str(x_dims) + " by " + str(angles) + ", " + str({op.rotary_dim}) + (op.interleaved ? " in neighbours" : " in halves"));
  const Tensor x = random_tensor(x_dims, 1), cos = random_tensor(angles, 2), sin = random_tensor(angles, 3);
  const auto out = evaluate(op, {&x, &cos, &sin});
  ASSERT_TRUE(out.ok()) << out.status().message();
  Dims dims = x_dims;
  if (op.swap) std::swap(dims[1], dims[2]);
  ASSERT_EQ((*out)[0].dims(), dims);
  const int64_t turned = op.rotary_dim != 0 ? op.rotary_dim : dims[3], half = turned / 2;
  const float* y = (*out)[0].as<float>();
  for (int64_t i = 0; i < dims[0]; ++i)
    for (int64_t j = 0; j < dims[1]; ++j)
      for (int64_t k = 0; k < dims[2]; ++k)
        for (int64_t l = 0; l < dims[3]; ++l) {
          const auto of_x = [&](int64_t e) { return op.swap ? at(x, {i, k, j, e}) : at(x, {i, j, k, e}); };
          if (l >= turned) {
            ASSERT_EQ(static_cast<double>(*y++), of_x(l));
            continue;
          }
          const bool first = op.interleaved ? l % 2 == 0 : l < half;
          const int64_t apart = op.interleaved ? 1 : half, pair = op.interleaved ? l / 2 : l % half;
          const int64_t angle = angles.back() == turned ? l : pair;
          const double other = first ? -of_x(l + apart) : of_x(l - apart);
          ASSERT_NEAR(*y++, of_x(l) * at(cos, {i, j, k, angle}) + other * at(sin, {i, j, k, angle}), 1e-6);
        }
}

TEST(RotaryEmbedding, Shapes) {
  test::for_each_target([] {
    for (const bool swap : {false, true}) {
      for (const bool interleaved : {false, true}) {
        for (const int64_t size : {2, 6, 16, 50, 64, 128}) {
          for (const int64_t turned : {size, size / 4 * 2}) {
            if (turned == 0) continue;
            const ops::RotaryEmbedding op{swap, interleaved, turned == size ? 0 : turned};
            const Dims x = swap ? Dims{2, 9, 3, size} : Dims{2, 3, 9, size};
            for (const int64_t width : {turned, turned / 2}) {
              if (width == 1) continue;
              check(op, x, {1, 1, 9, width});
              check(op, x, {2, 1, 9, width});
              check(op, x, {9, width});
              check(op, x, {3, 1, width});
              check(op, x, {width});
            }
          }
        }
      }
    }
    check({}, {2, 0, 9, 8}, {9, 8});
  });
}

TEST(RotaryEmbedding, ErrorsNameWhatIsWrong) {
  const auto message = [](const Dims& x, const Dims& cos, const Dims& sin, int64_t rotary_dim = 0) {
    const Tensor a = random_tensor(x, 1), b = random_tensor(cos, 2), c = random_tensor(sin, 3);
    const auto out = evaluate(ops::RotaryEmbedding{.rotary_dim = rotary_dim}, {&a, &b, &c});
    return out.ok() ? std::string("no error") : std::string(out.status().message());
  };
  EXPECT_NE(message({2, 3, 9, 7}, {7}, {7}).find("even"), std::string::npos);
  EXPECT_NE(message({2, 3, 8}, {8}, {8}).find("rank"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {5, 8}, {9, 8}).find("does not broadcast"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 6}).find("8 elements a head or half"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 4}).find("as many elements"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 8}, 4).find("4 elements a head or half"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 8}, 10).find("'rotary_dim' is 10"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {3}, {3}, 3).find("'rotary_dim' is 3"), std::string::npos);
}

}  // namespace
}  // namespace tenon
