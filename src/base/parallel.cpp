#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <pthread.h>
#endif
#ifdef TENON_HAS_OPENMP
#include <omp.h>
#endif

#include "base/cpu.h"

namespace tenon {

namespace {

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // takes about as long as a pause on x86; "yield" does nothing on most cores
#endif
}

// How long a helper without work looks for some before it sleeps: pausing, and while a run goes on giving its CPU to whoever wants it.
// A sleeper takes up to 100 microseconds to wake, and its leader loses ten.
constexpr std::chrono::microseconds kPausing(50), kYielding(300);
constexpr int kLooks = 64;    // between two looks at the clock
constexpr int kWaits = 1500;  // pauses of a leader who waits for helpers before it gives way, some tens of microseconds
constexpr int kPiecesPerThread = 4;

}  // namespace

/// Where a leader posts a loop and helpers find it. The pieces of a loop are cut into contiguous shares, one a thread, so that the same
/// thread gets the same part of equal loops and finds in its caches what it left there; who is done with his own share takes pieces from
/// the others'. A share's `ticket` holds the loop's number in its high half and the share's next unclaimed piece in its low half; a piece
/// is claimed by compare-and-swap on both, so a helper that comes late can never touch a later loop with an earlier loop's body: the swap
/// succeeds only while that loop still has unclaimed pieces, during which the leader changes nothing. Between loops the low half is
/// UINT32_MAX.
class Team::Board {
 public:
  void post(int64_t parts, uint32_t pieces, int limit, Body body, void* context) {
    // Nothing of the loop before can be claimed from here on, so its fields may change.
    const uint32_t shares = std::min<uint32_t>(kMaxShares, static_cast<uint32_t>(limit));
    const uint32_t before = shares_.load(std::memory_order_relaxed);
    for (uint32_t s = 0; s < before; ++s) share_[s].ticket.exchange(uint64_t{loop_} << 32 | UINT32_MAX, std::memory_order_acq_rel);
    parts_.store(parts, std::memory_order_relaxed);
    pieces_.store(pieces, std::memory_order_relaxed);
    shares_.store(shares, std::memory_order_relaxed);
    limit_.store(limit, std::memory_order_relaxed);
    body_.store(body, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    finished_.store(0, std::memory_order_relaxed);
    loop_ = loop_ + 1 == 0 ? 1 : loop_ + 1;
    for (uint32_t s = 0; s < shares; ++s) {
      share_[s].ticket.store(uint64_t{loop_} << 32 | first_piece(pieces, shares, s), std::memory_order_release);
    }
    posted_.store(loop_, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      signal_.fetch_add(1, std::memory_order_seq_cst);
      signal_.notify_all();
    }
  }

  /// Claims and does pieces of the current loop until none is left, those of the thread's own share first.
  void work(int thread) {
    const uint32_t shares = shares_.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < shares; ++i) work_on((static_cast<uint32_t>(thread) + i) % shares, thread);
  }

  void work_on(uint32_t share, int thread) {
    std::atomic<uint64_t>& at = share_[share].ticket;
    for (;;) {
      uint64_t ticket = at.load(std::memory_order_acquire);
      const uint32_t piece = static_cast<uint32_t>(ticket);
      const uint32_t pieces = pieces_.load(std::memory_order_relaxed), shares = shares_.load(std::memory_order_relaxed);
      if (share >= shares || piece >= first_piece(pieces, shares, share + 1) || thread >= limit_.load(std::memory_order_relaxed)) return;
      const int64_t parts = parts_.load(std::memory_order_relaxed);
      const Body body = body_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      if (!at.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      body(context, parts * piece / pieces, parts * (piece + 1) / pieces, thread);
      finished_.fetch_add(1, std::memory_order_release);
    }
  }

  void wait_finished(uint32_t pieces) {
    for (int spins = 0; finished_.load(std::memory_order_acquire) != pieces; ++spins) {
      // A helper that lost its CPU in the middle of a piece needs ours on a crowded machine.
      if (spins > kWaits) {
        std::this_thread::yield();
      } else {
        pause();
      }
    }
  }

  /// A helper's life: work, look for more, sleep, until stop().
  void serve(int thread) {
    for (uint32_t seen = 0; !stopped_.load(std::memory_order_acquire);) {
      if (const uint32_t posted = posted_.load(std::memory_order_acquire); posted != seen) {
        seen = posted;
        work(thread);
      } else if (!comes(seen)) {
        sleep(seen);
      }
    }
  }

  /// Waits a while for a loop after number `seen`, or the end; whether there is one.
  bool comes(uint32_t seen) const {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
      for (int look = 0; look < kLooks; ++look) {
        if (posted_.load(std::memory_order_acquire) != seen || stopped_.load(std::memory_order_acquire)) return true;
        pause();
      }
      const auto waited = std::chrono::steady_clock::now() - start;
      if (waited < kPausing) continue;
      if (waited > kYielding || !running_.load(std::memory_order_relaxed)) return false;
      std::this_thread::yield();
    }
  }

  void sleep(uint32_t seen) {
    const uint32_t signal = signal_.load(std::memory_order_seq_cst);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    if (posted_.load(std::memory_order_seq_cst) == seen && !stopped_.load(std::memory_order_seq_cst)) signal_.wait(signal);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }

