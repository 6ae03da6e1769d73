// A team of threads that run one function together and meet at barriers. The caller is thread 0.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace farthing {

// Bytes that a thread will read next.
struct Ahead {
  const uint8_t* at = nullptr;
  size_t bytes = 0;
};

// Spins for about 50 us, then sleeps in the kernel: an idle server uses no CPU, and a neighbour on
// the same core delays a step by its own time only.
class Barrier {
 public:
  explicit Barrier(size_t threads) : threads_(threads) {}
  // Whoever waits fetches what it will read meanwhile: memory would be idle.
  void meet(Ahead ahead = {});

 private:
  const size_t threads_;
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

class Team {
 public:
  explicit Team(size_t threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  size_t size() const { return workers_.size() + 1; }
  // Runs work(thread) on all threads; returns when all are done. Not for two callers at once.
  void run(const std::function<void(size_t)>& work);
  void meet(Ahead ahead = {}) { barrier_.meet(ahead); }

 private:
  void serve(size_t thread);
  void stop();

  Barrier barrier_;
  const std::function<void(size_t)>* work_ = nullptr;
  alignas(64) std::atomic<uint32_t> calls_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

// A counter that hands out units of work; apart from its neighbours in the cache.
struct alignas(64) Counter {
  std::atomic<uint32_t> next{0};
  size_t take() { return next.fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace farthing
