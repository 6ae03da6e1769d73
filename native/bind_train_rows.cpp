// Rows of a training step as Python sees them: arrays of bf16 are int16 there. Checks every shape
// and index, then works without the interpreter's lock.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "bind_train.h"
#include "model.h"

namespace nb = nanobind;

namespace farthing {
namespace {

using Halves = Table<int16_t>;
using OutHalves = OutTable<int16_t>;
template <class T>
using Maybe = std::optional<T>;

const uint16_t* bits(const Halves& a) { return reinterpret_cast<const uint16_t*>(a.data()); }
uint16_t* bits(const OutHalves& a) { return reinterpret_cast<uint16_t*>(a.data()); }

template <class A, class B>
void alike(const A& a, const B& b) {
  require(a.shape(0) == b.shape(0) && a.shape(1) == b.shape(1), "arrays differ in shape");
}
template <class A>
void row_each(const A& a, size_t rows) {
  require(a.shape(0) == rows, "a row must have one entry");
}

// work(begin, end) of all rows, in parts of whole blocks; where there is little, by the caller
// alone: a thread takes longer to start.
template <class Work>
void shared_out(size_t rows, size_t width, size_t block, size_t threads, const Work& work) {
  nb::gil_scoped_release unlocked;
  const size_t blocks = (rows + block - 1) / block;
  threads = std::min({threads, blocks, rows * width / 65536 + 1});
  const auto from = [&](size_t t) { return std::min(rows, blocks * t / threads * block); };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back([&, t] { work(from(t), from(t + 1)); });
  work(0, threads > 1 ? from(1) : rows);
}

const TrainRows& kernels_of(const std::string& isa, size_t threads) {
  require(threads > 0 && threads <= 1024, "threads must be 1 to 1024");
  return kernels_named(isa).train_rows;
}

void cross_entropy(const std::string& isa, OutHalves logits, Row<int64_t> targets,
                   Row<float> learned, OutRow<float> losses, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t rows = logits.shape(0), width = logits.shape(1);
  row_each(targets, rows), row_each(learned, rows), row_each(losses, rows);
  const int64_t* wanted = targets.data();
  for (size_t r = 0; r < rows; ++r)
    require(wanted[r] >= 0 && static_cast<size_t>(wanted[r]) < width,
            "a target is not in the vocabulary");
  shared_out(rows, width, 1, threads, [&](size_t begin, size_t end) {
    std::vector<float> exps(round_up(width, kRows));
    for (size_t r = begin; r < end; ++r) {
      uint16_t* row = bits(logits) + r * width;
      const uint32_t raised = static_cast<uint32_t>(row[wanted[r]]) << 16;
      float hit, top, total;
      __builtin_memcpy(&hit, &raised, 4);
      k.logit_exps(row, width, exps.data(), &top, &total);
      const double log = std::log(static_cast<double>(total));
      losses.data()[r] = static_cast<float>(log + (static_cast<double>(top) - hit));
      k.logit_slopes(exps.data(), width, total, wanted[r], learned.data()[r], row);
    }
  });
}

void add(const std::string& isa, Halves x, OutTable<float> sums, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t width = x.shape(1);
  alike(x, sums);
  shared_out(x.shape(0), width, 1, threads, [&](size_t begin, size_t end) {
    k.add(bits(x) + begin * width, (end - begin) * width, sums.data() + begin * width);
  });
}

void largest(const std::string& isa, Table<float> x, OutTable<int64_t> ids, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t width = x.shape(1), count = ids.shape(1);
  row_each(ids, x.shape(0));
  require(count > 0 && count <= width, "no more can be chosen than there are");
  shared_out(x.shape(0), width, 1, threads, [&](size_t begin, size_t end) {
    std::vector<float> room(round_up(width, kRows));
    for (size_t r = begin; r < end; ++r)
      k.largest_ids(x.data() + r * width, width, count, room.data(), ids.data() + r * count);
  });
}

void norm(const std::string& isa, Halves x, Row<float> weight, double eps, OutHalves y,
          OutRow<float> inverse, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t width = x.shape(1);
  alike(x, y), row_each(inverse, x.shape(0));
  require(width > 0 && weight.shape(0) == width, "a norm's weight must be as wide as its rows");
  shared_out(x.shape(0), width, 1, threads, [&](size_t begin, size_t end) {
    k.norm(bits(x) + begin * width, weight.data(), end - begin, width, static_cast<float>(eps),
           bits(y) + begin * width, inverse.data() + begin);
  });
}

// The weight's gradient is summed by blocks of rows, then over these: bits do not depend on
// threads.
constexpr size_t kBlock = 64;

void norm_back(const std::string& isa, Halves grad, Halves x, Row<float> inverse, Row<float> weight,
               OutHalves grad_x, OutRow<float> grad_weight, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t rows = x.shape(0), width = x.shape(1), padded = round_up(width, kRows);
  alike(x, grad), alike(x, grad_x), row_each(inverse, rows);
  require(width > 0 && weight.shape(0) == width && grad_weight.shape(0) == width,
          "a norm's weight must be as wide as its rows");
  std::vector<float> sums((rows + kBlock - 1) / kBlock * padded, 0.f);
  shared_out(rows, width, kBlock, threads, [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += kBlock)
      k.norm_back(bits(grad) + at * width, bits(x) + at * width, inverse.data() + at, weight.data(),
                  std::min(kBlock, end - at), width, bits(grad_x) + at * width,
                  sums.data() + at / kBlock * padded);
  });
  std::fill_n(grad_weight.data(), width, 0.f);
  for (size_t at = 0; at < sums.size(); at += padded)
    for (size_t i = 0; i < width; ++i) grad_weight.data()[i] += sums[at + i];
}

void turn(const std::string& isa, Halves x, Table<float> cosine, Table<float> sine, size_t heads,
          bool interleaved, bool back, OutHalves y, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t rows = x.shape(0), width = x.shape(1), half = cosine.shape(1);
  alike(x, y), alike(cosine, sine), row_each(cosine, rows);
  require(heads > 0 && width % heads == 0 && 2 * half <= width / heads,
          "heads must share a row, and the turned width fit one");
  require(x.data() != y.data(), "rows are not turned in place");
  shared_out(rows, width, 1, threads, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r)
      k.turn(bits(x) + r * width, cosine.data() + r * half, sine.data() + r * half,
             back ? -1.f : 1.f, heads, width / heads, half, interleaved, bits(y) + r * width);
  });
}

