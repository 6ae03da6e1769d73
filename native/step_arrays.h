// A step's arrays as Python hands them over: checked, every length and index, and made a Step.
// The arrays stay Python's; a Step points into them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "program.h"

namespace farthing {

template <class T>
using Row =
    nanobind::ndarray<const T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Table =
    nanobind::ndarray<const T, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using OutRow = nanobind::ndarray<T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using OutTable = nanobind::ndarray<T, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;

inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// Everything of RowSampling but the adjustments, by row.
struct RowArrays {
  Row<float> temperature;
  Row<int32_t> top_k;
  Row<float> top_p, min_p, repetition, presence, frequency;
  Row<uint64_t> seed;
  Row<uint32_t> choice;
  Row<int32_t> position, logprobs, first, ids;
  Row<float> bias;
  Row<int32_t> counts;
  Row<uint8_t> seen;
};

inline std::vector<Sampling> samplings(const RowArrays& a, size_t rows, size_t vocabulary,
                                       size_t top) {
  require(a.temperature.shape(0) == rows && a.top_k.shape(0) == rows && a.top_p.shape(0) == rows &&
              a.min_p.shape(0) == rows && a.repetition.shape(0) == rows &&
              a.presence.shape(0) == rows && a.frequency.shape(0) == rows &&
              a.seed.shape(0) == rows && a.choice.shape(0) == rows && a.position.shape(0) == rows &&
              a.logprobs.shape(0) == rows && a.first.shape(0) == rows + 1,
          "sampling arrays must have one entry a row");
  const size_t entries = a.ids.shape(0);
  require(a.bias.shape(0) == entries && a.counts.shape(0) == entries && a.seen.shape(0) == entries,
          "adjustments differ in length");
  for (size_t i = 0; i < entries; ++i)
    require(a.ids.data()[i] >= 0 && static_cast<size_t>(a.ids.data()[i]) < vocabulary,
            "an adjusted token is not in the vocabulary");
  for (size_t i = 0; i < entries; ++i)
    require(a.bias.data()[i] < INFINITY, "a bias is no number, or infinite");
  std::vector<Sampling> out(rows);
  for (size_t r = 0; r < rows; ++r) {
    const int32_t from = a.first.data()[r], to = a.first.data()[r + 1];
    require(from >= 0 && from <= to && static_cast<size_t>(to) <= entries,
            "adjustments of a row are out of range");
    require(a.logprobs.data()[r] <= static_cast<int32_t>(top),
            "more logprobs than there is room for");
    // A NaN fails every comparison.
    require(a.temperature.data()[r] >= 0 && a.top_p.data()[r] >= 0 && a.min_p.data()[r] <= 1,
            "temperature, top_p or min_p is out of range");
    require(a.repetition.data()[r] > 0 && std::isfinite(a.repetition.data()[r]) &&
                std::isfinite(a.presence.data()[r]) && std::isfinite(a.frequency.data()[r]),
            "a penalty is out of range");
    const auto at = static_cast<size_t>(from);
    out[r] = {a.temperature.data()[r], a.top_p.data()[r],    a.min_p.data()[r],
              a.repetition.data()[r],  a.presence.data()[r], a.frequency.data()[r],
              a.top_k.data()[r],       a.position.data()[r], a.logprobs.data()[r],
              a.seed.data()[r],        a.choice.data()[r],   static_cast<size_t>(to - from),
              a.ids.data() + at,       a.bias.data() + at,   a.counts.data() + at,
              a.seen.data() + at};
  }
  return out;
}

inline void check(const Program& p, const Step& s) {
  require(p.finished(), "the program is not finished");
  require(s.token_count > 0 && s.token_count <= p.max_tokens(),
          "too many tokens for one step, or none");
  require(s.starts[0] == 0 && static_cast<size_t>(s.starts[s.segments]) == s.token_count,
          "starts must go from zero to the number of tokens");
  for (size_t i = 0; i < s.segments; ++i) {
    require(s.starts[i] < s.starts[i + 1], "a segment is empty");
    require(s.positions[i] >= 0, "a position is negative");
    const size_t end =
        static_cast<size_t>(s.positions[i]) + static_cast<size_t>(s.starts[i + 1] - s.starts[i]);
    require(end <= p.max_context(), "a position is beyond the context");
    const size_t pages = (end + kPage - 1) / kPage;
    require(!p.pages() || pages <= s.table_width, "a page table is too short");
    for (size_t j = 0; p.pages() && j < pages; ++j) {
      const int32_t page = s.tables[i * s.table_width + j];
      require(page >= 0 && static_cast<size_t>(page) < p.pages(), "a page is not in the pool");
    }
  }
  for (size_t i = 0; i < s.fresh_count; ++i)
    require(s.fresh[i] >= 0 && static_cast<size_t>(s.fresh[i]) < p.pages(),
            "a fresh page is not in the pool");
  require(s.row_count <= p.max_tokens(), "more rows than a step has room for");
  for (size_t i = 0; i < s.row_count; ++i)
    require(s.rows[i] >= 0 && static_cast<size_t>(s.rows[i]) < s.token_count,
            "a row is not a token of the step");
}

struct Inputs {
  Row<int32_t> tokens, starts, positions;
  Table<int32_t> tables;
  Row<int32_t> fresh, rows;
};

// `vocabulary` bounds the tokens.
inline Step step_of(const Program& program, const Inputs& in, size_t vocabulary) {
  Step s{};
  require(in.starts.shape(0) == in.positions.shape(0) + 1,
          "starts must be one longer than positions");
  require(in.tables.shape(0) == in.positions.shape(0), "a page table is needed for each segment");
  s.tokens = in.tokens.data();
  s.starts = in.starts.data();
  s.positions = in.positions.data();
  s.tables = in.tables.data();
  s.fresh = in.fresh.data();
  s.rows = in.rows.data();
  s.token_count = in.tokens.shape(0);
  s.segments = in.positions.shape(0);
  s.table_width = in.tables.shape(1);
  s.fresh_count = in.fresh.shape(0);
  s.row_count = in.rows.shape(0);
  check(program, s);
  for (size_t i = 0; i < in.tokens.shape(0); ++i)
    require(in.tokens.data()[i] >= 0 && static_cast<size_t>(in.tokens.data()[i]) < vocabulary,
            "a token is not in the vocabulary");
  return s;
}

}  // namespace farthing
