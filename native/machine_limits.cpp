// Loops that only read and loops that only multiply, timed by a clock outside them.
//
// Nothing here may be optimised away: values pass through empty asm statements, of which the
// compiler must think that they read and change them.
#include "machine_limits.h"

#include <fcntl.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#define BEST_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#define KEEP(value) asm volatile("" : "+v"(value))
#else
#define BEST_VECTORS
#define KEEP(value) asm volatile("" : "+w"(value))
#endif

namespace farthing {
namespace {

using Clock = std::chrono::steady_clock;

// Runs work(thread) -> amount on all threads over and over for `seconds`; returns amount a second.
// The sum of each thread's own rate: one that starts late or ends late does not count as idle.
template <class Work>
double rate(int threads, double seconds, const Work& work) {
  std::atomic<bool> stop{false};
  std::barrier start(threads + 1);
  std::vector<double> rates(threads);
  std::vector<std::thread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      work(thread);
      start.arrive_and_wait();
      const auto begin = Clock::now();
      double amount = 0;
      do {
        amount += work(thread);
      } while (!stop.load(std::memory_order_relaxed));
      rates[thread] = amount / std::chrono::duration<double>(Clock::now() - begin).count();
    });
  }
  start.arrive_and_wait();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  double total = 0;
  for (auto& thread : running) thread.join();
  for (double one : rates) total += one;
  return total;
}

// --- reading ---

constexpr size_t STRIDE = 512;  // eight cache lines a turn of the loop
constexpr size_t HUGE_PAGE = size_t{2} << 20;

// Eight sums, so that no load waits for the one before it. bytes is a multiple of STRIDE.
BEST_VECTORS void read_all(const char* data, size_t bytes) {
  typedef uint64_t Line __attribute__((vector_size(64)));
  Line sums[8] = {};
  for (size_t at = 0; at < bytes; at += STRIDE) {
    const Line* lines = reinterpret_cast<const Line*>(data + at);
    for (int i = 0; i < 8; ++i) sums[i] ^= lines[i];
  }
  Line all = sums[0];
  for (int i = 1; i < 8; ++i) all ^= sums[i];
  asm volatile("" : : "m"(all) : "memory");
}

class Mapping {
 public:
  explicit Mapping(size_t bytes) : bytes_(bytes + HUGE_PAGE) {
    map(MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ | PROT_WRITE, -1);
    const auto begin = reinterpret_cast<uintptr_t>(whole_) + HUGE_PAGE - 1;
    data_ = reinterpret_cast<char*>(begin / HUGE_PAGE * HUGE_PAGE);
    madvise(data_, bytes, MADV_HUGEPAGE);  // advice: a kernel without huge pages may refuse
    std::memset(data_, 1, bytes);          // untouched pages would all be the one of zeros
  }
  Mapping(size_t bytes, const std::string& path) : bytes_(bytes) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::invalid_argument("cannot open " + path);
    struct stat info = {};
    const bool fits = fstat(file, &info) == 0 && info.st_size >= static_cast<off_t>(bytes);
    if (fits) map(MAP_SHARED | MAP_POPULATE, PROT_READ, file);
    close(file);
    if (!fits) throw std::invalid_argument(path + " is shorter than the bytes to read");
    data_ = static_cast<char*>(whole_);
  }
  ~Mapping() { munmap(whole_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const char* data() const { return data_; }

 private:
  void map(int flags, int protection, int file) {
    whole_ = mmap(nullptr, bytes_, protection, flags, file, 0);
    if (whole_ == MAP_FAILED) throw std::runtime_error("no memory for a buffer to read");
  }

  size_t bytes_;
  void* whole_ = nullptr;
  char* data_ = nullptr;
};

// --- arithmetic ---

constexpr int TURNS = 20000;

struct Peak {
  const char* instruction;
  double (*run)();  // TURNS turns; returns the operations done
};

// Twelve accumulators, so that none waits for its own last result, by name, so that each has a
// register (an array stays in memory). Each starts apart from the others in the compiler's eyes,
// which would else compute only one.
constexpr int COUNT = 12;

#define BEGIN(NAME, ZERO) \
  auto NAME = ZERO;       \
  KEEP(NAME);

#define TURN(NAME, OPERATION) \
  {                           \
    auto& sum = NAME;         \
    OPERATION;                \
    KEEP(sum);                \
  }

#define EACH(DO, WITH) \
  DO(a, WITH)          \
  DO(b, WITH)          \
  DO(c, WITH)          \
  DO(d, WITH)          \
  DO(e, WITH) DO(f, WITH) DO(g, WITH) DO(h, WITH) DO(i, WITH) DO(j, WITH) DO(k, WITH) DO(l, WITH)

#define SPIN(ZERO, OPERATION)                \
  EACH(BEGIN, ZERO)                          \
  for (int turn = 0; turn < TURNS; ++turn) { \
    EACH(TURN, OPERATION)                    \
  }

#if defined(__x86_64__)

__attribute__((target("avx512f,avx512vnni"))) double int8_avx512vnni() {
  __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(2);
  KEEP(x);
  KEEP(y);
  SPIN(_mm512_setzero_si512(), sum = _mm512_dpbusd_epi32(sum, x, y))
  return 2.0 * 64 * COUNT * TURNS;
}

__attribute__((target("avx2,avxvnni"))) double int8_avxvnni() {
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(2);
  KEEP(x);
  KEEP(y);
  SPIN(_mm256_setzero_si256(), sum = _mm256_dpbusd_avx_epi32(sum, x, y))
  return 2.0 * 32 * COUNT * TURNS;
}

// Three instructions for what VNNI does in one.
__attribute__((target("avx2"))) double int8_avx2() {
  __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(2), one = _mm256_set1_epi16(1);
  KEEP(x);
  KEEP(y);
  KEEP(one);
  SPIN(_mm256_setzero_si256(), {
    KEEP(x);  // or the product, always the same, would be taken out of the loop
    const __m256i pairs = _mm256_maddubs_epi16(x, y);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, one));
  })
  return 2.0 * 32 * COUNT * TURNS;
}

