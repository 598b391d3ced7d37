// Einsums that are products of matrices.
#include <gtest/gtest.h>

#include "support/rewrite.h"

namespace tenon {
namespace {

class EinsumPasses : public test::RewriteTest {
 protected:
  void einsum(const std::string& equation, std::vector<ValueId> in) { output(add(ops::Einsum{equation}, std::move(in))); }
  void clear() {
    graph_ = Graph();
    inputs_.clear();
  }
};

TEST_F(EinsumPasses, ProductsOfMatrices) {
  const struct {
    const char* equation;
    Dims a, b;
    int nodes;  ///< with a constant b
  } cases[] = {
      {"ij,jk->ik", {3, 4}, {4, 5}, 1},
      {"ij,kj->ik", {3, 4}, {5, 4}, 1},
      {"jk,ij->ik", {4, 5}, {3, 4}, 1},
      {"abc,cd->abd", {2, 3, 4}, {4, 5}, 1},
      {"...c,cd->...d", {2, 3, 4}, {4, 5}, 1},
      {"abc,cde->abde", {2, 3, 4}, {4, 5, 2}, 2},
      {"abc,dec->abde", {2, 3, 4}, {5, 2, 4}, 2},
      {"abcd,cde->abe", {2, 3, 4, 5}, {4, 5, 6}, 2},
      {"abcd,ecd->abe", {2, 3, 4, 5}, {6, 4, 5}, 2},
      {"abcd,cdef->abef", {2, 3, 4, 5}, {4, 5, 2, 3}, 3},
      {"bij,bjk->bik", {2, 3, 4}, {2, 4, 5}, 1},
      {"bhqd,bhkd->bhqk", {2, 3, 4, 5}, {2, 3, 6, 5}, 1},
      {"bhkd,bhqd->bhqk", {2, 3, 6, 5}, {2, 3, 4, 5}, 1},
      {"...qd,...kd->...qk", {2, 3, 4, 5}, {2, 3, 6, 5}, 1},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.equation);
    clear();
    const ValueId a = input(c.a);
    einsum(c.equation, {a, constant(c.b)});
    expect(passes::lower_einsum, 1, c.nodes);
    clear();
    const ValueId x = input(c.a), y = input(c.b);
    einsum(c.equation, {x, y});
    expect(passes::lower_einsum, 1, c.nodes + (c.b.size() > 2 && std::string(c.equation)[0] == 'a' ? 1 : 0));
  }
}

/// Diagonals, sums of one operand, outer and elementwise products, dims that are stretched, three operands, rows that are not together,
/// products that would have to be moved.
TEST_F(EinsumPasses, OthersStay) {
  const struct {
    const char* equation;
    std::vector<Dims> in;
  } cases[] = {
      {"ii,ij->ij", {{3, 3}, {3, 4}}},
      {"ij,jk->k", {{3, 4}, {4, 5}}},
      {"ijl,jk->ik", {{3, 4, 2}, {4, 5}}},
      {"i,j->ij", {{3}, {4}}},
      {"i,i->", {{3}, {3}}},
      {"i,ij->j", {{3}, {3, 4}}},
      {"ij,ij->ij", {{3, 4}, {3, 4}}},
      {"ij,jk->ik", {{3, 1}, {4, 5}}},
      {"bij,bjk->bik", {{1, 3, 4}, {2, 4, 5}}},
      {"ij,jk,kl->il", {{3, 4}, {4, 5}, {5, 2}}},
      {"ij->ji", {{3, 4}}},
      {"bchw,cd->bdhw", {{2, 3, 4, 5}, {3, 6}}},
      {"abcd,dce->abe", {{2, 3, 4, 5}, {5, 4, 6}}},
      {"bqhd,bkhd->bhqk", {{2, 4, 3, 5}, {2, 6, 3, 5}}},
      {"ij,jk->ki", {{3, 4}, {4, 5}}},
      {"abc,cde->abde", {{2, 3, 0}, {0, 4, 5}}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.equation);
    clear();
    std::vector<ValueId> in;
    for (const Dims& dims : c.in) in.push_back(input(dims));
    einsum(c.equation, in);
    expect(passes::lower_einsum, 0, 1);
  }
}

TEST_F(EinsumPasses, AroundASoftmax) {
  const ValueId q = input({2, 9, 3, 8}), k = input({2, 5, 3, 8}), v = input({2, 5, 3, 8});
  const ValueId scores = add(ops::Binary{ops::Binary::Kind::kMul}, {add(ops::Einsum{"bqhd,bkhd->bhqk"}, {q, k}), constant(0.3f)});
  einsum("bhqk,bkhd->bqhd", {add(ops::Softmax{}, {scores}), v});
  expect(passes::lower_einsum, 2, 8);
  expect(passes::fuse_attention, 1, 2);
  expect(passes::absorb_attention_transpose, 1, 1);
}

}  // namespace
}  // namespace tenon