void gated(const std::string& isa, Halves gate, Halves up, Maybe<Row<float>> by_row, OutHalves y,
           size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t rows = gate.shape(0), width = gate.shape(1);
  alike(gate, up), alike(gate, y);
  if (by_row) row_each(*by_row, rows);
  shared_out(rows, width, 1, threads, [&](size_t begin, size_t end) {
    const size_t at = begin * width;
    k.gated(bits(gate) + at, bits(up) + at, by_row ? by_row->data() + begin : nullptr, end - begin,
            width, bits(y) + at);
  });
}

void gated_back(const std::string& isa, Halves grad, Halves gate, Halves up,
                Maybe<Row<float>> by_row, OutHalves grad_gate, OutHalves grad_up,
                Maybe<OutRow<float>> grad_by_row, size_t threads) {
  const TrainRows& k = kernels_of(isa, threads);
  const size_t rows = gate.shape(0), width = gate.shape(1);
  alike(gate, grad), alike(gate, up), alike(gate, grad_gate), alike(gate, grad_up);
  require(by_row.has_value() == grad_by_row.has_value(), "what has a factor has its gradient");
  if (by_row) row_each(*by_row, rows), row_each(*grad_by_row, rows);
  shared_out(rows, width, 1, threads, [&](size_t begin, size_t end) {
    const size_t at = begin * width;
    k.gated_back(bits(grad) + at, bits(gate) + at, bits(up) + at,
                 by_row ? by_row->data() + begin : nullptr, end - begin, width,
                 bits(grad_gate) + at, bits(grad_up) + at,
                 by_row ? grad_by_row->data() + begin : nullptr);
  });
}

}  // namespace

void bind_train_rows(nb::module_& m) {
  define(m, "train_cross_entropy", cross_entropy, std::make_index_sequence<6>());
  define(m, "train_add", add, std::make_index_sequence<4>());
  define(m, "train_largest", largest, std::make_index_sequence<4>());
  define(m, "train_norm", norm, std::make_index_sequence<7>());
  define(m, "train_norm_back", norm_back, std::make_index_sequence<8>());
  define(m, "train_turn", turn, std::make_index_sequence<9>());
  define(m, "train_gated", gated, std::make_index_sequence<6>());
  define(m, "train_gated_back", gated_back, std::make_index_sequence<9>());
}

}  // namespace farthing