__attribute__((target("avx512f,avx512bf16"))) double bf16_avx512() {
  __m512i x = _mm512_set1_epi16(0x3f80), y = _mm512_set1_epi16(0x3a00);
  KEEP(x);
  KEEP(y);
  SPIN(_mm512_setzero_ps(),
       sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(y)))
  return 2.0 * 32 * COUNT * TURNS;
}

__attribute__((target("avx512f"))) double fp32_avx512() {
  __m512 x = _mm512_set1_ps(1), y = _mm512_set1_ps(0.001f);
  KEEP(x);
  KEEP(y);
  SPIN(_mm512_setzero_ps(), sum = _mm512_fmadd_ps(x, y, sum))
  return 2.0 * 16 * COUNT * TURNS;
}

__attribute__((target("avx2,fma"))) double fp32_fma() {
  __m256 x = _mm256_set1_ps(1), y = _mm256_set1_ps(0.001f);
  KEEP(x);
  KEEP(y);
  SPIN(_mm256_setzero_ps(), sum = _mm256_fmadd_ps(x, y, sum))
  return 2.0 * 8 * COUNT * TURNS;
}

#endif

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Whole __attribute__((vector_size(16)));

double fp32_portable() {
  Floats x = {0.5f, 0.5f, 0.5f, 0.5f};
  KEEP(x);
  SPIN(x, sum = sum * x + x)
  return 2.0 * 4 * COUNT * TURNS;
}

double int8_portable() {
  Whole x = {3, 3, 3, 3};
  KEEP(x);
  SPIN(x, sum = (sum & 255) * x + x)
  return 2.0 * 4 * COUNT * TURNS;
}

Peak best_fp32() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {"avx512 vfmadd231ps", fp32_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {"avx2 vfmadd231ps", fp32_fma};
#endif
  return {"portable multiply, add", fp32_portable};
}

Peak best_bf16() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) return {"avx512 vdpbf16ps", bf16_avx512};
#endif
  return best_fp32();
}

Peak best_int8() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni")) return {"avx512 vpdpbusd", int8_avx512vnni};
  if (__builtin_cpu_supports("avxvnni")) return {"avx-vnni vpdpbusd", int8_avxvnni};
  if (__builtin_cpu_supports("avx2")) return {"avx2 vpmaddubsw, vpmaddwd", int8_avx2};
#endif
  return {"portable int32 multiply, add", int8_portable};
}

Peak best(const std::string& kind) {
  if (kind == "int8") return best_int8();
  if (kind == "bf16") return best_bf16();
  if (kind == "fp32") return best_fp32();
  throw std::invalid_argument("no arithmetic of kind '" + kind + "'; known: int8, bf16, fp32");
}

void check(int threads, double seconds) {
  if (threads < 1 || threads > 1024)
    throw std::invalid_argument("threads must be 1 to 1024, not " + std::to_string(threads));
  if (!(seconds > 0 && seconds <= 60))
    throw std::invalid_argument("seconds must be above 0 and at most 60");
}

}  // namespace

double limits_read(size_t bytes, int threads, double seconds, const std::string& path) {
  check(threads, seconds);
  const size_t part = bytes / threads / STRIDE * STRIDE;
  if (part < 8 * STRIDE)
    throw std::invalid_argument("at least 4096 bytes a thread are needed to read");
  const Mapping buffer = path.empty() ? Mapping(bytes) : Mapping(bytes, path);
  // In pieces, so that a thread looks at the clock's flag often enough in a large buffer.
  const size_t piece = std::min(part, size_t{1} << 20);
  std::vector<size_t> at(threads);
  return rate(threads, seconds, [&](int thread) {
    const size_t here = at[thread], now = std::min(piece, part - here);
    read_all(buffer.data() + thread * part + here, now);
    at[thread] = here + now == part ? 0 : here + now;
    return static_cast<double>(now);
  });
}

double limits_arithmetic(const std::string& kind, int threads, double seconds) {
  check(threads, seconds);
  const Peak peak = best(kind);
  return rate(threads, seconds, [&](int) { return peak.run(); });
}

std::string limits_instruction(const std::string& kind) { return best(kind).instruction; }

}  // namespace farthing

void bind_limits(nanobind::module_& m) {
  namespace nb = nanobind;
  using nb::literals::operator""_a;
  const auto unlocked = nb::call_guard<nb::gil_scoped_release>();
  m.def("limits_read", &farthing::limits_read, "bytes"_a, "threads"_a, "seconds"_a, "path"_a = "",
        unlocked);
  m.def("limits_arithmetic", &farthing::limits_arithmetic, "kind"_a, "threads"_a, "seconds"_a,
        unlocked);
  m.def("limits_instruction", &farthing::limits_instruction, "kind"_a);
}
