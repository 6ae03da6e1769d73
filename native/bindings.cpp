// The native side as Python sees it. Checks every shape and index, for behind it nothing does.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "machine_limits.h"
#include "numerics.h"
#include "program.h"
#include "step_arrays.h"

namespace nb = nanobind;
using namespace farthing;

namespace {

// Beyond these sizes, sums of bytes could wrap; and positions are int32.
constexpr size_t kMost = (size_t{1} << 31) - 1;

size_t within(size_t value, size_t most, const char* what) {
  require(value > 0 && value <= most, what);
  return value;
}

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

// Keeps the arrays that weights point into alive.
struct Model {
  Program program;
  std::vector<Row<uint8_t>> held;
  size_t tapped = 0;
  size_t embeddable = kMost;  // tokens that every table has a row for
  Model(const std::string& isa, size_t threads, size_t max_tokens, size_t max_context)
      : program(kernels_named(isa), within(threads, 1024, "threads must be 1 to 1024"),
                within(max_tokens, kMost, "a step must have room for a token"),
                within(max_context, kMost, "a context must have room for a token")) {}

  std::atomic<bool> running{false};
  // Without the interpreter's lock: another Python thread may be at the door meanwhile.
  void run(const Step& step) {
    require(!running.exchange(true), "a step of this program is running");
    {
      nb::gil_scoped_release unlocked;
      program.run(step);
    }
    running = false;
  }

