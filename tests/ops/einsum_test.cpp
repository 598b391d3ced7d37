#include "ops/einsum.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "ops/evaluate.h"

namespace tenon {
namespace {

Result<std::vector<Tensor>> einsum(const std::string& equation, const std::vector<Tensor>& in) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : in) pointers.push_back(&t);
  return evaluate(Op(ops::Einsum{equation}), pointers);
}

template <class T>
Tensor values(Dims dims, uint32_t seed) {
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  std::mt19937 gen(seed);
  std::vector<T> v;
  for (int64_t i = 0; i < count; ++i) v.push_back(T(static_cast<float>(gen() % 7)));
  return Tensor::of<T>(std::move(dims), v);
}

/// By the definition, for equations of letters only: every assignment of values to letters adds one product.
std::vector<double> by_definition(const std::string& inputs, const std::string& output, const std::vector<Tensor>& in) {
  std::vector<std::string> terms(1);
  for (char c : inputs) {
    if (c == ',') {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  std::map<char, int64_t> size, at;
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t j = 0; j < terms[i].size(); ++j) size[terms[i][j]] = std::max(size[terms[i][j]], in[i].dims()[j]);
  }
  int64_t total = 1, count = 1;
  for (const auto& [label, n] : size) total *= n;
  for (char c : output) count *= size[c];
  std::vector<double> out(static_cast<size_t>(count), 0);
  for (int64_t index = 0; index < total; ++index) {
    int64_t rest = index;
    for (const auto& [label, n] : size) {
      at[label] = rest % n;
      rest /= n;
    }
    double product = 1;
    for (size_t i = 0; i < terms.size(); ++i) {
      int64_t offset = 0;
      for (size_t j = 0; j < terms[i].size(); ++j) offset = offset * in[i].dims()[j] + (in[i].dims()[j] == 1 ? 0 : at[terms[i][j]]);
      product *= in[i].to_doubles()[static_cast<size_t>(offset)];
    }
    int64_t offset = 0;
    for (char c : output) offset = offset * size[c] + at[c];
    out[static_cast<size_t>(offset)] += product;
  }
  return out;
}

template <class T>
void check(const std::string& inputs, const std::string& output, const std::vector<Dims>& dims) {
  SCOPED_TRACE(inputs + "->" + output);
  std::vector<Tensor> in;
  for (const Dims& d : dims) in.push_back(values<T>(d, static_cast<uint32_t>(in.size() + 1)));
  auto out = einsum(inputs + "->" + output, in);
  ASSERT_TRUE(out.ok()) << out.status().message();
  const auto expected = by_definition(inputs, output, in);
  const auto got = (*out)[0].to_doubles();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-3) << i;
}

TEST(Einsum, AgainstTheDefinition) {
  const struct {
    const char *inputs, *output;
    std::vector<Dims> dims;
  } cases[] = {
      {"i", "i", {{4}}},
      {"ij", "ji", {{3, 4}}},
      {"ij", "i", {{3, 4}}},
      {"ij", "", {{3, 4}}},
      {"ii", "i", {{4, 4}}},
      {"ii", "", {{4, 4}}},
      {"iij", "j", {{3, 3, 2}}},
      {"i,i", "", {{5}, {5}}},
      {"i,j", "ij", {{3}, {4}}},
      {"i,j", "ji", {{3}, {4}}},
      {"ij,j", "i", {{3, 4}, {4}}},
      {"ij,ij", "ij", {{3, 4}, {3, 4}}},
      {"ij,ij", "", {{3, 4}, {3, 4}}},
      {"ij,jk", "ik", {{3, 4}, {4, 5}}},
      {"ij,jk", "ki", {{3, 4}, {4, 5}}},
      {"ij,jk", "ik", {{9, 17}, {17, 40}}},
      {"ji,kj", "ik", {{17, 9}, {40, 17}}},
      {"ij,jk", "ki", {{9, 17}, {17, 40}}},
      {"bij,bjk", "bik", {{2, 3, 4}, {2, 4, 5}}},
      {"bij,bkj", "bik", {{2, 7, 4}, {2, 6, 4}}},
      {"bqhd,bkhd", "bhqk", {{2, 5, 3, 4}, {2, 6, 3, 4}}},
      {"bhqk,bkhd", "bqhd", {{2, 3, 5, 6}, {2, 6, 3, 4}}},
      {"abcd,dcef", "abef", {{2, 3, 4, 5}, {5, 4, 2, 3}}},
      {"abcd,cdef", "abef", {{2, 3, 4, 5}, {4, 5, 2, 3}}},
      {"abc,cd", "abd", {{2, 3, 4}, {4, 6}}},
      {"abc,cd", "dab", {{2, 3, 4}, {4, 6}}},
      {"abc,ad", "bd", {{2, 3, 4}, {2, 6}}},
      {"ij,jk,kl", "il", {{2, 3}, {3, 4}, {4, 5}}},
      {"a,b,c", "cab", {{2}, {3}, {4}}},
      {"ij,kj", "ik", {{3, 1}, {2, 4}}},
      {"ij,jk", "ik", {{3, 0}, {0, 4}}},
      {"bi,bi", "b", {{6, 7}, {6, 7}}},
      {"ia,ib", "abi", {{3, 4}, {3, 5}}},
      {"aij,jk", "aik", {{3, 4, 5}, {5, 1}}},
  };
  for (const auto& c : cases) {
    check<float>(c.inputs, c.output, c.dims);
    check<double>(c.inputs, c.output, c.dims);
    check<int32_t>(c.inputs, c.output, c.dims);
  }
}

