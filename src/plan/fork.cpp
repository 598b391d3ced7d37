#include "plan/fork.h"

#include <algorithm>
#include <numeric>

#include "plan/plan.h"

namespace tenon {

namespace {

constexpr size_t kWindow = 64;                     // steps ahead in which branches are looked for
constexpr double kSpared = kShareNanoseconds / 2;  // what a phase that is just worth sharing out spares
// What it takes to bring a byte that one core wrote last to another.
constexpr double kByte = 0.05;

double cost(const PlanStep& s) {
  return std::accumulate(s.step.phases.begin(), s.step.phases.end(), 0.0, [](double sum, const Phase& p) { return sum + p.nanoseconds; });
}

/// What a step ran while others wait for it: nothing may move across it.
bool bars(const PlanStep& s) { return s.deferred || s.step.dynamic || !s.bodies.empty(); }

/// No thread helps with it, and it fits into a fork.
bool alone(const PlanStep& s) {
  return !bars(s) && s.inputs.size() + s.outputs.size() <= kMostForkOperands &&
         std::none_of(s.step.phases.begin(), s.step.phases.end(),
                      [](const Phase& p) { return p.parts > 1 && p.nanoseconds >= kShareNanoseconds; });
}

class Finder {
 public:
  explicit Finder(Plan& plan) : plan_(plan), work_(plan.steps.size()), mark_(plan.slots.size()), readers_(plan.slots.size()) {
    look(0, plan.steps.size());
    for (const PlanStep& s : plan.steps)
      for (const Operand& o : s.inputs)
        if (o.slot >= 0) ++readers_[static_cast<size_t>(o.slot)];
  }

  void run() {
    std::vector<PlanStep>& steps = plan_.steps;
    bool first = true;  // of what can run at the same time: what lies within a chain leads to no other branches
    for (size_t at = 0; at < steps.size();) {
      if (!work_[at].alone) {
        ++at;
        first = true;
        continue;
      }
      if (const size_t taken = first ? take(at) : 0) {
        at += taken;
        continue;
      }
      first = std::any_of(steps[at].outputs.begin(), steps[at].outputs.end(),
                          [&](const Operand& o) { return o.slot >= 0 && readers_[static_cast<size_t>(o.slot)] > 1; });
      ++at;
    }
  }

 private:
  struct Branch {
    std::vector<size_t> steps;
    double nanoseconds = 0;
  };
  /// What is known of a step wherever it stands.
  struct Work {
    bool bars = false, alone = false;
    double nanoseconds = 0;
  };
  /// Whose result a slot holds, as seen from the step a search begins at.
  struct Mark {
    size_t search = 0;
    int32_t branch = 0;
  };
  static constexpr int32_t kEarlier = -1;  // from before
  static constexpr int32_t kOthers = -2;   // of a step that is in no branch, or of several branches

  void look(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) work_[i] = {bars(plan_.steps[i]), alone(plan_.steps[i]), cost(plan_.steps[i])};
  }

  /// The branch whose results the step needs: kEarlier for none, kOthers when it cannot be in one.
  int32_t branch_of(const PlanStep& s) const {
    int32_t found = kEarlier;
    for (const Operand& o : s.inputs) {
      if (o.slot < 0 || mark_[static_cast<size_t>(o.slot)].search != search_) continue;
      const int32_t b = mark_[static_cast<size_t>(o.slot)].branch;
      if (b == kOthers || (found != kEarlier && found != b)) return kOthers;
      found = b;
    }
    return found;
  }

  void mark(const PlanStep& s, int32_t branch) {
    for (const Operand& o : s.outputs) {
      if (o.slot < 0) continue;
      Mark& m = mark_[static_cast<size_t>(o.slot)];
      m = {search_, m.search == search_ && m.branch != branch ? kOthers : branch};
    }
  }

  /// Makes the fork that begins at step `at`; the number of its steps, 0 when there is none that pays.
  size_t take(size_t at) {
    ++search_;
    std::vector<Branch> branches;
    const size_t end = std::min(plan_.steps.size(), at + kWindow);
    size_t stop = at;
    for (; stop < end && !work_[stop].bars; ++stop) {
      const PlanStep& s = plan_.steps[stop];
      int32_t b = work_[stop].alone ? branch_of(s) : kOthers;
      if (b == kEarlier) {
        b = static_cast<int32_t>(branches.size());
        branches.emplace_back();
      }
      mark(s, b);
      if (b == kOthers) continue;
      branches[static_cast<size_t>(b)].steps.push_back(stop);
      branches[static_cast<size_t>(b)].nanoseconds += work_[stop].nanoseconds;
    }
    double sum = 0, longest = 0;
    for (const Branch& b : branches) {
      sum += b.nanoseconds;
      longest = std::max(longest, b.nanoseconds);
    }
    const double spared = sum - std::max(longest, sum / 2) - kByte * static_cast<double>(bytes(branches)) / 2;
    if (spared < kSpared) return 0;
    std::stable_sort(branches.begin(), branches.end(), [](const Branch& a, const Branch& b) { return a.nanoseconds > b.nanoseconds; });
    arrange(at, stop, branches);
    spared_ += spared;
    plan_.worth_threads |= spared_ >= kWakeNanoseconds;
    return static_cast<size_t>(plan_.forks.back().end()) - at;
  }

