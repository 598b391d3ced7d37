#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace tenon {
namespace {

struct Counts {
  std::vector<std::atomic<int>> hits;
  explicit Counts(size_t n) : hits(n) {}
};

void run_loops(Team& team, int loops, int64_t parts) {
  for (int loop = 0; loop < loops; ++loop) {
    Counts counts(static_cast<size_t>(parts));
    team.parallel_for(
        parts,
        [](void* c, int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i) static_cast<Counts*>(c)->hits[static_cast<size_t>(i)].fetch_add(1);
        },
        &counts);
    for (auto& h : counts.hits) ASSERT_EQ(h.load(), 1);
  }
}

class TeamTest : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(TeamTest, EveryPartRunsExactlyOnce) {
  const auto [threads, openmp] = GetParam();
  ThreadProvider* provider = openmp ? openmp_threads() : nullptr;
  if (openmp && !provider) GTEST_SKIP() << "built without OpenMP";
  Team::enter(
      provider, threads,
      [](void*, Team& team) {
        for (const int64_t parts : {0, 1, 2, 7, 64, 1000}) run_loops(team, 300, parts);
      },
      nullptr);
}

INSTANTIATE_TEST_SUITE_P(Providers, TeamTest, testing::Combine(testing::Values(1, 2, 3, 8), testing::Bool()));

TEST(Team, ConcurrentLeadersShareThePool) {
  std::vector<std::thread> callers;
  for (int c = 0; c < 8; ++c) {
    callers.emplace_back([] {
      for (int i = 0; i < 50; ++i)
        Team::enter(
            nullptr, 3, [](void*, Team& team) { run_loops(team, 20, 33); }, nullptr);
    });
  }
  for (auto& c : callers) c.join();
}

#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
TEST(Team, AForkedChildHasThreadsOfItsOwn) {
  Team::enter(
      nullptr, 2, [](void*, Team& team) { run_loops(team, 10, 64); }, nullptr);
  const pid_t child = fork();
  if (child == 0) {
    Team::enter(
        nullptr, 2, [](void*, Team& team) { run_loops(team, 100, 64); }, nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif

TEST(AvailableCpus, IsAtLeastOne) { EXPECT_GE(available_cpus(), 1); }

}  // namespace
}  // namespace tenon
