// Doing static steps: their phases shared out among the team, or forks of them side by side.
#include <algorithm>
#include <array>
#include <mutex>

#include "ops/evaluate.h"
#include "plan/region_runner.h"

namespace tenon {

namespace {

/// One phase as the team sees it.
struct Job {
  const Phase* phase;
  kernels::Call call;
  std::byte* scratch;
  size_t stride;
  const std::atomic<bool>* cancel;
  const std::chrono::steady_clock::time_point* deadline;
  int64_t chunk;  // parts between two looks at the cancel flag

  bool watched() const { return cancel || deadline; }
};

void do_parts(void* context, int64_t begin, int64_t end, int thread) {
  const Job& job = *static_cast<const Job*>(context);
  kernels::Call call = job.call;
  call.scratch = job.scratch + job.stride * static_cast<size_t>(thread);
  while (begin < end) {
    if (job.cancel && job.cancel->load(std::memory_order_relaxed)) return;
    if (job.deadline && std::chrono::steady_clock::now() > *job.deadline) return;
    const int64_t stop = std::min(end, begin + job.chunk);
    job.phase->run(job.phase->params.get(), call, {begin, stop});
    begin = stop;
  }
}

// A long phase looks at the cancel flag and the deadline about this often.
constexpr double kCheckNanoseconds = 500000;

Job job_of(const Phase& phase, const kernels::Call& call, const Session::State& state, const RunOptions& options) {
  Job job{.phase = &phase,
          .call = call,
          .scratch = state.scratch->data(),
          .stride = state.scratch_stride,
          .cancel = options.cancel,
          .deadline = options.deadline ? &*options.deadline : nullptr,
          .chunk = phase.parts};
  if (job.watched() && phase.nanoseconds > kCheckNanoseconds) {
    job.chunk = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(phase.parts) * kCheckNanoseconds / phase.nanoseconds));
  }
  return job;
}

void do_alone(Job& job, int thread) {
  if (job.watched()) {
    do_parts(&job, 0, job.phase->parts, thread);
  } else if (job.phase->parts > 0) {
    job.call.scratch = job.scratch + job.stride * static_cast<size_t>(thread);
    job.phase->run(job.phase->params.get(), job.call, {0, job.phase->parts});
  }
}

}  // namespace

Status RegionRunner::phases(const Step& work, const kernels::Call& call, std::optional<int> alone) {
  for (const Phase& phase : work.phases) {
    Job job = job_of(phase, call, state_, options_);
    if (!alone && phase.parts > 1 && phase.nanoseconds >= kShareNanoseconds && team_.threads() > 1) {
      team_.parallel_for(phase.parts, do_parts, &job);
    } else {
      do_alone(job, alone.value_or(0));
    }
    if (job.watched()) TENON_TRY(check());
  }
  return {};
}

namespace {

/// The call of a static step; its addresses go to src and dst.
kernels::Call call_of(const Frame& f, const PlanStep& step, const void** src, void** dst, std::byte* shared, kernels::Fault& fault) {
  for (size_t i = 0; i < step.inputs.size(); ++i)
    src[i] = step.inputs[i].slot < 0 ? nullptr : f.base[step.inputs[i].slot] + step.inputs[i].offset;
  for (size_t i = 0; i < step.outputs.size(); ++i)
    dst[i] = step.outputs[i].slot < 0 ? nullptr : f.base[step.outputs[i].slot] + step.outputs[i].offset;
  kernels::Call call;
  call.src = src;
  call.dst = dst;
  call.shared = shared;
  call.fault = &fault;
  return call;
}

}  // namespace

Status RegionRunner::static_step(const PlanStep& step) {
  Frame& f = *frame_;
  kernels::Fault fault;
  const kernels::Call call = call_of(f, step, f.src.data(), f.dst.data(), state_.shared->data(), fault);
  TENON_TRY(phases(step.step, call));
  if (fault.kind.load(std::memory_order_relaxed) != kernels::Fault::kNone) return fault_status(fault);
  return {};
}

/// A fork as it is done: threads claim its branches one by one.
struct RegionRunner::Branches {
  Branches(RegionRunner& runner, const Fork& fork) : runner(runner), fork(fork) {}

  RegionRunner& runner;
  const Fork& fork;
  std::atomic<int32_t> next{0};
  std::mutex mutex;                      // of what follows, taken by branches that fail
  int32_t failed = INT32_MAX;            // the first step in the plan's order that did
  Status status;                         // its error
  std::vector<Clock::time_point> times;  // when each step began and ended, when that is asked for
};

void RegionRunner::branch(Branches& all, int32_t index, int thread) {
  std::array<const void*, kMostForkOperands> src;
  std::array<void*, kMostForkOperands> dst;
  const auto b = static_cast<size_t>(index);
  std::byte* const shared = state_.shared->data() + all.fork.shared[b];
  for (int32_t s = all.fork.branches[b]; s < all.fork.branches[b + 1]; ++s) {
    const PlanStep& step = frame_->plan->steps[static_cast<size_t>(s)];
    Clock::time_point* const times = all.times.empty() ? nullptr : &all.times[static_cast<size_t>(s - all.fork.begin()) * 2];
    if (times) times[0] = Clock::now();
    kernels::Fault fault;
    const kernels::Call call = call_of(*frame_, step, src.data(), dst.data(), shared, fault);
    Status status = phases(step.step, call, thread);
    if (status.ok() && fault.kind.load(std::memory_order_relaxed) != kernels::Fault::kNone) status = fault_status(fault);
    if (times) times[1] = Clock::now();
    if (status.ok()) continue;
    const std::lock_guard lock(all.mutex);
    if (s < all.failed) {
      all.failed = s;
      all.status = std::move(status);
    }
    return;
  }
}

/// The steps of a fork, on all threads. The error of the first step in the plan's order that fails, whichever thread is faster.
Status RegionRunner::fork(const Fork& fork) {
  Branches all(*this, fork);
  if (options_.profile) all.times.resize(static_cast<size_t>(fork.end() - fork.begin()) * 2);
  team_.parallel_for(
      std::min(team_.threads(), fork.count()),
      [](void* context, int64_t begin, int64_t end, int thread) {
        Branches& all = *static_cast<Branches*>(context);
        for (; begin < end; ++begin) {
          for (int32_t b = all.next.fetch_add(1); b < all.fork.count(); b = all.next.fetch_add(1)) all.runner.branch(all, b, thread);
        }
      },
      &all);
  const std::vector<PlanStep>& steps = frame_->plan->steps;
  if (all.failed != INT32_MAX) return named(steps[static_cast<size_t>(all.failed)], std::move(all.status));
  for (int32_t s = fork.begin(); s < fork.end(); ++s) {
    const PlanStep& step = steps[static_cast<size_t>(s)];
    const size_t at = static_cast<size_t>(s - fork.begin()) * 2;
    if (options_.profile) record(step, all.times[at], all.times[at + 1], true);
    for (const int32_t slot : step.release) frame_->dynamic[static_cast<size_t>(slot)] = Tensor();
  }
  return {};
}

}  // namespace tenon
