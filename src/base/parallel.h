// Threads within one run. Everything parallel in the engine goes through a Team; nothing else knows OpenMP or std::thread.
#pragma once

#include <cstdint>

namespace tenon {

/// Threads that come from outside: an OpenMP region, or the host application's own pool. `run` calls fn(arg, i) for i in [0, n),
/// i = 0 on the calling thread, and returns when all calls did. A provider with fewer threads free may leave out any i but 0.
class ThreadProvider {
 public:
  virtual ~ThreadProvider() = default;
  virtual void run(int n, void (*fn)(void* arg, int index), void* arg) = 0;
};

/// One OpenMP parallel region a run; null when built without OpenMP.
ThreadProvider* openmp_threads();

/// CPUs this process may use: the affinity mask, capped by the cgroup v1 or v2 CPU quota (rounded up), at least 1.
int available_cpus();

/// The threads of one run. The leader (the thread that called enter) works through the plan and hands out parallel loops; helpers
/// spin for some tens of microseconds between loops, yield for some hundreds while the run goes on, then sleep.
class Team {
 public:
  using Body = void (*)(void* context, int64_t begin, int64_t end, int thread);

  /// Calls leader(arg, team) on the calling thread with up to `threads` - 1 helpers standing by; returns when it returns.
  /// provider null: the process-wide pool, created on first use and again in a forked child. It serves one run at a time; a run
  /// that finds it taken is alone on its calling thread, so concurrent callers never oversubscribe the machine.
  static void enter(ThreadProvider* provider, int threads, void (*leader)(void* arg, Team& team), void* arg);

  /// At least 1; thread numbers passed to bodies are below it.
  int threads() const { return threads_; }

  /// Cuts [0, parts) into contiguous pieces and runs body on them, each piece once; returns when all are done. Leader only.
  void parallel_for(int64_t parts, Body body, void* context);

  class Board;

 private:
  Team(int threads, Board* board) : threads_(threads), board_(board) {}
  int threads_;
  Board* board_;
};

/// While one lives, work at load on the thread that made it takes its threads as a run would: at most `threads`, from `provider`.
class LoadThreads {
 public:
  /// threads 0: available_cpus(); provider null: the process-wide pool.
  LoadThreads(ThreadProvider* provider, int threads);
  ~LoadThreads();
  LoadThreads(const LoadThreads&) = delete;
  LoadThreads& operator=(const LoadThreads&) = delete;

  /// Of the innermost one; all available CPUs of the process-wide pool where there is none.
  static int threads();
  static ThreadProvider* provider();

 private:
  const LoadThreads* outer_;
  ThreadProvider* provider_;
  int threads_;
};

/// Runs body(begin, end, thread) over contiguous pieces of [0, parts), with thread < LoadThreads::threads(); for work at load.
template <class F>
void share_out(int64_t parts, F&& body) {
  struct Work {
    int64_t parts;
    F& body;
  } work{parts, body};
  Team::enter(
      LoadThreads::provider(), LoadThreads::threads(),
      [](void* arg, Team& team) {
        team.parallel_for(
            static_cast<Work*>(arg)->parts,
            [](void* w, int64_t begin, int64_t end, int thread) { static_cast<Work*>(w)->body(begin, end, thread); }, arg);
      },
      &work);
}

}  // namespace tenon
