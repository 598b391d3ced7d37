// Steps of a plan that are done side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon {

struct Plan;
struct PlanStep;

/// Neighbouring steps [branches.front(), branches.back()) of a plan, of which each is too small, or not fit, to be shared out by itself.
/// Branch b is the steps [branches[b], branches[b + 1]), done in order by one thread. No branch reads what another one writes, so branches may
/// be done at the same time, in any order; those that take longest stand first.
struct Fork {
  std::vector<int32_t> branches;  ///< first step of each, ascending, and the end of the last
  std::vector<size_t> shared;     ///< where each branch's part of the memory that a step's threads share begins

  int32_t begin() const { return branches.front(); }
  int32_t end() const { return branches.back(); }
  int32_t count() const { return static_cast<int32_t>(branches.size()) - 1; }
};

/// Operands of a step in a fork, at most: their addresses lie on the stack of the thread that does it.
inline constexpr size_t kMostForkOperands = 32;

/// Finds the forks of a plan that pay, brings their steps together, and fills in `forks`, `shared_bytes` and `worth_threads`. Operands are
/// final; memory is not laid out yet, so whoever does that lets what a fork touches live all through it. Looks a window of steps ahead,
/// where several readers of a value begin.
void find_forks(Plan& plan);

/// A slot that two branches of one fork touch, a flag a slot: its memory must not change hands within the fork.
std::vector<bool> met_in_forks(const Plan& plan);

}  // namespace tenon