  void building() const { require(!program.finished(), "the program is finished"); }
  // A slot wide enough for that many floats.
  size_t floats(size_t slot, size_t width, size_t heads = 1) const {
    building();
    require(width <= kMost && heads <= kMost && width * heads <= kMost, "a value is too wide");
    require(slot < program.slots(), "no such slot");
    require(program.slot_at(slot).stride >= round_up(heads * width, 16) * 4,
            "a slot is too narrow");
    return slot;
  }
  // A slot wide enough for what a weight's linear reads.
  size_t quantized(size_t slot, const Weight& w, Rounding whole = Rounding::kInt8) const {
    building();
    const size_t bytes = rounded_bytes(w.form == Form::kBf16 ? Rounding::kBf16 : whole, w.columns);
    return holds(slot, bytes);
  }
  size_t holds(size_t slot, size_t bytes) const {
    building();
    require(slot < program.slots(), "no such slot");
    require(program.slot_at(slot).stride >= bytes, "the input of a linear is too narrow");
    return slot;
  }
  const Weight& weight(size_t i) const {
    require(i < program.weights(), "no such weight");
    return program.weight_at(i);
  }
};

std::vector<float> vector_of(const Row<float>& row) {
  // Padded to 16 lanes with zeros: the kernels read whole vectors.
  std::vector<float> v(round_up(row.shape(0), 16), 0.f);
  std::copy(row.data(), row.data() + row.shape(0), v.begin());
  return v;
}

// `count` is 0 for one matrix; a stack may be of one, and is on its boundaries all the same.
size_t add_weight(Model& m, const std::string& form, size_t group, size_t count, size_t rows,
                  size_t columns, Row<uint8_t> data) {
  static const char* const names[] = {"4-f16",      "4-f16-min",       "4-two_level-min", "8-f16",
                                      "8-f16-min",  "8-two_level-min", "8-two_level",     "4-f32",
                                      "4-f32-min",  "8-f32",           "8-f32-min",       "16-none",
                                      "4-e8m0-e2m1"};
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

// Matrix h of a stack by head h of the input.
void add_head_linear(Model& m, size_t in, size_t weight, size_t out) {
  const Weight& w = m.weight(weight);
  require(w.rows % kRows == 0, "what a head's matrix gives must be a multiple of 16 wide");
  const bool bf16 = w.form == Form::kBf16;
  const size_t bytes = rounded_bytes(bf16 ? Rounding::kBf16 : Rounding::kInt8, w.columns);
  m.holds(in, bytes * w.count);
  m.floats(out, w.rows, w.count);
  Linear op{in, false, {}};
  for (size_t h = 0; h < w.count; ++h)
    op.parts.push_back({weight, {}, kNone, out, h, h * bytes, h * w.rows});
  m.program.op(op);
}

Score score_named(const std::string& name) {
  if (name == "softmax") return Score::kSoftmax;
  if (name == "softmax_chosen") return Score::kSoftmaxChosen;
  require(name == "sigmoid", "no such score");
  return Score::kSigmoid;
}

void add_route(Model& m, size_t logits, size_t experts, size_t top_k, const std::string& score,
               bool normalise, float scale, size_t groups, size_t top_groups, bool by_two,
               std::optional<Row<float>> correction, size_t out) {
  require(experts && experts <= kMostExperts && top_k && top_k <= experts,
          "a router must choose some of its experts");
  require(groups && experts % groups == 0 && top_groups && top_groups <= groups,
          "groups must divide the experts");
  require(top_groups * (experts / groups) >= top_k, "the best groups hold too few experts");
  require(!correction || correction->shape(0) == experts, "a correction has one entry an expert");
  std::vector<float> by_expert;
  if (correction) by_expert.assign(correction->data(), correction->data() + experts);
  m.program.op(Route{
      m.floats(logits, experts),
      {experts, top_k, score_named(score), normalise, scale, groups, top_groups, by_two, by_expert},
      m.floats(out, 2 * top_k)});
}

// Rows of a table, each padded to 16 lanes.
std::vector<float> table_of(const std::optional<Table<float>>& table, size_t count, size_t width) {
  if (!table) return {};
  require(table->shape(0) == count && table->shape(1) == width,
          "biases must have one entry a row of each expert");
  std::vector<float> out(count * round_up(width, kRows), 0.f);
  for (size_t e = 0; e < count; ++e)
    std::copy_n(table->data() + e * width, width, out.data() + e * round_up(width, kRows));
  return out;
}

// What a bank is handed over as: its input, three weights, their biases.
using BankArguments = std::tuple<size_t, size_t, size_t, size_t, std::optional<Table<float>>,
                                 std::optional<Table<float>>, std::optional<Table<float>>>;

Bank bank_of(const Model& m, const BankArguments& a, size_t count, size_t width) {
  const auto& [in, gate, up, down, gate_bias, up_bias, down_bias] = a;
  const Weight &g = m.weight(gate), &u = m.weight(up), &d = m.weight(down);
  const size_t inner = g.rows;
  require(g.count == count && u.count == count && d.count == count,
          "a bank has one matrix an expert");
  require(u.rows == inner && d.columns == inner && g.columns == width && u.columns == width &&
              d.rows == width,
          "the matrices of an expert do not fit one another");
  require((g.form == Form::kBf16) == (u.form == Form::kBf16), "gate and up read one input");
  m.quantized(in, g);
  return {in,
          gate,
          up,
          down,
          inner,
          table_of(gate_bias, count, inner),
          table_of(up_bias, count, inner),
          table_of(down_bias, count, width)};
}

void add_experts(Model& m, size_t routed, size_t top_k, size_t width, const BankArguments& bank,
                 const std::optional<BankArguments>& shared, std::optional<size_t> gate,
                 float sharpness, float shift, float limit, size_t out) {
  m.building();
  const size_t experts = m.weight(std::get<1>(bank)).count;
  require(!gate || shared, "a gate is for shared experts");
  m.program.op(Experts{m.floats(routed, 2 * top_k), gate ? m.floats(*gate, 1) : kNone, width,
                       experts, top_k, bank_of(m, bank, experts, width),
                       shared ? bank_of(m, *shared, 1, width) : Bank{}, sharpness, shift, limit,
                       m.floats(out, width)});
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
      .def("head_linear", add_head_linear)
      .def("rope",
           [](Model& m, size_t in, size_t angles, size_t heads, size_t width, size_t rotary,
              bool interleaved, size_t out) {
             require(rotary <= width && rotary % 2 == 0,
                     "the rotary width must be even and fit a head");
             m.program.op(Rope{m.floats(in, width, heads), m.floats(angles, rotary), heads, width,
                               rotary, interleaved, m.floats(out, width, heads)});
           })
      .def("attend",
           [](Model& m, size_t q, size_t k, size_t v, size_t layer, size_t heads, size_t kv_heads,
              size_t width, float scale, size_t window, std::optional<Row<float>> sinks,
              size_t out) {
             require(kv_heads && heads && heads % kv_heads == 0,
                     "heads must be a multiple of kv heads");
             require(window <= kMost, "a window is too long");
             require(width && width % 8 == 0 && width <= 512,
                     "a head's width must be a multiple of 8 and at most 512");
             require(!sinks || sinks->shape(0) == heads, "sinks have one entry a head");
             m.program.op(Attend{m.floats(q, width, heads), m.floats(k, width, kv_heads),
                                 m.floats(v, width, kv_heads), layer, heads, kv_heads, width, width,
                                 scale, window, sinks ? vector_of(*sinks) : std::vector<float>{},
                                 false, m.floats(out, width, heads)});
           })
      .def("keep",
           [](Model& m, size_t in, size_t layer, size_t width) {
             require(width && width % 8 == 0 && width <= 4096,
                     "a latent's width must be a multiple of 8 and at most 4096");
             m.program.op(Keep{m.floats(in, width), layer, width});
           })
      .def("attend_latent",
           [](Model& m, size_t q, size_t layer, size_t heads, size_t groups, size_t width,
              size_t value_width, float scale, size_t out) {
             require(groups && heads && heads % groups == 0, "groups must divide the heads");
             require(value_width && value_width % 16 == 0 && value_width <= width,
                     "values must be a multiple of 16 wide, and part of the latent");
             m.program.op(Attend{m.floats(q, width, heads),
                                 kNone,
                                 kNone,
                                 layer,
                                 heads,
                                 groups,
                                 width,
                                 value_width,
                                 scale,
                                 0,
                                 {},
                                 true,
                                 m.floats(out, value_width, heads)});
           })
      .def("route", add_route, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg())
      .def("experts", add_experts, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
           nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg())
      .def("scale",
           [](Model& m, size_t in, float factor, size_t width, size_t out) {
             m.program.op(Scale{m.floats(in, width), width, factor, m.floats(out, width)});
           })
      .def("slice",
           [](Model& m, size_t in, size_t heads, size_t width, size_t begin, size_t end,
              size_t out) {
             require(begin < end && end <= width, "a part lies within each head");
             m.program.op(Slice{m.floats(in, width, heads), heads, width, begin, end,
                                m.floats(out, end - begin, heads)});
           })
      .def("join",
           [](Model& m, size_t x, size_t y, size_t heads, size_t x_width, size_t y_width,
              size_t out) {
             m.program.op(Join{m.floats(x, x_width, heads), m.floats(y, y_width, heads), heads,
                               x_width, y_width, m.floats(out, x_width + y_width, heads)});
           })
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
      .def("finish",
           [](Model& m, size_t cache_bytes) {
             m.building();
             m.program.finish(cache_bytes);
           })
      .def_prop_ro("page_bytes", [](const Model& m) { return m.program.page_bytes(); })
      .def_prop_ro("pages", [](const Model& m) { return m.program.pages(); })
      .def_prop_ro("isa", [](const Model& m) { return std::string(m.program.kernels().isa); })
      .def_prop_ro("threads", [](const Model& m) { return m.program.threads(); })
      .def_prop_ro("vocabulary", [](const Model& m) { return m.program.vocabulary(); });
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

  module.attr("NUMERICS") = kNumerics;
  bind_limits(module);
}
