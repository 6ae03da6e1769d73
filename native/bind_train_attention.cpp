// Attention in training as Python sees it: arrays of bf16 are int16 there, and rows may lie apart.
// Checks every shape, stride and bound, then works without the interpreter's lock: each document
// with each kv head is one thread's alone, so bits do not depend on how many there are.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

#include "bind_train.h"
#include "model.h"
#include "threads.h"
#include "train_attention.h"

namespace nb = nanobind;

namespace farthing {

#if defined(__x86_64__)
extern const TrainKernels avx512bf16_attention;
#endif

const TrainKernels* train_kernels() {
#if defined(__x86_64__)
  size_t count;
  const Compiled* all = compiled(&count);
  for (size_t i = 0; i < count; ++i)
    if (!all[i].missing && all[i].kernels->isa == std::string_view("avx512bf16"))
      return &avx512bf16_attention;
#endif
  return nullptr;
}

namespace {

using Halves = nb::ndarray<const int16_t, nb::ndim<2>, nb::device::cpu>;
using OutHalves = nb::ndarray<int16_t, nb::ndim<2>, nb::device::cpu>;
using Stats = nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

struct Heads {
  size_t heads, kv_heads, threads;
  double scale;
  size_t window;
};

// [tokens][width], numbers of a row side by side.
template <class T, class A>
Tokens<T> tokens_of(const A& a, size_t tokens, size_t width) {
  require(a.shape(0) == tokens && a.shape(1) == width, "rows of attention do not fit one another");
  require(a.stride(1) == 1 && a.stride(0) >= static_cast<int64_t>(width) &&
              a.stride(0) <= static_cast<int64_t>(kMost),
          "a row's numbers must lie side by side, and rows one after the other");
  return {reinterpret_cast<T*>(a.data()), static_cast<size_t>(a.stride(0))};
}

template <class T>
Tokens<T> from(const Tokens<T>& x, size_t token, size_t number) {
  return {x.at + token * x.stride + number, x.stride};
}

struct Checked {
  TrainAttend whole;            // of all documents, from the first head on
  std::vector<int64_t> bounds;  // a copy, for Python may write to its array meanwhile
  size_t longest, kv_heads, threads;
  size_t documents() const { return bounds.size() - 1; }
  TrainAttend of(size_t document, size_t kv_head) const {
    const size_t token = static_cast<size_t>(bounds[document]);
    TrainAttend t = whole;
    t.tokens = static_cast<size_t>(bounds[document + 1]) - token;
    t.q = from(whole.q, token, kv_head * t.group * t.width);
    t.k = from(whole.k, token, kv_head * t.width);
    t.v = from(whole.v, token, kv_head * t.value_width);
    t.stats = whole.stats + kv_head * t.group * t.stats_head + token;
    return t;
  }
};

size_t head_width(size_t width, size_t heads) {
  require(heads && width % heads == 0, "heads must share a row");
  require(width / heads % 8 == 0 && width / heads >= 8 && width / heads <= 256,
          "a head's width must be a multiple of 8 and at most 256");
  return width / heads;
}

Checked checked(const Halves& q, const Halves& k, const Halves& v, const Row<int64_t>& bounds,
                const Stats& stats, const Heads& h) {
  require(train_kernels(), "training's attention does not run on this processor");
  require(h.threads > 0 && h.threads <= 1024, "threads must be 1 to 1024");
  require(h.heads && h.kv_heads && h.heads <= kMost && h.heads % h.kv_heads == 0,
          "heads must be a multiple of kv heads");
  require(h.window <= kMost, "a window is too long");
  const size_t tokens = q.shape(0), ends = bounds.shape(0);
  const size_t width = head_width(q.shape(1), h.heads);
  const size_t value_width = head_width(v.shape(1), h.kv_heads);
  require(tokens && tokens <= kMost, "attention needs a token");
  require(stats.shape(0) == h.heads && stats.shape(1) == 2 && stats.shape(2) == tokens,
          "stats are heads by 2 by tokens");
  const int64_t* const bound = bounds.data();
  require(ends >= 2 && bound[0] == 0 && bound[ends - 1] == static_cast<int64_t>(tokens),
          "documents must begin with the first token and end with the last");
  size_t longest = 0;
  for (size_t i = 1; i < ends; ++i) {
    require(bound[i] > bound[i - 1] && bound[i] <= static_cast<int64_t>(tokens),
            "a document must have a token, and begin where another ends");
    longest = std::max(longest, static_cast<size_t>(bound[i] - bound[i - 1]));
  }
  const TrainAttend whole{0,
                          h.heads / h.kv_heads,
                          width,
                          value_width,
                          static_cast<float>(h.scale),
                          h.window,
                          tokens_of<const uint16_t>(q, tokens, h.heads * width),
                          tokens_of<const uint16_t>(k, tokens, h.kv_heads * width),
                          tokens_of<const uint16_t>(v, tokens, h.kv_heads * value_width),
                          stats.data(),
                          2 * tokens,
                          tokens,
                          nullptr};
  return {whole, {bound, bound + ends}, longest, h.kv_heads, h.threads};
}

// work(document, kv head, its task) of all, by as many threads as there is work for.
template <class Work>
void shared_out(const Checked& all, const Work& work) {
  nb::gil_scoped_release unlocked;
  const size_t units = all.documents() * all.kv_heads, threads = std::min(all.threads, units);
  const size_t bytes =
      round_up(train_scratch(all.longest, all.whole.width, all.whole.value_width), 64);
  const std::unique_ptr<uint8_t, decltype(&std::free)> scratch(
      static_cast<uint8_t*>(std::aligned_alloc(64, bytes * threads)), std::free);
  if (!scratch) throw std::bad_alloc();
  Counter counter;
  const auto serve = [&](size_t thread) {
    for (size_t unit; (unit = counter.take()) < units;) {
      const size_t document = unit / all.kv_heads, kv_head = unit % all.kv_heads;
      TrainAttend t = all.of(document, kv_head);
      t.scratch = scratch.get() + thread * bytes;
      work(static_cast<size_t>(all.bounds[document]), kv_head, t);
    }
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back(serve, t);
  serve(0);
}

void attend(Halves q, Halves k, Halves v, Row<int64_t> bounds, size_t heads, size_t kv_heads,
            double scale, size_t window, size_t threads, OutHalves out, Stats stats) {
  const Checked all = checked(q, k, v, bounds, stats, {heads, kv_heads, threads, scale, window});
  const auto to = tokens_of<uint16_t>(out, q.shape(0), heads * all.whole.value_width);
  shared_out(all, [&](size_t token, size_t kv_head, const TrainAttend& t) {
    train_kernels()->attend(t, from(to, token, kv_head * t.group * t.value_width));
  });
}

void attend_back(Halves q, Halves k, Halves v, Row<int64_t> bounds, size_t heads, size_t kv_heads,
                 double scale, size_t window, size_t threads, Halves out, Stats stats, Halves grad,
                 OutHalves grad_q, OutHalves grad_k, OutHalves grad_v) {
  const Checked all = checked(q, k, v, bounds, stats, {heads, kv_heads, threads, scale, window});
  const size_t tokens = q.shape(0), width = heads * all.whole.value_width;
  const auto outs = tokens_of<const uint16_t>(out, tokens, width);
  const auto grads = tokens_of<const uint16_t>(grad, tokens, width);
  const auto to_q = tokens_of<uint16_t>(grad_q, tokens, q.shape(1));
  const auto to_k = tokens_of<uint16_t>(grad_k, tokens, k.shape(1));
  const auto to_v = tokens_of<uint16_t>(grad_v, tokens, v.shape(1));
  shared_out(all, [&](size_t token, size_t kv_head, const TrainAttend& t) {
    const size_t of_values = kv_head * t.group * t.value_width;
    train_kernels()->attend_back(t, from(outs, token, of_values), from(grads, token, of_values),
                                 from(to_q, token, kv_head * t.group * t.width),
                                 from(to_k, token, kv_head * t.width),
                                 from(to_v, token, kv_head * t.value_width));
  });
}

}  // namespace

void bind_train_attention(nb::module_& m) {
  define(m, "train_attend", attend, std::make_index_sequence<11>());
  define(m, "train_attend_back", attend_back, std::make_index_sequence<15>());
}

}  // namespace farthing
