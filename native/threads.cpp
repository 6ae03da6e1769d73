#include "threads.h"

#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace farthing {
namespace {

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until the value is no longer `old`.
void await(const std::atomic<uint32_t>& value, uint32_t old) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 64; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  const auto until = Clock::now() + std::chrono::microseconds(50);
  do {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (Clock::now() < until);
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

void Barrier::meet(Ahead ahead) {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();  // no system call unless somebody sleeps
  } else {
    for (size_t line = 0; line < ahead.bytes; line += 64) {
      if (phase_.load(std::memory_order_acquire) != phase) return;
      __builtin_prefetch(ahead.at + line);
    }
    await(phase_, phase);
  }
}

Team::Team(size_t threads) : barrier_(threads) {
  workers_.reserve(threads);
  try {
    for (size_t thread = 1; thread < threads; ++thread)
      workers_.emplace_back([this, thread] { serve(thread); });
  } catch (...) {  // the system has no more threads
    stop();
    throw;
  }
}

Team::~Team() { stop(); }

void Team::stop() {
  stopping_ = true;
  calls_.fetch_add(1, std::memory_order_release);
  calls_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void Team::run(const std::function<void(size_t)>& work) {
  work_ = &work;
  calls_.fetch_add(1, std::memory_order_release);
  calls_.notify_all();
  work(0);
  barrier_.meet();
}

void Team::serve(size_t thread) {
  for (uint32_t seen = 0;;) {
    await(calls_, seen);
    ++seen;
    if (stopping_) return;
    (*work_)(thread);
    barrier_.meet();
  }
}

}  // namespace farthing
