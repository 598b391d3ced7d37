// Every row of every table against the plain reference of its family, on every instruction set.
#include <algorithm>
#include <cmath>

#include "support/kernel_cases.h"
#include "support/targets.h"

namespace tenon::test {
namespace {

TEST(Tables, EveryRowAgreesWithItsReference) {
  for_each_target([] {
    for_each_kernel_case(false, [](const auto& table, const auto& c) {
      SCOPED_TRACE(std::string(table.family) + " " + c.name);
      const auto* reference = reference_row(table, c.params);
      ASSERT_NE(reference, nullptr);
      KernelRun want(c);
      want(reference->pointer());
      const auto expected = want.result();
      for (const auto& row : table) {
        if (&row == reference) break;  // a row that is alone (channel-blocked pooling) has tests of its own
        if (row.refuse(c.params) != nullptr) continue;
        SCOPED_TRACE(row.name);
        KernelRun run(c);
        run(row.pointer());
        const auto got = run.result();
        ASSERT_EQ(got.size(), expected.size());
        for (size_t k = 0; k < got.size(); ++k)
          ASSERT_NEAR(got[k], expected[k], c.tolerance * (1 + std::fabs(expected[k]))) << "element " << k;
      }
    });
  });
}

/// The cases reach the rows that they are there for.
TEST(Tables, EveryRowIsReached) {
  std::vector<std::pair<std::string, bool>> rows;
  const auto visit = [&](const auto& table, const auto& c) {
    for (const auto& row : table) {
      const auto name = std::string(table.family) + " " + row.name;
      auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.first == name; });
      if (found == rows.end()) found = rows.insert(found, {name, false});
      found->second |= row.refuse(c.params) == nullptr;
    }
  };
  for_each_kernel_case(false, visit);
  for (const auto& [name, reached] : rows) EXPECT_TRUE(reached) << name;
}

}  // namespace
}  // namespace tenon::test
