// Ops of mixtures of experts and latent attention as Python builds them: see model.h.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model.h"

namespace nb = nanobind;

namespace farthing {
namespace {

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
      m.routers,
      m.floats(out, 2 * top_k)});
  ++m.routers;  // one that was refused has no number
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

using Routes = nb::ndarray<const int32_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// Steps after this go where they are told: for measurements and tests.
void send(Model& m, std::optional<Routes> routes) {
  m.resting();
  m.given.reset();
  if (!routes) return;
  const auto& routers = m.program.routers();
  require(m.program.finished() && routes->shape(0) == routers.size(),
          "routes are routers by tokens by top_k, of a finished program");
  Given given{{routes->data(), routes->data() + routes->size()}, routes->shape(1)};
  const int32_t* id = given.ids.data();
  for (const Router& router : routers) {
    require(routes->shape(2) == router.top_k, "routes are routers by tokens by top_k");
    for (size_t t = 0; t < given.tokens; ++t, id += router.top_k) {
      require(id[0] >= 0 && static_cast<size_t>(id[router.top_k - 1]) < router.experts &&
                  std::adjacent_find(id, id + router.top_k, std::greater_equal<int32_t>()) ==
                      id + router.top_k,
              "a token's experts are ascending, each once, and within the router's");
    }
  }
  m.given = std::move(given);
}

void latent_width(size_t width) {
  require(width && width % 8 == 0 && width <= 4096,
          "a latent's width must be a multiple of 8 and at most 4096");
}

}  // namespace

void bind_mixture(nb::class_<Model>& program) {
  program.def("head_linear", add_head_linear)
      .def("send", send, nb::arg().noconvert().none())
      .def("spent",
           [](Model& m) {
             m.resting();
             static const char* const names[] = {"linear",  "attention", "router",
                                                 "experts", "head",      "rest"};
             const auto spent = m.program.spent();
             nb::dict out;
             for (size_t i = 0; i < spent.size(); ++i) out[names[i]] = spent[i];
             return out;
           })
      .def("keep",
           [](Model& m, size_t in, size_t layer, size_t width) {
             latent_width(width);
             m.program.op(Keep{m.floats(in, width), layer, width});
           })
      .def("attend_latent",
           [](Model& m, size_t q, size_t layer, size_t heads, size_t groups, size_t width,
              size_t value_width, float scale, size_t out) {
             latent_width(width);
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
      .def("join", [](Model& m, size_t x, size_t y, size_t heads, size_t x_width, size_t y_width,
                      size_t out) {
        m.program.op(Join{m.floats(x, x_width, heads), m.floats(y, y_width, heads), heads, x_width,
                          y_width, m.floats(out, x_width + y_width, heads)});
      });
}

}  // namespace farthing
