#include "base/inline_vector.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace tenon {
namespace {

using Counted = std::shared_ptr<int>;  // tells how many copies there are
using List = InlineVector<Counted, 2>;

List list_of(const Counted& value, size_t n) { return List(n, value); }

TEST(InlineVector, FreesWhatItHolds) {
  for (size_t n = 0; n < 6; ++n) {
    const auto value = std::make_shared<int>(1);
    {
      const List a = list_of(value, n);
      List b = a, c, d = list_of(value, 3);
      EXPECT_EQ(value.use_count(), static_cast<long>(1 + 2 * n + 3));
      c = b;
      d = a;
      EXPECT_EQ(value.use_count(), static_cast<long>(1 + 4 * n));
      c = std::move(b);
      const List e = std::move(d);
      EXPECT_EQ(value.use_count(), static_cast<long>(1 + 3 * n));
      EXPECT_TRUE(b.empty() && d.empty());  // NOLINT(bugprone-use-after-move): what moving leaves is part of the contract
      EXPECT_EQ(c, a);
      EXPECT_EQ(e, a);
      c = *&c;
      EXPECT_EQ(c, a);
      b.push_back(value);
      EXPECT_EQ(b.size(), 1u);
    }
    EXPECT_EQ(value.use_count(), 1);
  }
}

TEST(InlineVector, GrowsOutOfItself) {
  List list;
  const auto value = std::make_shared<int>(1);
  list.push_back(value);
  for (int i = 0; i < 10; ++i) list.push_back(list.front());
  EXPECT_EQ(list, list_of(value, 11));
}

/// A vector and an inline vector under the same edits stay equal.
TEST(InlineVector, EditsAsAVectorDoes) {
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return static_cast<ptrdiff_t>(random() % n); };
  for (int round = 0; round < 200; ++round) {
    std::vector<int> expected;
    InlineVector<int, 3> list;
    for (int k = 0; k < 30; ++k) {
      const int x = static_cast<int>(random() % 100);
      const ptrdiff_t at = below(expected.size() + 1);
      const std::vector<int> more(random() % 4, x);
      switch (random() % 8) {
        case 0: expected.push_back(x), list.push_back(x); break;
        case 1: EXPECT_EQ(*expected.insert(expected.begin() + at, x), *list.insert(list.begin() + at, x)); break;
        case 2:
          expected.insert(expected.begin() + at, more.begin(), more.end());
          list.insert(list.begin() + at, more.begin(), more.end());
          break;
        case 3:
          if (at < static_cast<ptrdiff_t>(expected.size())) expected.erase(expected.begin() + at), list.erase(list.begin() + at);
          break;
        case 4: {
          const ptrdiff_t last = at + below(expected.size() - static_cast<size_t>(at) + 1);
          expected.erase(expected.begin() + at, expected.begin() + last);
          list.erase(list.begin() + at, list.begin() + last);
          break;
        }
        case 5: expected.resize(static_cast<size_t>(at) + 2), list.resize(static_cast<size_t>(at) + 2); break;
        case 6:
          if (!expected.empty()) expected.pop_back(), list.pop_back();
          break;
        default: expected.assign(more.begin(), more.end()), list = InlineVector<int, 3>(more.begin(), more.end()); break;
      }
      ASSERT_EQ(std::vector<int>(list.begin(), list.end()), expected);
    }
  }
}

}  // namespace
}  // namespace tenon