TEST(Einsum, EveryDtype) {
  auto all = [](auto... zero) { (check<decltype(zero)>("ij,jk", "ik", {{2, 3}, {3, 2}}), ...); };
  all(float{}, double{}, Float16{}, BFloat16{}, int16_t{}, int32_t{}, int64_t{}, uint8_t{}, uint16_t{}, uint32_t{}, uint64_t{}, int8_t{});
}

void expect_equal(const Result<std::vector<Tensor>>& a, const Result<std::vector<Tensor>>& b) {
  ASSERT_TRUE(a.ok()) << a.status().message();
  ASSERT_TRUE(b.ok()) << b.status().message();
  ASSERT_EQ((*a)[0].dims(), (*b)[0].dims());
  EXPECT_EQ((*a)[0].to_doubles(), (*b)[0].to_doubles());
}

TEST(Einsum, ImplicitOutputEllipsisAndBlanks) {
  const Tensor a = values<float>({2, 3, 4}, 1), b = values<float>({2, 4, 5}, 2), c = values<float>({4, 5}, 3),
               square = values<float>({3, 3}, 4);
  expect_equal(einsum("bij,bjk", {a, b}), einsum("bij,bjk->ik", {a, b}));
  expect_equal(einsum("ba", {c}), einsum("ba->ab", {c}));
  expect_equal(einsum("aB", {c}), einsum("aB->Ba", {c}));
  expect_equal(einsum("ii", {square}), einsum("ii->", {square}));
  expect_equal(einsum("...ij,...jk->...ik", {a, b}), einsum("bij,bjk->bik", {a, b}));
  expect_equal(einsum("...ij,...jk", {a, c}), einsum("bij,jk->bik", {a, c}));
  expect_equal(einsum(" b i j , b j k -> b i k ", {a, b}), einsum("bij,bjk->bik", {a, b}));
  expect_equal(einsum("i...->...i", {a}), einsum("ijk->jki", {a}));
  expect_equal(einsum("...->...", {a}), einsum("ijk->ijk", {a}));
  expect_equal(einsum("...i,...i->...", {a, a}), einsum("bji,bji->bj", {a, a}));
}

TEST(Einsum, RefusesWhatIsNoEquation) {
  const Tensor a = values<float>({2, 3}, 1), b = values<float>({4, 5}, 2);
  for (const char* equation : {"%$#->", "ij->k", "ij->ii", "i.j->ij", "......->", "ij->i->j", "ij-", "i1"}) {
    auto out = einsum(equation, {a});
    ASSERT_FALSE(out.ok()) << equation;
    EXPECT_EQ(out.status().code(), Code::kShape);
    EXPECT_NE(out.status().message().find("equation"), std::string::npos) << out.status().message();
  }
  EXPECT_FALSE(einsum("ij,jk->ik", {a, b}).ok());  // 3 and 4
  EXPECT_FALSE(einsum("ijk->ik", {a}).ok());       // rank
  EXPECT_FALSE(einsum("i->i", {a}).ok());
  EXPECT_FALSE(einsum("ij,jk->ik", {a}).ok());  // operands
  EXPECT_FALSE(einsum("ij->ij", {a, b}).ok());
}

TEST(Einsum, InfersSymbolicShapes) {
  const Dim n = Dim::symbol("n");
  auto shape = [](const std::string& equation, const Types& in) {
    auto out = infer(Op(ops::Einsum{equation}), in);
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0].shape;
  };
  const Type a = Type::of(DType::kFloat32, {n, 3, 4}), b = Type::of(DType::kFloat32, {4, 5});
  EXPECT_EQ(shape("bij,jk->bik", {a, b}), (Shape{n, 3, 5}));
  EXPECT_EQ(shape("...j,jk", {a, b}), (Shape{n, 3, 5}));
  EXPECT_FALSE(shape("...j,jk", {Type::unranked(DType::kFloat32), b}).ranked());
  EXPECT_EQ(shape("ij,jk->ik", {Type::unranked(DType::kFloat32), b})[1], Dim(5));
}

}  // namespace
}  // namespace tenon
