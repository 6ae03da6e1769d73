// The native side as Python sees it. Checks every shape and index, for behind it nothing does.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "machine_limits.h"
#include "model.h"
#include "numerics.h"

namespace nb = nanobind;
using namespace farthing;

namespace farthing {

const Kernels& kernels_named(const std::string& isa) {
  size_t count;
  const Compiled* all = compiled(&count);
  std::string runnable;
  for (size_t i = 0; i < count; ++i) {
    if (all[i].missing) continue;
    if (isa == all[i].kernels->isa) return *all[i].kernels;
    runnable += (runnable.empty() ? "" : ", ") + std::string(all[i].kernels->isa);
  }
  throw std::invalid_argument("instruction set '" + isa +
                              "' does not run here; these do: " + runnable);
}

}  // namespace farthing

namespace {

// `count` is 0 for one matrix; a stack may be of one, and is on its boundaries all the same.
size_t add_weight(Model& m, const std::string& form, size_t group, size_t count, size_t rows,
                  size_t columns, Row<uint8_t> data) {
  static const char* const names[] = {
      "4-f16",           "4-f16-min",   "4-two_level-min", "8-f16",      "8-f16-min",
      "8-two_level-min", "8-two_level", "4-f32",           "4-f32-min",  "8-f32",
      "8-f32-min",       "16-none",     "4-e8m0-e2m1",     "4-f16-zero", "8-f16-zero"};
  m.building();
  for (size_t i = 0; i < std::size(names); ++i) {
    if (form != names[i]) continue;
    const Form f = static_cast<Form>(i);
    const bool halves = f == Form::kInt8TwoLevel16;
    require(f == Form::kBf16 || (halves ? group == 16 : group && group % kGroup == 0),
            "no kernel for this form with groups of this size");
    require(rows > 0 && columns > 0, "a weight is empty");
    require(rows <= kMost && columns <= kMost && group <= kMost && count <= kMost,
            "a weight is too large");
    const Weight w{f, rows, columns, group ? group : kGroup, data.data(), count ? count : 1};
    const size_t one = count ? w.stride() : w.blocks() * w.block_bytes();
    require(data.shape(0) % one == 0 && data.shape(0) / one == w.count,
            "a weight has the wrong size in bytes");
    require(reinterpret_cast<uintptr_t>(data.data()) % 64 == 0, "a weight must start on 64 bytes");
    m.held.push_back(data);
    return m.program.weight(w);
  }
  throw std::invalid_argument("no kernel for weights of the form " + form);
}

void add_linear(Model& m, size_t in, bool precise, std::vector<size_t> weights,
                std::vector<size_t> outs, std::vector<std::optional<Row<float>>> biases,
                std::vector<std::optional<size_t>> residuals) {
  m.building();
  Linear op{in, precise, {}};
  require(weights.size() == outs.size() && weights.size() == biases.size() &&
              weights.size() == residuals.size(),
          "parts differ in number");
  require(!weights.empty(), "a linear of no weights");
  for (size_t i = 0; i < weights.size(); ++i) {
    const Weight& w = m.weight(weights[i]);
    require(!precise || w.form == Form::kBf16, "a precise linear has weights in bf16");
    m.holds(in, precise ? 4 * w.k() : 0);
    if (!precise) m.quantized(in, w);
    if (biases[i]) require(biases[i]->shape(0) == w.rows, "a bias must have one entry a row");
    op.parts.push_back({weights[i], biases[i] ? vector_of(*biases[i]) : std::vector<float>{},
                        residuals[i] ? m.floats(*residuals[i], w.rows) : kNone,
                        m.floats(outs[i], w.rows)});
  }
  m.program.op(op);
}

// Takes arrays as they are, or not at all: a silent copy would lose what is written to it.
template <size_t kArguments, class Function>
void define_exact(nb::class_<Model>& type, const char* name, Function function) {
  [&]<size_t... kAt>(std::index_sequence<kAt...>) {
    type.def(name, function, (static_cast<void>(kAt), nb::arg().noconvert())...);
  }(std::make_index_sequence<kArguments>());
}

}  // namespace