  /// Of all that the branches' steps touch but constants, which every core holds.
  size_t bytes(const std::vector<Branch>& branches) {
    ++search_;
    size_t sum = 0;
    for (const Branch& b : branches) {
      for (const size_t i : b.steps) {
        const auto add = [&](const Operand& o) {
          if (o.slot < 0 || mark_[static_cast<size_t>(o.slot)].search == search_) return;
          mark_[static_cast<size_t>(o.slot)].search = search_;
          const Slot& slot = plan_.slots[static_cast<size_t>(o.slot)];
          if (slot.kind != Slot::Kind::kConstant) sum += slot.bytes;
        };
        std::for_each(plan_.steps[i].inputs.begin(), plan_.steps[i].inputs.end(), add);
        std::for_each(plan_.steps[i].outputs.begin(), plan_.steps[i].outputs.end(), add);
      }
    }
    return sum;
  }

  /// Brings the steps of the branches to `at`, one branch after the other, and what else stood before `stop` behind them.
  void arrange(size_t at, size_t stop, const std::vector<Branch>& branches) {
    std::vector<PlanStep>& steps = plan_.steps;
    std::vector<PlanStep> moved;
    std::vector<bool> chosen(stop - at, false);
    Fork fork;
    size_t shared = 0;
    for (const Branch& b : branches) {
      fork.branches.push_back(static_cast<int32_t>(at + moved.size()));
      fork.shared.push_back(shared);
      size_t most = 0;
      for (const size_t i : b.steps) {
        chosen[i - at] = true;
        most = std::max(most, steps[i].step.shared_bytes);
        moved.push_back(std::move(steps[i]));
      }
      shared += (most + kAlignment - 1) / kAlignment * kAlignment;
    }
    fork.branches.push_back(static_cast<int32_t>(at + moved.size()));
    for (size_t i = at; i < stop; ++i)
      if (!chosen[i - at]) moved.push_back(std::move(steps[i]));
    std::move(moved.begin(), moved.end(), steps.begin() + static_cast<std::ptrdiff_t>(at));
    look(at, stop);
    plan_.shared_bytes = std::max(plan_.shared_bytes, shared);
    plan_.forks.push_back(std::move(fork));
  }

  Plan& plan_;
  size_t search_ = 0;
  double spared_ = 0;             // nanoseconds, by all forks so far
  std::vector<Work> work_;        // a step
  std::vector<Mark> mark_;        // a slot
  std::vector<int32_t> readers_;  // a slot
};

}  // namespace

void find_forks(Plan& plan) {
  // Two threads spare at most half of what could go into branches.
  double sum = 0;
  for (const PlanStep& s : plan.steps) sum += alone(s) ? cost(s) : 0;
  if (sum / 2 >= kSpared) Finder(plan).run();
}

std::vector<bool> met_in_forks(const Plan& plan) {
  std::vector<bool> met(plan.slots.size(), false);
  if (plan.forks.empty()) return met;
  std::vector<std::pair<const Fork*, int32_t>> last(plan.slots.size());
  for (const Fork& fork : plan.forks) {
    for (int32_t b = 0; b < fork.count(); ++b) {
      for (int32_t s = fork.branches[static_cast<size_t>(b)]; s < fork.branches[static_cast<size_t>(b) + 1]; ++s) {
        const auto touch = [&](const Operand& o) {
          if (o.slot < 0) return;
          auto& [whose, branch] = last[static_cast<size_t>(o.slot)];
          if (whose == &fork && branch != b) met[static_cast<size_t>(o.slot)] = true;
          whose = &fork;
          branch = b;
        };
        const PlanStep& step = plan.steps[static_cast<size_t>(s)];
        std::for_each(step.inputs.begin(), step.inputs.end(), touch);
        std::for_each(step.outputs.begin(), step.outputs.end(), touch);
      }
    }
  }
  return met;
}

}  // namespace tenon