  /// A run begins or ends: helpers stay awake longer in between.
  void run(bool begins) { running_.store(begins, std::memory_order_relaxed); }

  void stop() {
    stopped_.store(true, std::memory_order_seq_cst);
    signal_.fetch_add(1, std::memory_order_seq_cst);
    signal_.notify_all();
  }

 private:
  static constexpr uint32_t kMaxShares = 64;  // threads beyond begin where others have begun
  struct alignas(128) Share {
    std::atomic<uint64_t> ticket{UINT32_MAX};
  };
  static uint32_t first_piece(uint32_t pieces, uint32_t shares, uint32_t share) {
    return static_cast<uint32_t>(uint64_t{pieces} * share / shares);
  }

  Share share_[kMaxShares];
  alignas(128) std::atomic<uint32_t> posted_{0};
  alignas(128) std::atomic<uint32_t> finished_{0};
  alignas(128) std::atomic<int64_t> parts_{0};
  std::atomic<uint32_t> pieces_{0}, shares_{0};
  std::atomic<int> limit_{0};
  std::atomic<Body> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<uint32_t> signal_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopped_{false}, running_{true};
  uint32_t loop_ = 0;
};

void Team::parallel_for(int64_t parts, Body body, void* context) {
  if (threads_ <= 1 || parts <= 1) {
    if (parts > 0) body(context, 0, parts, 0);
    return;
  }
  const auto pieces = static_cast<uint32_t>(std::min<int64_t>(parts, int64_t{kPiecesPerThread} * threads_));
  board_->post(parts, pieces, threads_, body, context);
  board_->work(0);
  board_->wait_finished(pieces);
}

namespace {

/// The process-wide helpers. They are detached and live as long as the process; a forked child has none and starts its own.
class Pool {
 public:
  /// Tries to become the one user of the pool, with `helpers` threads. Returns how many there are.
  int acquire(int helpers) {
    if (taken_.exchange(true, std::memory_order_acquire)) return 0;
    try {
      for (; started_ < helpers; ++started_) {
        std::thread([board = board_, thread = started_ + 1] {
          flush_denormals(true);
          board->serve(thread);
        }).detach();
      }
    } catch (const std::system_error&) {
      // The system has no more threads to give: run with those there are.
    }
    if (started_ == 0) release();
    board_->run(started_ > 0);
    return std::min(started_, helpers);
  }
  void release() {
    board_->run(false);
    taken_.store(false, std::memory_order_release);
  }
  Team::Board* board() { return board_; }

 private:
  std::atomic<bool> taken_{false};
  int started_ = 0;
  Team::Board* board_ = new Team::Board();  // lives as long as the detached helpers: for ever
};

std::atomic<Pool*> the_pool{nullptr};

Pool& pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    the_pool.store(new Pool());
#if defined(__linux__)
    // Only the forking thread survives in a child: whatever the parent's pool was doing, the child starts afresh.
    pthread_atfork(nullptr, nullptr, [] { the_pool.store(new Pool()); });
#endif
  });
  return *the_pool.load();
}

class OpenMp : public ThreadProvider {
 public:
  void run(int n, void (*fn)(void*, int), void* arg) override {
#ifdef TENON_HAS_OPENMP
#pragma omp parallel num_threads(n)
    fn(arg, omp_get_thread_num());
#else
    static_cast<void>(n);
    fn(arg, 0);
#endif
  }
};

}  // namespace

ThreadProvider* openmp_threads() {
#ifdef TENON_HAS_OPENMP
  static OpenMp instance;
  return &instance;
#else
  return nullptr;
#endif
}

namespace {
thread_local const LoadThreads* load_threads = nullptr;
}  // namespace

LoadThreads::LoadThreads(ThreadProvider* provider, int threads)
    : outer_(load_threads), provider_(provider), threads_(threads > 0 ? threads : available_cpus()) {
  load_threads = this;
}
LoadThreads::~LoadThreads() { load_threads = outer_; }
int LoadThreads::threads() { return load_threads ? load_threads->threads_ : available_cpus(); }
ThreadProvider* LoadThreads::provider() { return load_threads ? load_threads->provider_ : nullptr; }

void Team::enter(ThreadProvider* provider, int threads, void (*leader)(void*, Team&), void* arg) {
  if (threads > 1 && provider == nullptr) {
    Pool& p = pool();
    if (const int helpers = p.acquire(threads - 1); helpers > 0) {
      Team team(helpers + 1, p.board());
      leader(arg, team);
      p.release();
      return;
    }
  } else if (threads > 1) {
    struct Region {
      Board board;
      int threads;
      void (*leader)(void*, Team&);
      void* arg;
    } region{{}, threads, leader, arg};
    provider->run(
        threads,
        [](void* r, int index) {
          auto* region = static_cast<Region*>(r);
          if (index == 0) {
            Team team(region->threads, &region->board);
            region->leader(region->arg, team);
            region->board.stop();
          } else {
            const DenormalGuard guard;
            region->board.serve(index);
          }
        },
        &region);
    return;
  }
  Team team(1, nullptr);
  leader(arg, team);
}

}  // namespace tenon