NB_MODULE(_native, module) {
  module.def("compiled", [] {
    size_t count;
    const Compiled* all = compiled(&count);
    std::vector<std::tuple<std::string, std::optional<std::string>>> out;
    for (size_t i = 0; i < count; ++i)
      out.emplace_back(all[i].kernels->isa,
                       all[i].missing ? std::optional<std::string>(all[i].missing) : std::nullopt);
    return out;
  });

  nb::class_<Model> program(module, "Program");
  program
      .def(nb::init<const std::string&, size_t, size_t, size_t>(), nb::arg("isa"),
           nb::arg("threads"), nb::arg("max_tokens"), nb::arg("max_context"))
      .def("slot",
           [](Model& m, size_t bytes, bool wanted, bool small, bool crossing) {
             m.building();
             require(bytes <= 4 * kMost, "a slot is too wide");
             return m.program.slot({round_up(bytes, 64), wanted, small, crossing});
           })
      .def("embed",
           [](Model& m, size_t table, size_t out) {
             const Weight& w = m.weight(table);
             require(w.form != Form::kInt4E2m1 && w.count == 1, "no rows are read from this form");
             m.program.op(Embed{table, m.floats(out, w.columns)});
             m.embeddable = std::min(m.embeddable, w.rows);
           })
      .def("angles",
           [](Model& m, Row<float> frequencies, float magnitude, size_t out) {
             std::vector<float> f(frequencies.data(), frequencies.data() + frequencies.shape(0));
             m.program.op(Angles{f, magnitude, m.floats(out, 2 * f.size())});
           })
      .def("norm",
           [](Model& m, size_t in, Row<float> weight, size_t heads, float eps, size_t out) {
             const size_t width = weight.shape(0);
             m.program.op(Norm{m.floats(in, width, heads), vector_of(weight), heads, width, eps,
                               m.floats(out, width, heads)});
           })
      .def(
          "quantize",
          [](Model& m, size_t in, size_t heads, size_t width, const std::string& kind, size_t out) {
            m.floats(in, width, heads);
            require(kind == "int8" || kind == "int16" || kind == "bf16", "no such rounding");
            const Rounding rounding = kind == "bf16"   ? Rounding::kBf16
                                      : kind == "int8" ? Rounding::kInt8
                                                       : Rounding::kInt16;
            require(out < m.program.slots() &&
                        m.program.slot_at(out).stride >= heads * rounded_bytes(rounding, width),
                    "a slot is too narrow");
            m.program.op(Quantize{in, heads, width, rounding, out});
          })
      .def("linear", add_linear)
      .def("rope",
           [](Model& m, size_t in, size_t angles, size_t heads, size_t width, size_t rotary,
              bool interleaved, size_t out) {
             require(rotary <= width && rotary % 2 == 0,
                     "the rotary width must be even and fit a head");
             m.program.op(Rope{m.floats(in, width, heads), m.floats(angles, rotary), heads, width,
                               rotary, interleaved, m.floats(out, width, heads)});
           })
      .def(
          "attend",
          [](Model& m, size_t q, size_t k, size_t v, size_t layer, size_t heads, size_t kv_heads,
             size_t width, float scale, size_t window, std::optional<Row<float>> sinks, size_t out,
             std::optional<Row<float>> shift, std::optional<Row<float>> feedback) {
            require(kv_heads && heads && heads % kv_heads == 0,
                    "heads must be a multiple of kv heads");
            require(window <= kMost, "a window is too long");
            require(width && width % 8 == 0 && width <= 512,
                    "a head's width must be a multiple of 8 and at most 512");
            require(!sinks || sinks->shape(0) == heads, "sinks have one entry a head");
            require(!shift || shift->shape(0) == kv_heads * width,
                    "a shift has one entry for each number of the keys");
            require(!feedback || feedback->shape(0) == kv_heads * width * width,
                    "feedback is a matrix for each kv head");
            m.program.op(Attend{m.floats(q, width, heads), m.floats(k, width, kv_heads),
                                m.floats(v, width, kv_heads), layer, heads, kv_heads, width, width,
                                scale, window, sinks ? vector_of(*sinks) : std::vector<float>{},
                                false, m.floats(out, width, heads),
                                shift ? vector_of(*shift) : std::vector<float>{},
                                feedback ? vector_of(*feedback) : std::vector<float>{}});
          },
          nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg(), nb::arg().none(), nb::arg(), nb::arg("shift") = nb::none(),
          nb::arg("feedback") = nb::none())
      .def("tap", [](Model& m, size_t in,
                     size_t width) { m.program.op(Tap{m.floats(in, width), width, m.tapped++}); })
      .def("silu_mul",
           [](Model& m, size_t gate, size_t up, size_t width, size_t out) {
             m.program.op(
                 SiluMul{m.floats(gate, width), m.floats(up, width), width, m.floats(out, width)});
           })
      .def("add",
           [](Model& m, size_t x, size_t y, size_t width, size_t out) {
             m.program.op(Add{m.floats(x, width), m.floats(y, width), width, m.floats(out, width)});
           })
      .def("rows",
           [](Model& m, size_t in, size_t width, size_t out) {
             m.program.op(Rows{m.floats(in, width), width, m.floats(out, width)});
           })
      .def("logits",
           [](Model& m, size_t in, size_t weight) {
             m.program.op(Logits{m.quantized(in, m.weight(weight), Rounding::kInt16), weight});
           })
      .def(
          "finish",
          [](Model& m, size_t cache_bytes, size_t kv_bits) {
            m.building();
            require(kv_bits == 16 || kv_bits == 8 || kv_bits == 4,
                    "a cache has 16, 8 or 4 bits a number");
            m.program.finish(cache_bytes, kv_bits);
          },
          nb::arg(), nb::arg("kv_bits") = 16)
      .def_prop_ro("page_bytes", [](const Model& m) { return m.program.page_bytes(); })
      .def_prop_ro("pages", [](const Model& m) { return m.program.pages(); })
      .def_prop_ro("isa", [](const Model& m) { return std::string(m.program.kernels().isa); })
      .def_prop_ro("threads", [](const Model& m) { return m.program.threads(); })
      .def_prop_ro("vocabulary", [](const Model& m) { return m.program.vocabulary(); });
  bind_mixture(program);
  define_exact<6>(program, "weight", add_weight);
  define_exact<27>(
      program, "step",
      [](Model& m, Row<int32_t> tokens, Row<int32_t> starts, Row<int32_t> positions,
         Table<int32_t> tables, Row<int32_t> fresh, Row<int32_t> rows, size_t limit,
         Row<float> temperature, Row<int32_t> top_k, Row<float> top_p, Row<float> min_p,
         Row<float> repetition, Row<float> presence, Row<float> frequency, Row<uint64_t> seed,
         Row<uint32_t> choice, Row<int32_t> position, Row<int32_t> logprobs, Row<int32_t> first,
         Row<int32_t> ids, Row<float> bias, Row<int32_t> counts, Row<uint8_t> seen,
         OutRow<int32_t> out_ids, OutRow<float> out_logprobs, OutTable<int32_t> top_ids,
         OutTable<float> top_logprobs) {
        Step s = step_of(m.program, {tokens, starts, positions, tables, fresh, rows},
                         std::min(limit, m.embeddable));
        require(out_ids.shape(0) == s.row_count && out_logprobs.shape(0) == s.row_count &&
                    top_ids.shape(0) == s.row_count && top_logprobs.shape(0) == s.row_count &&
                    top_ids.shape(1) == top_logprobs.shape(1),
                "results need one entry a row");
        const RowArrays arrays{temperature, top_k, top_p,  min_p,    repetition, presence,
                               frequency,   seed,  choice, position, logprobs,   first,
                               ids,         bias,  counts, seen};
        const auto sampling =
            samplings(arrays, s.row_count, m.program.vocabulary(), top_ids.shape(1));
        std::vector<Choice> choices(s.row_count);
        s.sampling = sampling.data();
        s.choices = choices.data();
        s.top_ids = top_ids.data();
        s.top_logprobs = top_logprobs.data();
        s.top_width = top_ids.shape(1);
        m.run(s);
        for (size_t r = 0; r < s.row_count; ++r) {
          out_ids.data()[r] = choices[r].id;
          out_logprobs.data()[r] = choices[r].logprob;
        }
      });
  define_exact<8>(program, "logits_of",
                  [](Model& m, Row<int32_t> tokens, Row<int32_t> starts, Row<int32_t> positions,
                     Table<int32_t> tables, Row<int32_t> fresh, Row<int32_t> rows, size_t limit,
                     OutTable<float> logits) {
                    Step s = step_of(m.program, {tokens, starts, positions, tables, fresh, rows},
                                     std::min(limit, m.embeddable));
                    require(
                        logits.shape(0) == s.row_count && logits.shape(1) == m.program.vocabulary(),
                        "logits must be rows by vocabulary");
                    s.logits = logits.data();
                    m.run(s);
                  });
  // What the taps read in one step: [taps][tokens][width] words of 32 bits.
  define_exact<8>(program, "tap_rows",
                  [](Model& m, Row<int32_t> tokens, Row<int32_t> starts, Row<int32_t> positions,
                     Table<int32_t> tables, Row<int32_t> fresh, Row<int32_t> rows, size_t limit,
                     nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu> taps) {
                    Step s = step_of(m.program, {tokens, starts, positions, tables, fresh, rows},
                                     std::min(limit, m.embeddable));
                    require(taps.shape(0) == m.program.taps() && taps.shape(1) == s.token_count &&
                                taps.shape(2) >= m.program.tap_width(),
                            "taps must be taps by tokens by width");
                    s.taps = taps.data();
                    s.tap_width = taps.shape(2);
                    m.run(s);
                  });
  program.def("slot_rows", [](Model& m, size_t slot, size_t rows) {
    // The last step's rows of a slot, raw: for tests.
    require(m.program.finished() && slot < m.program.slots(), "no such slot");
    require(rows <= m.program.max_tokens() && m.program.slot_at(slot).crossing,
            "only slots that cross stages keep their rows");
    const size_t stride = m.program.slot_at(slot).stride;
    return nb::ndarray<nb::numpy, uint8_t, nb::ndim<2>>(
        m.program.shared(slot), {rows, stride}, nb::find(nb::cast(&m, nb::rv_policy::reference)));
  });

  // Enters pages of a mapped file into the page table: a step would trip over each.
  module.def(
      "populate",
      [](Row<uint8_t> data) {
        constexpr uintptr_t kPage = 4096;
        const auto at = reinterpret_cast<uintptr_t>(data.data());
        void* begin = reinterpret_cast<void*>(at / kPage * kPage);
        const size_t bytes = at % kPage + data.shape(0);
        // What is not in memory yet comes in large pages, where the file system can.
        madvise(begin, bytes, MADV_HUGEPAGE);
        madvise(begin, bytes, MADV_POPULATE_READ);
      },
      nb::call_guard<nb::gil_scoped_release>());
  module.attr("NUMERICS") = kNumerics;
  bind_limits(module);
  bind_train_attention(module);
  bind_train_rows(module);
}
