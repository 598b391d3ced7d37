#include "base/dim.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace tenon {
namespace {

TEST(Dim, PolynomialsAreCanonical) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  EXPECT_EQ((n + Dim(1)) - Dim(1), n);
  EXPECT_EQ(n + m, m + n);
  EXPECT_EQ((n + m) * (n - m), n * n - m * m);
  EXPECT_EQ(n - n, Dim(0));
  EXPECT_FALSE(n == m);
  EXPECT_EQ((Dim(2) * n + Dim(1)).str(), "2*n + 1");
  EXPECT_EQ(Dim::symbol("n"), n);
}

TEST(Dim, UnknownIsEqualOnlyToItself) {
  const Dim a = Dim::unknown(), b = Dim::unknown();
  EXPECT_EQ(a, a);
  EXPECT_FALSE(a == b);
  EXPECT_FALSE(Dim::floor_div(a, Dim(2)) == Dim::floor_div(b, Dim(2)));
  EXPECT_EQ(Dim::floor_div(a, Dim(2)), Dim::floor_div(a, Dim(2)));
}

TEST(Dim, DivisionCancelsWhatDivides) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  EXPECT_EQ(Dim::floor_div(Dim(6) * n, Dim(3)), Dim(2) * n);
  EXPECT_EQ(Dim::floor_div(Dim(4) * n + Dim(5), Dim(2)), Dim(2) * n + Dim(2));
  EXPECT_EQ(Dim::floor_div(n * m, m), n);
  EXPECT_EQ(Dim::floor_div(n * m * Dim(64), n * Dim(64)), m);
  EXPECT_FALSE(Dim::floor_div(n, Dim(2)).is_const());
}

TEST(Dim, ConstantDivisionRoundsDown) {
  for (int64_t a = -9; a <= 9; ++a) {
    for (const int64_t b : {-4, -3, -1, 1, 2, 3, 7}) {
      const double q = static_cast<double>(a) / static_cast<double>(b);
      EXPECT_EQ(Dim::floor_div(Dim(a), Dim(b)).value(), static_cast<int64_t>(std::floor(q))) << a << "/" << b;
      EXPECT_EQ(Dim::ceil_div(Dim(a), Dim(b)).value(), static_cast<int64_t>(std::ceil(q))) << a << "/" << b;
    }
  }
  EXPECT_FALSE(Dim::floor_div(Dim(1), Dim(0)).is_const());
  EXPECT_FALSE(Dim::floor_div(Dim(INT64_MIN), Dim(-1)).is_const());
}

TEST(Dim, OverflowIsUnknownNotWrapped) {
  const Dim big(int64_t{1} << 62);
  EXPECT_FALSE((big * big).is_const());
  EXPECT_FALSE((big + big).is_const());
  EXPECT_FALSE((Dim::symbol("n") * big * big).is_const());
}

TEST(Dim, LongExpressionsStayBounded) {
  Dim sum(0);
  for (int i = 0; i < 1000; ++i) sum = sum + Dim::symbol("s" + std::to_string(i));
  EXPECT_LT(sum.str().size(), 4000u);
}

// Whatever the order of operations, equal polynomials compare equal and division undoes multiplication.
TEST(Dim, RandomExpressionsKeepAlgebraicLaws) {
  std::mt19937 rng(7);
  const auto random_dim = [&] {
    Dim x = rng() % 2 ? Dim::symbol("n") : Dim::symbol("m");
    for (int k = 0; k < 3; ++k) {
      const Dim c(static_cast<int64_t>(1 + rng() % 4));
      x = rng() % 2 ? x * c : x + (rng() % 2 ? c : Dim::symbol("k"));
    }
    return x;
  };
  for (int round = 0; round < 300; ++round) {
    const Dim x = random_dim(), y = random_dim(), z = random_dim();
    EXPECT_EQ((x + y) + z, x + (y + z));
    EXPECT_EQ(x * y, y * x);
    EXPECT_EQ(x * (y + z), x * y + x * z);
    EXPECT_EQ((x - y) + y, x);
    EXPECT_EQ(Dim::floor_div(x * Dim(6), Dim(6)), x);
    EXPECT_EQ(Dim::min(x, x + Dim(1)), x);
    EXPECT_EQ(Dim::max(x, x + Dim(1)), x + Dim(1));
  }
}

TEST(Dim, BoundsThatSayNothingGo) {
  const Dim n = Dim::symbol("n"), capped = Dim::min(n, Dim(512));
  EXPECT_EQ(Dim::min(capped, n), capped);
  EXPECT_EQ(Dim::min(n, capped), capped);
  EXPECT_FALSE(Dim::min(capped, Dim::symbol("m")) == capped);
  EXPECT_EQ(Dim::max(n, Dim(0)), n);
  EXPECT_EQ(Dim::max(Dim(-3), n * n + Dim(2)), n * n + Dim(2));
  EXPECT_FALSE(Dim::max(n - Dim(1), Dim(0)) == n - Dim(1));
  EXPECT_FALSE(Dim::max(n, Dim(1)) == n);
  const Dim u = Dim::unknown();
  EXPECT_FALSE(Dim::max(u, Dim(0)) == u);
}

TEST(Shape, CountAndText) {
  EXPECT_EQ((Shape{2, 3, 4}).count(), Dim(24));
  EXPECT_EQ((Shape{2, Dim::symbol("n")}).str(), "[2, n]");
  EXPECT_EQ(Shape::unranked().str(), "[...]");
  EXPECT_EQ((Shape{0, Dim::symbol("n")}).count(), Dim(0));
  EXPECT_FALSE(element_count({int64_t{1} << 33, int64_t{1} << 33}).ok());
  EXPECT_EQ(*element_count({0, int64_t{1} << 62, int64_t{1} << 62}), 0);
  EXPECT_EQ(element_count({2, -3}).status().code(), Code::kShape);
}

}  // namespace
}  // namespace tenon
